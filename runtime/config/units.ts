/**
 * Reads a size such as `512`, `512b`, `16k`, `10mb` or `1MiB`.
 *
 * Units are powers of 1024 whichever way they are written, as in nginx.
 *
 * @returns Whole bytes, or `null` if it is not a size.
 */
export function parseSizeBytes(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*(?:([kmg])i?b?|b)?$/i.exec(text);
  if (match === null) return null;
  const bytes = Number(match[1]) * BYTES[unitOf(match[2])];
  return Number.isSafeInteger(bytes) ? bytes : null;
}

/**
 * Reads a duration such as `500ms`, `30s`, `5m` or `1h`.
 *
 * The unit is required: a bare `30` in an environment variable would be seconds to users of gunicorn, and milliseconds to
 * users of JavaScript.
 *
 * @returns Whole milliseconds, or `null` if it is not a duration.
 */
export function parseDurationMs(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)$/i.exec(text);
  if (match === null) return null;
  const unit = match[2]?.toLowerCase();
  const scale = unit === "ms" ? 1 : unit === "s" ? 1_000 : unit === "m" ? 60_000 : 3_600_000;
  // "0.29s" is 290.00000000000006 in binary: round a value that is closer to a whole millisecond than any fraction that
  // a user would write.
  const ms = Number((Number(match[1]) * scale).toFixed(6));
  return Number.isSafeInteger(ms) ? ms : null;
}

const BYTES = { b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 } as const;

function unitOf(letter: string | undefined): keyof typeof BYTES {
  const unit = letter?.toLowerCase();
  return unit === "k" || unit === "m" || unit === "g" ? unit : "b";
}
