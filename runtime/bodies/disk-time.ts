/** Longest time for one disk operation. A disk that is only busy is far quicker. */
const DISK_TIMEOUT_MS = 30_000;

/**
 * Returns the result of a disk operation, or fails after 30 seconds: a disk that hangs must not make clients hang.
 *
 * @param discard Gets the result if it arrives after the timeout.
 * @throws The error of the operation; Error with code `ETIMEDOUT`.
 */
export async function inDiskTime<T>(
  operation: Promise<T>,
  discard: (late: T) => void = () => {},
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new Error(`the disk did not answer within ${DISK_TIMEOUT_MS / 1000} s`);
      reject(Object.assign(error, { code: "ETIMEDOUT" }));
      // A failure after the timeout does not matter any more.
      operation.then(discard, () => {});
    }, DISK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([operation, late]);
  } finally {
    clearTimeout(timer);
  }
}
