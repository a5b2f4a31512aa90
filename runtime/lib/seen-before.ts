/** Number of sets of two hashes: 64 KiB of memory. */
const SETS = 8192;

/**
 * Tells whether a text was probably seen before. Keeps hashes only, so that texts which occur once cost no memory.
 *
 * It forgets a text when two others of the same set follow, and takes one of about 10^9 new texts for a known one. Its
 * answer may therefore only decide about the speed of something.
 */
export class SeenBefore {
  readonly #hashes = new Int32Array(2 * SETS);

  /** Returns whether the text was noted before, and notes it. */
  note(text: string): boolean {
    const hash = hashOf(text);
    const at = 2 * (hash & (SETS - 1));
    const hashes = this.#hashes;
    const last = hashes[at];
    if (last === hash || hashes[at + 1] === hash) return true;
    hashes[at + 1] = last ?? 0;
    hashes[at] = hash;
    return false;
  }
}

/** Hashes a text (FNV-1a, 32 bits, with the last mixing step of MurmurHash3). Never returns 0, the mark of an empty place. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return hash ^ (hash >>> 13) || 1;
}
