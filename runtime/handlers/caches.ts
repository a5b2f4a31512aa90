import { resolveMatch, resolvePut, toNamedKey, toSpace } from "../cache/named-caches.ts";
import type { ResponseCache } from "../cache/response-cache.ts";
import type { EntryWriter, StoredEntry } from "../cache/store.ts";
import type { StoredHead } from "../cache/stored-head.ts";
import type { Channel } from "../channel/channel.ts";
import {
  BODY_FOLLOWS,
  CACHE_CREDIT_BYTES,
  type CacheMessage,
  type CacheNumber,
  CHUNK_BYTES,
  Kind,
  type ToPrimary,
  type ToWorker,
  type WorkerId,
} from "../channel/messages.ts";
import type { BodySource } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import { RuntimeError } from "../lib/errors.ts";
import { SentBody } from "./sent-body.ts";

export interface HandlerCachesOptions {
  /** Has the store, which the first call of a handler opens. */
  cache: Pick<ResponseCache, "store" | "purge">;
  /** Returns the tag for answers that handlers store; `null`: none. */
  codeTag: () => string | null;
  /** Returns the tags of the code that serves. Entries without one of them are not found. `null`: all entries are. */
  codeTags: () => ReadonlySet<string> | null;
  /** Returns the wall clock. */
  now?: () => number;
}

/** A worker whose handlers call `caches`. */
export interface CallingWorker {
  readonly id: WorkerId;
  readonly channel: Pick<Channel<ToPrimary, ToWorker>, "send" | "sendLent">;
}

/** Most bodies that a worker may read at a time: further large answers are not found. */
const MOST_BODIES = 1_000;

/** Most open bodies of which a worker has read nothing. Beyond it the oldest one ends: its handler has dropped it, perhaps. */
const MOST_UNREAD = 256;

/** Most answers that a worker may send at a time: further large answers are not stored. */
const MOST_PUTS = 1_000;

/** An answer is given up if no piece of it comes between two sweeps. */
const SWEEP_MS = 60_000;

/** The calls of the handlers of a pool to `caches`. A lost worker leaves nothing behind: its unfinished answers are dropped. */
export class HandlerCaches {
  readonly #options: HandlerCachesOptions;
  readonly #calls = new Map<WorkerId, WorkerCalls>();

  constructor(options: HandlerCachesOptions) {
    this.#options = options;
  }

  /**
   * Takes a message of a worker.
   *
   * @param site Returns the name of the site that a route belongs to.
   * @throws RuntimeError `ERR_PROTOCOL` for a message that breaks the protocol.
   */
  take(worker: CallingWorker, message: CacheMessage, site: (route: number) => string): void {
    let calls = this.#calls.get(worker.id);
    if (calls === undefined) {
      calls = new WorkerCalls(worker, this.#options);
      this.#calls.set(worker.id, calls);
    }
    calls.take(message, site);
  }

  /** The worker is gone. */
  lose(id: WorkerId): void {
    const calls = this.#calls.get(id);
    this.#calls.delete(id);
    calls?.close();
  }
}

/** An answer that a worker sends to be stored. */
interface Put {
  readonly writer: EntryWriter;
  readonly head: StoredHead;
  /** Bytes that the worker may send. */
  creditBytes: number;
  /** A piece has come since the last sweep. */
  isMoving: boolean;
}

type Call<K extends CacheMessage[0]> = Extract<CacheMessage, readonly [K, ...unknown[]]>;

/** The calls of one worker. */
class WorkerCalls {
  readonly #worker: CallingWorker;
  readonly #options: HandlerCachesOptions;
  readonly #puts = new Map<CacheNumber, Put>();
  /** Bodies that the worker reads. */
  readonly #bodies = new Map<CacheNumber, SentBody>();
  /** Open bodies of which it has read nothing, the oldest first. */
  readonly #unread = new Map<CacheNumber, SentBody>();
  /** Gives up stalled answers; `null`: no answer is arriving. */
  #sweep: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(worker: CallingWorker, options: HandlerCachesOptions) {
    this.#worker = worker;
    this.#options = options;
  }

