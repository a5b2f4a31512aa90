import type { FailureView } from "./snapshot.ts";

/** Age of a request that is worth attention, and the age that is bad. */
const OLD_MS = 1_000;
const VERY_OLD_MS = 10_000;

/** Returns how bad the age of a request is; `null`: it is young. */
export function levelOfAge(ms: number): "bad" | "warn" | null {
  if (ms >= VERY_OLD_MS) return "bad";
  return ms >= OLD_MS ? "warn" : null;
}

/** Returns the reason of a failure for a person: the error of the handler, else the part that failed. */
export function describeReason({ message, limitedBy, upstream }: FailureView): string {
  if (message !== null) return message;
  if (limitedBy !== null) return `limit ${limitedBy}`;
  return upstream === null ? "no error was reported" : `upstream server ${upstream}`;
}
