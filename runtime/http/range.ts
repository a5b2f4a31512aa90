export type RangeResult =
  | { kind: "whole" }
  | { kind: "partial"; start: number; end: number }
  | { kind: "unsatisfiable" };

/**
 * Resolves a `Range` field against a representation.
 *
 * Malformed ranges, several ranges, and units other than bytes mean "whole". A server may ignore `Range` (RFC 9110
 * section 14.2), and a 200 is useful where a 416 would break the client. A suffix range of an empty representation
 * means "whole", too: RFC 9110 section 14.1.2 calls it satisfiable, but a 206 could name no byte.
 *
 * @param value The field's value, e.g. `bytes=0-499`; `undefined`: absent.
 * @param sizeBytes Size of the selected representation, after its content coding.
 * @returns Byte offsets, both inclusive, clamped to the size; `unsatisfiable` if the range starts at or past the end.
 */
export function resolveRange(value: string | undefined, sizeBytes: number): RangeResult {
  if (value === undefined) return WHOLE;
  const match = ONE_RANGE.exec(value);
  if (match === null) return WHOLE;
  const [, first = "", last = ""] = match;
  if (first === "") return last === "" ? WHOLE : resolveSuffix(Number(last), sizeBytes);
  // Digits beyond the precision of a number become a huge number or Infinity. Both compare correctly.
  const start = Number(first);
  const end = last === "" ? Infinity : Number(last);
  if (end < start) return WHOLE;
  if (start >= sizeBytes) return UNSATISFIABLE;
  return { kind: "partial", start, end: Math.min(end, sizeBytes - 1) };
}

const WHOLE: RangeResult = Object.freeze({ kind: "whole" });
const UNSATISFIABLE: RangeResult = Object.freeze({ kind: "unsatisfiable" });

// Range units are case-insensitive (RFC 9110 section 14.1).
const ONE_RANGE = /^bytes=[ \t]*(\d*)-(\d*)[ \t]*$/i;

function resolveSuffix(length: number, sizeBytes: number): RangeResult {
  if (length === 0) return UNSATISFIABLE;
  if (sizeBytes === 0) return WHOLE;
  return { kind: "partial", start: Math.max(0, sizeBytes - length), end: sizeBytes - 1 };
}