  take(message: CacheMessage, site: (route: number) => string): void {
    switch (message[0]) {
      case Kind.cacheMatch:
        this.#match(message, toSpace(site(message[2]), message[3]));
        return;
      case Kind.cachePut:
        this.#put(message, toSpace(site(message[2]), message[3]));
        return;
      case Kind.cacheDelete:
        this.#delete(message, toSpace(site(message[2]), message[3]));
        return;
      case Kind.cachePiece:
        this.#receive(message[1], message[2]);
        return;
      case Kind.cachePutEnd:
        this.#endPut(message[1], message[2]);
        return;
      case Kind.cacheGrant:
        this.#grant(message[1], message[2]);
        return;
      case Kind.cacheCancel:
        this.#cancel(message[1]);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#stopSweep();
    for (const { writer } of this.#puts.values()) writer.abort();
    this.#puts.clear();
    for (const number of [...this.#bodies.keys(), ...this.#unread.keys()]) this.#cancel(number);
  }

  #match([, number, , , url, fields]: Call<typeof Kind.cacheMatch>, space: string): void {
    const key = toNamedKey(url, space);
    const found = key === null ? null : this.#options.cache.store.find(key, fields);
    const answer = (entry: StoredEntry | null): void => {
      if (this.#isClosed) return;
      if (entry === null) this.#miss(number);
      else this.#answer(number, fields, entry);
    };
    if (found === null || found.isLoaded) answer(found);
    else found.load(answer);
  }

  #miss(number: CacheNumber): void {
    this.#worker.channel.send([Kind.cacheAnswer, number, null, null]);
  }

  #answer(number: CacheNumber, requestFields: string, entry: StoredEntry): void {
    const { now = Date.now, codeTags } = this.#options;
    const found = resolveMatch(entry.head, requestFields, { nowMs: now(), codeTags: codeTags() });
    if (found === null) {
      this.#miss(number);
      return;
    }
    const { status, statusText, fields, body: part } = found;
    const head = [status, statusText, fields] as const;
    const { channel } = this.#worker;
    if (part === null || part.lengthBytes === 0) {
      channel.send([Kind.cacheAnswer, number, head, null], fields.length);
      return;
    }
    if (entry.bytes !== null && part.lengthBytes <= CHUNK_BYTES) {
      const bytes = entry.bytes.subarray(part.start, part.start + part.lengthBytes);
      channel.send([Kind.cacheAnswer, number, head, bytes], fields.length + bytes.length);
      return;
    }
    if (this.#bodies.size >= MOST_BODIES) {
      this.#miss(number);
      return;
    }
    // The body is open before the handler gets the head: an entry that is gone by now counts as none.
    entry.openBody(part, (source) => {
      if (this.#isClosed) source?.cancel();
      else if (source === null) this.#miss(number);
      else {
        channel.send([Kind.cacheAnswer, number, head, BODY_FOLLOWS], fields.length);
        this.#open(number, source);
      }
    });
  }

  #open(number: CacheNumber, source: BodySource): void {
    const { channel } = this.#worker;
    const body = new SentBody(source, {
      send: (bytes) => channel.sendLent([Kind.cacheChunk, number, bytes], bytes.length),
      onEnd: (isWhole) => {
        this.#bodies.delete(number);
        this.#unread.delete(number);
        if (!isWhole) channel.send([Kind.cacheBroken, number]);
      },
    });
    this.#unread.set(number, body);
    if (this.#unread.size <= MOST_UNREAD) return;
    for (const oldest of this.#unread.keys()) {
      this.#cancel(oldest);
      channel.send([Kind.cacheBroken, oldest]);
      return;
    }
  }

  #grant(number: CacheNumber, bytes: number): void {
    const unread = this.#unread.get(number);
    if (unread !== undefined) {
      this.#unread.delete(number);
      this.#bodies.set(number, unread);
    }
    this.#bodies.get(number)?.grant(bytes);
  }

  #cancel(number: CacheNumber): void {
    for (const bodies of [this.#bodies, this.#unread]) {
      bodies.get(number)?.cancel();
      bodies.delete(number);
    }
  }

  #put(message: Call<typeof Kind.cachePut>, space: string): void {
    const [, number, , , url, requestFields, status, statusText, fields, body] = message;
    if (this.#puts.has(number)) {
      throw new RuntimeError("ERR_PROTOCOL", `Cannot store an answer: call ${number} is not over`);
    }
    const key = toNamedKey(url, space);
    if (key === null) {
      this.#finish(number, "url");
      return;
    }
    const { cache, codeTag, now = Date.now } = this.#options;
    const decision = resolvePut(
      { status, statusText, fields, requestFields },
      { nowMs: now(), codeTag: codeTag() },
    );
    if (decision.kind === "refuse") {
      this.#finish(number, decision.reason);
      return;
    }
    if (body === BODY_FOLLOWS && this.#puts.size >= MOST_PUTS) {
      this.#finish(number, "too-many");
      return;
    }
    const { head } = decision;
    const bytes =
      body === BODY_FOLLOWS ? null : body instanceof Uint8Array ? body : Buffer.from(body ?? "");
    const bodyBytes = bytes === null ? announcedSize(fields) : bytes.length;
    const writer = cache.store.begin(key, { fields: requestFields, bodyBytes });
    if (bytes === null) {
      if (writer.isStoring) this.#expect(number, writer, head);
      else this.#finish(number, NOT_KEPT);
      return;
    }
    writer.push(bytes);
    this.#commit(number, writer, head);
  }

  #expect(number: CacheNumber, writer: EntryWriter, head: StoredHead): void {
    this.#puts.set(number, { writer, head, creditBytes: CACHE_CREDIT_BYTES, isMoving: true });
    this.#sweep ??= setInterval(() => this.#giveUpStalled(), SWEEP_MS).unref();
  }

