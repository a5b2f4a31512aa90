import { randomBytes } from "node:crypto";
import type { ContentType } from "../lib/content-types.ts";
import {
  createIdSource,
  decodeFacts,
  encodeFacts,
  LEASED_PREFIX,
  type MessageFacts,
  readWaitingKey,
  toDueKey,
  toLeasedKey,
  toWaitingKey,
  WAITING_PREFIX,
} from "./message-entry.ts";
import { type Entry, type Store, StoreError } from "./store.ts";

export interface MessageQueueOptions {
  name: string;
  /** Most messages that it holds, those in work included. */
  mostMessages: number;
  /** Tells the leases of this process from those of others. */
  owner: string;
  /** Returns the time in ms since 1970. */
  now?: () => number;
}

/** A message to send. */
export interface NewMessage {
  readonly body: Uint8Array;
  readonly contentType: ContentType;
  /** Time until it is due. */
  readonly delayMs: number;
}

/** A message that this process has taken. */
export interface TakenMessage {
  readonly id: string;
  readonly body: Uint8Array;
  readonly sentMs: number;
  /** 1 the first time. */
  readonly attempts: number;
  readonly contentType: ContentType;
  /** Size of the body. */
  readonly bytes: number;
  readonly isAlone: boolean;
  /** Tells its lease from those of other calls of `take`. */
  readonly token: string;
  /** The error of a `take` that may have had no effect: give the message back; `null`: the store has answered. */
  readonly failure: { readonly error: unknown } | null;
  /** Version of its entry; `null`: the store did not answer, so that the entry must be read again. */
  version: string | null;
  /** The operations so far, one after the other: each needs the version that the one before wrote. */
  last: Promise<unknown>;
}

/** The messages that are due. */
export interface DueMessages {
  /** Those of the next batch. */
  readonly count: number;
  /** When the first message is or was due; `null`: none waits. */
  readonly firstMs: number | null;
}

/** A lease of any process. */
export interface FoundLease {
  /** The id of its message. */
  readonly id: string;
  readonly owner: string;
  readonly isExpired: boolean;
}

/** Numbers of messages. */
export interface QueueCounts {
  readonly waiting: number;
  readonly delayed: number;
  readonly inWork: number;
}

/** Time for which `send` relies on a count, and on the count of a full queue. */
const [COUNT_MS, FULL_COUNT_MS] = [1_000, 50];

/** It relies on a count for this multiple of the time that the count took, so that counting costs a hundredth. */
const COUNT_RATIO = 100;

/** Longest time for which `send` relies on a count: a stall of the store makes one count slow. */
const MOST_COUNT_MS = 5_000;

/** Most leases that one look returns. */
const MOST_LEASES = 1_000;

/** Time until a message is offered again that its full dead-letter queue refused. */
const FULL_MS = 60_000;

/**
 * Messages in a space of a store, which several processes share. Each step of a message is one atomic operation of the store:
 *
 *     sent ──▶ waiting ──take──▶ in work ──acknowledge──▶ gone
 *                 ▲                 ├──release, expired lease──▶ waiting
 *                 │                 └──bury──▶ waiting in the dead-letter queue
 *                 └──────────────────────┘
 *
 * A lease is the version of the entry of a message in work. A process that lost its lease has an old version, with which it can
 * neither acknowledge nor release the message that another process took.
 */
export class MessageQueue {
  readonly name: string;
  readonly #store: Store;
  readonly #options: Required<MessageQueueOptions>;
  readonly #space: string;
  readonly #nextId: () => string;
  /** Messages that `send` may add before it counts again. */
  #room = { countedMs: Number.NEGATIVE_INFINITY, tookMs: 0, left: 0 };
  /** The count in flight, which all senders share. */
  #counting: Promise<void> | null = null;

  constructor(store: Store, options: MessageQueueOptions) {
    this.#store = store;
    this.#options = { now: Date.now, ...options };
    this.name = options.name;
    this.#space = `queue:${options.name}`;
    this.#nextId = createIdSource(this.#options.now);
  }

