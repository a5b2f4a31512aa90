import { BOUNDS_MS } from "../lib/duration-bounds.ts";
import type { Duration } from "./quantities.ts";
import type { SettingType } from "./setting-types.ts";
import { showDuration } from "./show-value.ts";

const EXPECTED = 'ascending durations, such as "5ms, 25ms, 100ms, 1s, 10s"';

const BOUND_EXPECTED = 'a duration with a unit, such as "2.5ms", "100ms" or "1s"';

/** Milliseconds of each unit. */
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A wrong entry, and the end of the sentence "found x, expected ...". */
interface Problem {
  readonly value: unknown;
  readonly expected: string;
}

/**
 * Upper bounds of the buckets of histograms, in ms.
 *
 * The server counts with fixed bounds, which all views share. A bound between two of these would need a guess, so it is refused.
 */
export function metricsBuckets(): SettingType<string | readonly Duration[], readonly number[]> {
  return {
    placeholder: "LIST",
    expected: EXPECTED,
    parse: (value) => {
      const read = readBounds(value);
      return "expected" in read ? null : { value: Object.freeze(read.boundsMs) };
    },
    explain: (value) => {
      const read = readBounds(value);
      return "expected" in read ? { key: "", value: read.value, expected: read.expected } : null;
    },
    inHandler: null,
  };
}

function readBounds(value: unknown): { boundsMs: number[] } | Problem {
  const entries: unknown = typeof value === "string" ? value.split(",") : value;
  if (!Array.isArray(entries) || entries.length === 0) return { value, expected: EXPECTED };
  const boundsMs: number[] = [];
  for (const each of entries as readonly unknown[]) {
    const entry = typeof each === "string" ? each.trim() : each;
    const ms = toMs(entry);
    if (ms === null) return { value: entry, expected: BOUND_EXPECTED };
    if (!BOUNDS_MS.includes(ms)) return { value: entry, expected: expectNearest(ms) };
    const before = boundsMs.at(-1);
    if (before !== undefined && ms <= before) {
      return { value: entry, expected: `a bound above the one before, "${showDuration(before)}"` };
    }
    boundsMs.push(ms);
  }
  return { boundsMs };
}

/** Reads a duration, which may be a fraction of a millisecond. A number is milliseconds where other settings take it as such. */
function toMs(entry: unknown): number | null {
  if (typeof entry === "number") return entry >= 1_000 ? entry : null;
  if (typeof entry !== "string") return null;
  const [, digits, unit = ""] = /^(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|m|h)$/i.exec(entry) ?? [];
  const scale = UNITS_MS[unit.toLowerCase()];
  // Without the last digits of binary fractions.
  return scale === undefined ? null : Number((Number(digits) * scale).toPrecision(12));
}

/** Names the bounds of the server on both sides of a duration. */
function expectNearest(ms: number): string {
  const above = BOUNDS_MS.find((bound) => bound > ms);
  const below = BOUNDS_MS.findLast((bound) => bound < ms);
  const near = [below, above].flatMap((bound) =>
    bound === undefined ? [] : [`"${showDuration(bound)}"`],
  );
  return `a bound that the server counts with, such as ${near.join(" or ")}`;
}
