import { StoreError } from "./store.ts";

/** Returns the result of an operation. Rejects with a `StoreError` after `timeoutMs`; the operation may still take effect. */
export async function within<T>(
  operation: PromiseLike<T>,
  timeoutMs: number,
  name: string,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(
        new StoreError(`Cannot wait longer for ${name}: found no answer within ${timeoutMs} ms`),
      );
    }, timeoutMs);
  });
  try {
    return await Promise.race([operation, late]);
  } finally {
    clearTimeout(timer);
  }
}