  /** Aborts stalled answers. A worker always has credit for the next piece, so the stall is in the handler's stream. */
  #giveUpStalled(): void {
    for (const [number, put] of this.#puts) {
      if (!put.isMoving) this.#endPut(number, false);
      put.isMoving = false;
    }
    if (this.#puts.size === 0) this.#stopSweep();
  }

  #stopSweep(): void {
    if (this.#sweep !== null) clearInterval(this.#sweep);
    this.#sweep = null;
  }

  #receive(number: CacheNumber, bytes: Uint8Array): void {
    const put = this.#puts.get(number);
    // The store gave it up, and the worker did not know yet.
    if (put === undefined) return;
    put.isMoving = true;
    put.creditBytes -= bytes.length;
    if (put.creditBytes < 0) {
      throw new RuntimeError(
        "ERR_PROTOCOL",
        `Cannot store an answer: found ${-put.creditBytes} bytes above the credit of call ${number}`,
      );
    }
    put.writer.push(bytes);
    if (!put.writer.isStoring) {
      this.#puts.delete(number);
      this.#finish(number, NOT_KEPT);
      return;
    }
    if (put.creditBytes > CACHE_CREDIT_BYTES / 2) return;
    const granted = CACHE_CREDIT_BYTES - put.creditBytes;
    put.creditBytes = CACHE_CREDIT_BYTES;
    this.#worker.channel.send([Kind.cacheCredit, number, granted]);
  }

  #endPut(number: CacheNumber, isWhole: boolean): void {
    const put = this.#puts.get(number);
    if (put === undefined) return;
    this.#puts.delete(number);
    if (isWhole) this.#commit(number, put.writer, put.head);
    else {
      put.writer.abort();
      this.#finish(number, "partial");
    }
  }

  #commit(number: CacheNumber, writer: EntryWriter, head: StoredHead): void {
    if (writer.isStoring) {
      writer.commit(head, (entry) => this.#finish(number, entry === null ? NOT_KEPT : true));
    } else this.#finish(number, NOT_KEPT);
  }

  #delete([, number, , , url]: Call<typeof Kind.cacheDelete>, space: string): void {
    if (toNamedKey(url, space) === null) this.#finish(number, false);
    else {
      this.#options.cache.purge({ kind: "url", url, space }, (count) =>
        this.#finish(number, count > 0),
      );
    }
  }

  #finish(number: CacheNumber, result: boolean | string): void {
    if (!this.#isClosed) this.#worker.channel.send([Kind.cacheDone, number, result]);
  }
}

/** The answer is too large, the disk fails or is too slow, a purge covers the answer, or a newer one is stored. */
const NOT_KEPT = "not-kept";

/** Returns the size that an answer announces; `null`: none. */
function announcedSize(fields: string): number | null {
  const announced = findField(fields, "content-length") ?? "";
  return /^\d{1,15}$/.test(announced) ? Number(announced) : null;
}
