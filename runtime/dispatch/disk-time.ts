/** Longest that one operation on the disk may take. A disk that is only busy is far quicker. */
const DISK_TIMEOUT_MS = 30_000;

/**
 * What an operation on the disk comes to, or an error when the disk does not answer in time: one that hangs must not
 * make clients hang.
 *
 * @param discard Gets what comes after all when nobody waits any more.
 * @throws What the operation throws; Error with code `ETIMEDOUT`.
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
      // Its failure is nobody's business now.
      operation.then(discard, () => {});
    }, DISK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([operation, late]);
  } finally {
    clearTimeout(timer);
  }
}
