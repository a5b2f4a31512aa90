import { settledWithin } from "../lib/settled-within.ts";

/** Longest wait for the reason of a commit that failed: the library tells it a moment after the failure. */
const REASON_MS = 1_000;

/**
 * Takes the failure of one of the writes of a commit. The operation reports the failure of the commit itself: without this, each
 * of the writes would be a rejection that no code handles.
 */
export function ignoreFailure(write: Promise<unknown>): void {
  write.catch((error: unknown) => void reasonOf(error)?.catch(() => {}));
}

/** Returns why the library failed: the reason of the system if a commit has one, such as "No space left on device". */
export async function describeFailure(thrown: unknown): Promise<string> {
  const found: unknown[] = [];
  const told = reasonOf(thrown)?.catch((cause: unknown) => void found.push(cause));
  if (told !== undefined) await settledWithin(told, REASON_MS);
  const [cause = thrown] = found;
  return cause instanceof Error ? cause.message : String(cause);
}

/** Returns the promise that the library rejects with the reason. */
function reasonOf(error: unknown): Promise<unknown> | null {
  if (!(error instanceof Error) || !("commitError" in error)) return null;
  const { commitError } = error;
  return commitError instanceof Promise ? commitError : null;
}
