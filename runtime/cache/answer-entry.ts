import type { BodySource, Client } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import { type CacheOutcome, formatCacheStatus, toCacheResult } from "./cache-status.ts";
import { type EntryAnswer, resolveEntryAnswer } from "./entry-answer.ts";
import { currentAgeMs } from "./freshness.ts";
import type { HitFields } from "./hit-fields.ts";
import { stalenessMs } from "./reuse.ts";
import type { StoredEntry } from "./store.ts";
import type { StoredHead } from "./stored-head.ts";

/** An answer that visitors may get: a stored one, or one that is on its way into the store. */
export interface Answerable {
  readonly head: StoredHead;
  /** The whole body; `null`: it is opened. */
  readonly bytes: Uint8Array | null;
  /** Size of the body; `null`: it is not known yet, and the body has no parts. */
  readonly sizeBytes: number | null;
  /** @param callback Called once, perhaps later. `null`: the body is gone. */
  open(range: Range | null, callback: (body: BodySource | null) => void): void;
}

/** A part of a body. */
export interface Range {
  readonly start: number;
  readonly lengthBytes: number;
}

/** Returns a stored entry in the form that is answered. */
export function toAnswerable(entry: StoredEntry, head: StoredHead = entry.head): Answerable {
  const { bodyBytes } = entry.head;
  return {
    head,
    bytes: entry.bytes,
    sizeBytes: bodyBytes,
    open: (range, callback) =>
      entry.openBody(range ?? { start: 0, lengthBytes: bodyBytes }, callback),
  };
}

export interface AnswerOptions {
  /** `null`: a hit. */
  outcome: CacheOutcome | null;
  /** Wall clock. */
  nowMs: number;
  hitFields: HitFields;
  /** Called instead of a reply if the body is gone by now. */
  onGone: () => void;
}

/** Answers a visitor: with the whole, with a part, or by saying that the client has it already. */
export function answerWith(client: Client, found: Answerable, options: AnswerOptions): void {
  const { head, bytes, sizeBytes } = found;
  const { method, fields } = client.head;
  if (options.outcome !== null) client.cached = toCacheResult(options.outcome);
  else client.cached = stalenessMs(head, options.nowMs) < 0 ? "hit" : "stale";
  // Nearly all requests: one search for a part of the names is cheaper than one for each name.
  const isPlain = !fields.includes("if-") && !fields.includes("range");
  if (isPlain && method === "GET" && bytes !== null) {
    const { status, statusText } = head;
    const own = toFields(head, head.fields, options);
    client.reply({ status, statusText, fields: own, body: bytes, lengthBytes: null });
    return;
  }
  const resolved = resolveEntryAnswer(
    head,
    {
      // The parts of a body of unknown size are not known either.
      method: sizeBytes === null ? "HEAD" : method,
      field: (name) => findField(fields, name),
    },
    options.nowMs,
  );
  answerResolved(client, found, resolved, options);
}

function answerResolved(
  client: Client,
  found: Answerable,
  { status, statusText, fields, body: part }: EntryAnswer,
  options: AnswerOptions,
): void {
  const { head, bytes, sizeBytes } = found;
  const own = toFields(head, fields, options);
  const isWhole = part !== null && part.start === 0 && part.lengthBytes === head.bodyBytes;
  const lengthBytes = isWhole ? sizeBytes : (part?.lengthBytes ?? null);
  const reply = (body: Uint8Array | BodySource | null): void =>
    client.reply({ status, statusText, fields: own, body, lengthBytes });
  const isEmpty = sizeBytes !== null && part?.lengthBytes === 0;
  if (part === null || isEmpty || client.head.method === "HEAD") {
    reply(null);
    return;
  }
  if (bytes !== null) {
    reply(bytes.subarray(part.start, part.start + part.lengthBytes));
    return;
  }
  // The visitor may leave before the body is open.
  let hasLeft = false;
  client.onAbort(() => {
    hasLeft = true;
  });
  found.open(isWhole ? null : part, (body) => {
    if (hasLeft) body?.cancel();
    else if (body === null) options.onGone();
    else reply(body);
  });
}

/** Returns the fields of an answer with `age` and `cache-status`. */
function toFields(
  head: StoredHead,
  fields: string,
  { outcome, nowMs, hitFields }: AnswerOptions,
): string {
  if (outcome === null && fields === head.fields) return hitFields.of(head, nowMs);
  const ageMs = currentAgeMs(head, nowMs);
  const ageSeconds = Math.floor(ageMs / 1000);
  const ttlSeconds = Math.floor(head.lifetimeMs / 1000) - ageSeconds;
  const status = formatCacheStatus(outcome ?? { kind: "hit", ttlSeconds });
  const own = `age\n${ageSeconds}\ncache-status\n${status}`;
  return fields === "" ? own : `${fields}\n${own}`;
}
