/** A number of requests in a window of time. */
export interface Rate {
  /** Whole number from 1 on. */
  readonly requests: number;
  /** Whole number from 1 on. */
  readonly windowMs: number;
}

/** Names of the units in the text of a rate, and their length in milliseconds. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["sec", 1_000],
  ["second", 1_000],
  ["m", 60_000],
  ["min", 60_000],
  ["minute", 60_000],
  ["h", 3_600_000],
  ["hour", 3_600_000],
  ["d", 86_400_000],
  ["day", 86_400_000],
]);

const RATE = /^(\d{1,9}) ?\/ ?(\d{0,9}) ?([a-z]+)$/;

/** Longest window. A bucket that needs longer to fill again would outlive most processes. */
const MOST_WINDOW_MS = 366 * 86_400_000;

/** Ends the sentence "found x, expected ...". */
export const RATE_EXPECTED = 'a rate such as "100/min", "10/s" or "5000/12h"';

/** Parses a rate such as `100/min` or `300/15min`. Returns `null` for any other text. */
export function parseRate(text: string): Rate | null {
  const [, count = "", factor = "", unit = ""] = RATE.exec(text) ?? [];
  const unitMs = UNITS.get(unit);
  if (unitMs === undefined) return null;
  return toRate(Number(count), (factor === "" ? 1 : Number(factor)) * unitMs);
}

/** Checks the two numbers of a rate. Returns `null` if one of them is out of bounds. */
export function toRate(requests: number, windowMs: number): Rate | null {
  const isRate =
    Number.isSafeInteger(requests) &&
    requests >= 1 &&
    Number.isSafeInteger(windowMs) &&
    windowMs >= 1 &&
    windowMs <= MOST_WINDOW_MS;
  return isRate ? { requests, windowMs } : null;
}

/** Formats a rate with the largest unit that divides its window: `100/min`, `300/15min`. */
export function formatRate({ requests, windowMs }: Rate): string {
  const units = ["day", "h", "min", "s", "ms"];
  const name = units.find((unit) => windowMs % (UNITS.get(unit) ?? 1) === 0) ?? "ms";
  const factor = windowMs / (UNITS.get(name) ?? 1);
  return `${requests}/${factor === 1 ? "" : factor}${name}`;
}
