import type { Client } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import { isSource, type Reply } from "../http/reply.ts";
import type { Answerable } from "./answer-entry.ts";
import type { OwnClient } from "../http/own-client.ts";
import { SharedBody } from "./shared-body.ts";
import type { EntryWriter, StoredEntry } from "./store.ts";
import type { StoredHead } from "./stored-head.ts";
import type { Forward, Visit } from "./visit.ts";

/** A request of the cache to the responder, from its beginning to the end of its body. */
export interface Fetch {
  readonly client: OwnClient;
  /** The visitor whose request it carries; `null`: it left, or the entry is fetched in the background. */
  leader: Visit | null;
  /** It goes on without visitors, since it refreshes an entry. */
  readonly isBackground: boolean;
  /** The entry that it validates or replaces; `null`: none. */
  readonly stale: StoredEntry | null;
  readonly why: Forward;
  readonly requestMs: number;
  /** A purge came after its beginning: its answer may be older than the purge, and is not stored. */
  isOutdated: boolean;
  /** The answer on its way into the store; `null`: there is none yet. */
  filling: Filling | null;
}

/** An answer that visitors get while it is being stored. */
export interface Filling extends Answerable {
  /** A further visitor can still get it from its first byte. */
  readonly isJoinable: boolean;
}

export interface FillingOptions {
  writer: EntryWriter;
  /** Called once, when no further visitor can join: the entry is stored (`null`: it is not). */
  onEnd: (entry: StoredEntry | null) => void;
}

/** Begins to store an answer. The caller answers visitors from the result, then calls `start`. */
export function fill(
  reply: Reply,
  head: StoredHead,
  { writer, onEnd }: FillingOptions,
): Filling & { start(): void } {
  const { body } = reply;
  if (isSource(body)) {
    const sizeBytes = announcedBytes(reply);
    const sized = sizeBytes === null ? head : Object.freeze({ ...head, bodyBytes: sizeBytes });
    const shared = new SharedBody(body, {
      writer,
      lengthBytes: sizeBytes,
      commit: (_, callback) => writer.commit(head, callback),
      onEnd,
    });
    return {
      head: sized,
      bytes: null,
      sizeBytes,
      get isJoinable() {
        return shared.isJoinable;
      },
      open: (range, callback) => callback(shared.open(range)),
      start: () => shared.start(),
    };
  }
  // The responder lends the bytes for this call only.
  const bytes = Buffer.from(body ?? "");
  writer.push(bytes);
  return {
    head: Object.freeze({ ...head, bodyBytes: bytes.length }),
    bytes,
    sizeBytes: bytes.length,
    isJoinable: true,
    open: (_, callback) => callback(null),
    start: () => writer.commit(head, onEnd),
  };
}

/** Returns the size of a body that the reply announces; `null`: unknown. */
export function announcedBytes({ fields, body, lengthBytes }: Reply): number | null {
  if (!isSource(body)) return Buffer.byteLength(body ?? "");
  if (lengthBytes !== null) return lengthBytes;
  const announced = findField(fields, "content-length");
  return announced !== undefined && /^\d{1,15}$/.test(announced) ? Number(announced) : null;
}

/** Passes facts about a fetch on to the client that gets its answer, for the access log. */
export function noteFetch(client: Client, fetch: OwnClient): void {
  client.workerId = fetch.workerId;
  client.upstream = fetch.upstream;
  client.limitedBy = fetch.limitedBy;
  if (fetch.passedOn) client.passedOn = true;
}
