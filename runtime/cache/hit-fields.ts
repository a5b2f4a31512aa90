import { formatCacheStatus } from "./cache-status.ts";
import { currentAgeMs } from "./freshness.ts";
import type { StoredHead } from "./stored-head.ts";

/**
 * Builds the fields of hits: those of the entry, `age` (RFC 9111 section 5.1) and `cache-status`.
 *
 * All hits of one entry within one second get the same text. The engine prepares a text once, so that a hit costs no more
 * than a file.
 */
export class HitFields {
  readonly #texts = new WeakMap<StoredHead, { second: number; text: string }>();

  /** @param nowMs Wall clock. */
  of(head: StoredHead, nowMs: number): string {
    const ageMs = currentAgeMs(head, nowMs);
    const second = Math.floor(ageMs / 1000);
    const known = this.#texts.get(head);
    if (known !== undefined && known.second === second) return known.text;
    const text = withAge(head.fields, head, nowMs);
    if (known === undefined) this.#texts.set(head, { second, text });
    else {
      known.second = second;
      known.text = text;
    }
    return text;
  }
}

/** Returns fields of an answer from an entry with `age` and `cache-status`. */
export function withAge(fields: string, head: StoredHead, nowMs: number): string {
  const ageSeconds = Math.floor(currentAgeMs(head, nowMs) / 1000);
  const ttlSeconds = Math.floor(head.lifetimeMs / 1000) - ageSeconds;
  const status = formatCacheStatus({ kind: "hit", ttlSeconds });
  const own = `age\n${ageSeconds}\ncache-status\n${status}`;
  return fields === "" ? own : `${fields}\n${own}`;
}