  /**
   * Adds messages. Resolves when all are as durable as the store promises. Several processes may exceed `mostMessages` by
   * as much as they send within a second.
   *
   * @throws StoreError when the queue is full, and when the store fails; some messages may be in the queue then.
   */
  async send(messages: readonly NewMessage[]): Promise<void> {
    await this.#makeRoom(messages.length);
    const sentMs = this.#options.now();
    const writes = messages.map(({ body, contentType, delayMs }) => {
      const bytes = body.length;
      const facts = { sentMs, attempts: 0, contentType, bytes, isAlone: false, lease: null };
      const key = toWaitingKey(sentMs + delayMs, this.#nextId());
      const entry = { value: body, metadata: encodeFacts(facts), expiresMs: 0 };
      return this.#store.put(this.#space, key, entry);
    });
    const results = await Promise.allSettled(writes);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /** Looks for messages that are due, and reads no body. A message that must be alone is a batch of its own. */
  async look(most: number): Promise<DueMessages> {
    const found = await this.#listWaiting(most);
    const batch = this.#pickBatch(found);
    return { count: batch.length, firstMs: found[0]?.dueMs ?? null };
  }

  /**
   * Takes messages that are due, each with a lease. Other processes may take some of them first. A message with a `failure`
   * may have a lease of this process: the store did not answer.
   *
   * @throws StoreError when the store cannot list messages.
   */
  async take({
    most,
    mostBytes,
    leaseMs,
  }: {
    most: number;
    mostBytes: number;
    leaseMs: number;
  }): Promise<TakenMessage[]> {
    const due = this.#pickBatch(await this.#listWaiting(most));
    let sumBytes = 0;
    const fitting = due.filter(({ facts }, index) => {
      sumBytes += facts.bytes;
      return index === 0 || sumBytes <= mostBytes;
    });
    // All bodies before the first lease: a read that fails then leaves no lease behind.
    const entries = await Promise.all(fitting.map(({ key }) => this.#store.get(this.#space, key)));
    const deadlineMs = this.#options.now() + leaseMs;
    const moves = fitting.map(async ({ key, id, facts }, index): Promise<TakenMessage[]> => {
      const entry = entries[index] ?? null;
      // Another process has taken it.
      if (entry === null) return [];
      const { sentMs, contentType, bytes, isAlone } = facts;
      const attempts = facts.attempts + 1;
      const token = randomBytes(9).toString("base64url");
      const own = { id, body: entry.value, sentMs, attempts, contentType, bytes, isAlone, token };
      const lease = { owner: this.#options.owner, deadlineMs, token };
      const from = { key, version: entry.version };
      const to = {
        key: toLeasedKey(id),
        value: entry.value,
        metadata: encodeFacts({ ...own, lease }),
        expiresMs: 0,
      };
      try {
        const version = await this.#store.move(this.#space, from, to);
        if (version === null) return [];
        return [{ ...own, version, failure: null, last: Promise.resolve() }];
      } catch (error) {
        return [{ ...own, version: null, failure: { error }, last: Promise.resolve() }];
      }
    });
    return (await Promise.all(moves)).flat();
  }

  /** Extends a lease. Returns whether this process still has it. */
  extend(message: TakenMessage, leaseMs: number): Promise<boolean> {
    return this.#change(message, async (version) => {
      const deadlineMs = this.#options.now() + leaseMs;
      const lease = { owner: this.#options.owner, deadlineMs, token: message.token };
      const next = await this.#store.put(this.#space, toLeasedKey(message.id), {
        value: message.body,
        metadata: encodeFacts({ ...message, lease }),
        expiresMs: 0,
        version,
      });
      message.version = next;
      return next !== null;
    });
  }

  /** Removes a message for good. Returns whether this process still had its lease. */
  acknowledge(message: TakenMessage): Promise<boolean> {
    return this.#change(message, (version) =>
      this.#store.delete(this.#space, toLeasedKey(message.id), version),
    );
  }

  /**
   * Lets a message wait again. Returns whether this process still had its lease.
   *
   * @param options.isUncounted The attempt does not count: no worker got the message.
   */
  release(
    message: TakenMessage,
    {
      delayMs,
      isAlone = message.isAlone,
      isUncounted = false,
    }: { delayMs: number; isAlone?: boolean; isUncounted?: boolean },
  ): Promise<boolean> {
    const attempts = message.attempts - (isUncounted ? 1 : 0);
    const facts = { ...message, attempts, isAlone };
    return this.#change(message, (version) =>
      this.#moveToWaiting({ ...message, facts, version }, delayMs),
    );
  }

