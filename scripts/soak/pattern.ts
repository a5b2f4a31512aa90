import { sequence } from "./random.ts";

/**
 * Repeated to make every body. Its length is a prime, so that a piece that is lost, doubled or swapped shows at its
 * first byte: no size of a buffer or chunk is a multiple of it.
 */
const PERIOD_BYTES = 65_521;

/** Two periods: a piece of up to one period is a view of it. */
const block = createBlock();

/** Returns the bytes of the pattern from an offset on: 1 to `maxBytes`. A view: do not write to it. */
export function patternFrom(offset: number, maxBytes: number): Buffer {
  const start = offset % PERIOD_BYTES;
  return block.subarray(start, start + Math.min(maxBytes, PERIOD_BYTES));
}

/** Returns all bytes of the pattern between two offsets. */
export function patternOf(offset: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  for (let at = 0; at < length;) at += patternFrom(offset + at, length - at).copy(bytes, at);
  return bytes;
}

/** Returns where bytes first differ from the pattern at an offset; -1: nowhere. */
export function findOther(bytes: Uint8Array, offset: number): number {
  for (let at = 0; at < bytes.length;) {
    const expected = patternFrom(offset + at, bytes.length - at);
    const found = bytes.subarray(at, at + expected.length);
    if (expected.compare(found) !== 0) {
      return at + found.findIndex((byte, index) => byte !== expected[index]);
    }
    at += expected.length;
  }
  return -1;
}

function createBlock(): Buffer {
  const random = sequence(1);
  const period = Buffer.from(Array.from({ length: PERIOD_BYTES }, () => random(256)));
  return Buffer.concat([period, period]);
}
