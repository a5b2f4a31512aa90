/** Byte offsets, both inclusive. */
export interface ByteRange {
  start: number;
  end: number;
}

export type RangeResult =
  | { kind: "whole" }
  | ({ kind: "partial" } & ByteRange)
  /** Two ranges or more, in the order of the request. No two overlap. */
  | { kind: "several"; ranges: readonly ByteRange[] }
  | { kind: "unsatisfiable" };

/** Most ranges of one answer. A reader of a PDF asks for a few dozen at most. */
export const MOST_RANGES = 32;

/**
 * Resolves a `Range` field against a representation.
 *
 * Malformed ranges and units other than bytes mean "whole". A server may ignore `Range` (RFC 9110 section 14.2), and a
 * 200 is useful where a 416 would break the client. More than {@link MOST_RANGES} ranges, and ranges that overlap, mean
 * "whole", too: a short request must not multiply the bytes of the answer (section 17.15). A suffix range of an empty
 * representation means "whole": section 14.1.2 calls it satisfiable, but a 206 could name no byte.
 *
 * @param value The field's value, e.g. `bytes=0-499,1000-1499`; `undefined`: absent.
 * @param sizeBytes Size of the selected representation, after its content coding.
 * @returns Byte offsets clamped to the size, without the ranges that start at or past the end; `unsatisfiable` if no
 *   range is left.
 */
export function resolveRange(value: string | undefined, sizeBytes: number): RangeResult {
  if (value === undefined) return WHOLE;
  const set = RANGE_SET.exec(value)?.[1];
  if (set === undefined) return WHOLE;
  if (!set.includes(",")) return resolveOne(set, sizeBytes);
  const specs = set.split(",", MOST_RANGES + 1);
  if (specs.length > MOST_RANGES) return WHOLE;
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const one = resolveOne(spec, sizeBytes);
    if (one.kind === "whole") return WHOLE;
    if (one.kind === "partial") ranges.push({ start: one.start, end: one.end });
  }
  const [first] = ranges;
  if (first === undefined) return UNSATISFIABLE;
  if (ranges.length === 1) return { kind: "partial", ...first };
  return overlap(ranges) ? WHOLE : { kind: "several", ranges };
}

type OneRange = Exclude<RangeResult, { kind: "several" }>;

const WHOLE = Object.freeze({ kind: "whole" });
const UNSATISFIABLE = Object.freeze({ kind: "unsatisfiable" });

// Range units are case-insensitive (RFC 9110 section 14.1).
const RANGE_SET = /^bytes=(.*)$/i;
const ONE_RANGE = /^[ \t]*(\d*)-(\d*)[ \t]*$/;

function resolveOne(spec: string, sizeBytes: number): OneRange {
  const match = ONE_RANGE.exec(spec);
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

function resolveSuffix(length: number, sizeBytes: number): OneRange {
  if (length === 0) return UNSATISFIABLE;
  if (sizeBytes === 0) return WHOLE;
  return { kind: "partial", start: Math.max(0, sizeBytes - length), end: sizeBytes - 1 };
}

function overlap(ranges: readonly ByteRange[]): boolean {
  let before = -1;
  for (const { start, end } of ranges.toSorted((a, b) => a.start - b.start)) {
    if (start <= before) return true;
    before = end;
  }
  return false;
}