  /**
   * Moves a message to its dead-letter queue, which may be in another store. After a failure in between, both queues have
   * it: the next attempt writes the same entry again.
   *
   * @returns `full`: the dead-letter queue is full, and the message waits for a minute; `lost`: the lease is not there.
   */
  async bury(message: TakenMessage, dead: MessageQueue): Promise<"buried" | "full" | "lost"> {
    if (!(await this.extend(message, FULL_MS))) return "lost";
    try {
      await dead.#add(message);
    } catch (error) {
      if (!(error instanceof QueueFullError)) throw error;
      // One attempt more than it had: no handler gets it again, even one whose server may have been lost too early.
      const facts = { ...message, attempts: message.attempts + 1 };
      const isReleased = await this.#change(message, (version) =>
        this.#moveToWaiting({ ...message, facts, version }, FULL_MS),
      );
      return isReleased ? "full" : "lost";
    }
    return (await this.acknowledge(message)) ? "buried" : "lost";
  }

  /**
   * Lets messages wait again whose leases are over.
   *
   * @param isOver Decides about a lease.
   * @returns How many came back.
   */
  async returnLost(isOver: (lease: FoundLease) => boolean): Promise<number> {
    const nowMs = this.#options.now();
    const entries = await this.#store.list(this.#space, {
      prefix: LEASED_PREFIX,
      after: null,
      limit: MOST_LEASES,
      withoutValues: true,
    });
    const moves = entries.map(async ({ key, metadata, version }) => {
      const { lease } = decodeFacts(metadata);
      const id = key.slice(LEASED_PREFIX.length);
      if (lease === null) return false;
      if (!isOver({ id, owner: lease.owner, isExpired: lease.deadlineMs <= nowMs })) return false;
      const entry = await this.#store.get(this.#space, key);
      // Another process has extended or ended it.
      if (entry === null || entry.version !== version) return false;
      const facts = decodeFacts(entry.metadata);
      return this.#moveToWaiting({ id, body: entry.value, facts, version }, 0);
    });
    return (await Promise.all(moves)).filter(Boolean).length;
  }

  /** Counts the messages of all processes. */
  async counts(): Promise<QueueCounts> {
    const now = toDueKey(this.#options.now() + 1);
    const [waiting, delayed, inWork] = await Promise.all([
      this.#store.count(this.#space, { from: WAITING_PREFIX, before: now }),
      this.#store.count(this.#space, { from: now, before: AFTER_WAITING }),
      this.#store.count(this.#space, { from: LEASED_PREFIX, before: AFTER_LEASED }),
    ]);
    return { waiting, delayed, inWork };
  }

  /** Writes a message that comes from another queue, with its id: twice is once. */
  async #add({ id, body, sentMs, contentType }: TakenMessage): Promise<void> {
    await this.#makeRoom(1);
    const bytes = body.length;
    const facts = { sentMs, attempts: 0, contentType, bytes, isAlone: false, lease: null };
    const entry = { value: body, metadata: encodeFacts(facts), expiresMs: 0 };
    await this.#store.put(this.#space, toWaitingKey(sentMs, id), entry);
  }

  async #makeRoom(count: number): Promise<void> {
    const { mostMessages, name } = this.#options;
    if (this.#isCountStale(count)) {
      this.#counting ??= this.#countRoom().finally(() => {
        this.#counting = null;
      });
      await this.#counting;
    }
    if (this.#room.left < count) {
      const found = mostMessages - this.#room.left;
      throw new QueueFullError(
        `Cannot send to the queue ${name}: found ${found} messages in it, expected at most ${mostMessages} (the limit of the queue in "bindings")`,
      );
    }
    this.#room.left -= count;
  }

  #isCountStale(count: number): boolean {
    const { countedMs, tookMs, left } = this.#room;
    const ageMs = this.#options.now() - countedMs;
    if (ageMs < 0) return true;
    if (left < count) return ageMs >= FULL_COUNT_MS;
    return ageMs >= Math.max(COUNT_MS, Math.min(MOST_COUNT_MS, tookMs * COUNT_RATIO));
  }

  async #countRoom(): Promise<void> {
    const { now, mostMessages } = this.#options;
    const startedMs = now();
    const range = { from: WAITING_PREFIX, before: AFTER_LEASED };
    const found = await this.#store.count(this.#space, range);
    const countedMs = now();
    this.#room = { countedMs, tookMs: countedMs - startedMs, left: mostMessages - found };
  }

  /** Returns the first messages that wait, without their bodies. */
  async #listWaiting(most: number): Promise<WaitingMessage[]> {
    const range = { prefix: WAITING_PREFIX, after: null, limit: most, withoutValues: true };
    const entries = await this.#store.list(this.#space, range);
    return entries.map((entry) => {
      const facts = decodeFacts(entry.metadata);
      return { ...readWaitingKey(entry.key), key: entry.key, facts };
    });
  }

  #pickBatch(found: readonly WaitingMessage[]): WaitingMessage[] {
    const nowMs = this.#options.now();
    const due = found.filter(({ dueMs }) => dueMs <= nowMs);
    const [first] = due;
    if (first?.facts.isAlone === true) return [first];
    return due.filter(({ facts }) => !facts.isAlone);
  }

  async #moveToWaiting(
    message: { id: string; body: Uint8Array; facts: MessageFacts | TakenFacts; version: string },
    delayMs: number,
  ): Promise<boolean> {
    const { id, body, facts, version } = message;
    const next = await this.#store.move(
      this.#space,
      { key: toLeasedKey(id), version },
      {
        key: toWaitingKey(this.#options.now() + delayMs, id),
        value: body,
        metadata: encodeFacts({ ...facts, lease: null }),
        expiresMs: 0,
      },
    );
    return next !== null;
  }

  /** Runs an operation with the version of the entry of a message, if this process still has its lease. */
  #change(
    message: TakenMessage,
    operation: (version: string) => Promise<boolean>,
  ): Promise<boolean> {
    const own = message.last.then(async () => {
      const version = message.version ?? (await this.#findVersion(message));
      if (version === null) return false;
      // The operation may take effect even if no answer comes.
      message.version = null;
      return operation(version);
    });
    message.last = own.catch(() => {});
    return own;
  }

  /** Returns the version of the entry if its lease is still that of this call of `take`. */
  async #findVersion({ id, token }: TakenMessage): Promise<string | null> {
    const entry: Entry | null = await this.#store.get(this.#space, toLeasedKey(id));
    if (entry === null) return null;
    return decodeFacts(entry.metadata).lease?.token === token ? entry.version : null;
  }
}

/** Tells that a queue has as many messages as it may have. */
export class QueueFullError extends StoreError {}

/** The facts of a message in work, without its lease. */
type TakenFacts = Omit<MessageFacts, "lease">;

interface WaitingMessage {
  readonly key: string;
  readonly id: string;
  readonly dueMs: number;
  readonly facts: MessageFacts;
}

/** The key after the last one of a prefix. */
const AFTER_WAITING = String.fromCodePoint((WAITING_PREFIX.codePointAt(0) ?? 0) + 1);
const AFTER_LEASED = String.fromCodePoint((LEASED_PREFIX.codePointAt(0) ?? 0) + 1);
