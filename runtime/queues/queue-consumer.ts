import { setTimeout as delay } from "node:timers/promises";
import type { QueueInfo } from "../control/operations.ts";
import type { QueueHandler } from "../handlers/site-routes.ts";
import type { ExchangeId } from "../http/client.ts";
import type { Logger } from "../log/log.ts";
import type { FoundLease, MessageQueue, TakenMessage } from "../stores/message-queue.ts";
import {
  type BatchResult,
  decideStep,
  isBatchDue,
  isSpent,
  pauseBeforeLook,
  REFUSED_MS,
  type Step,
} from "./decide.ts";
import { sendBatch, type BatchOutcome, type SendBatchOptions } from "./send-batch.ts";

/** Time after which a server that is gone loses its messages to another one. */
const LEASE_MS = 15_000;

/** Most bytes of a batch, unless its only message is longer. */
const MOST_BYTES = 256 * 1024;

/** Pause after a failure of the store. */
const FAILURE_MS = 500;

/** Attempts to tell the store about a message while the consumer closes. */
const MOST_LAST_ATTEMPTS = 3;

/** A count of all messages may cost this part of the time at most. */
const COUNT_RATIO = 100;

/** Longest time between two counts: a stall of the store makes one count slow. */
const MOST_COUNT_PAUSE_MS = 30_000;

export interface QueueConsumerOptions {
  log: Logger;
  queue: MessageQueue;
  /** Name of the store, for operators. */
  store: string;
  /** The queue for messages without a further attempt; `null`: they are dropped. */
  dead: MessageQueue | null;
  /** Longest time between two looks at the store. */
  lookMs: number;
  nextId: () => ExchangeId;
  onFailure: SendBatchOptions["onFailure"];
  /** Whether the process with this name is gone, so that its leases are over. */
  isGone: (owner: string) => boolean;
  leaseMs?: number;
}

type Settled = "acknowledged" | "retried" | "buried" | "dropped" | "lost";

/**
 * Gives the messages of a queue to its handler, batch by batch.
 *
 *     created ──start()──▶ looking ⇄ batches in work ──stop()──▶ no batch begins ──close()──▶ the last message is settled
 */
export class QueueConsumer {
  handler: QueueHandler;
  readonly #options: QueueConsumerOptions;
  readonly #leaseMs: number;
  /** Batches that are not settled. */
  readonly #running = new Set<Promise<void>>();
  /** Messages in work here, by id. */
  readonly #held = new Map<string, TakenMessage>();
  readonly #stopped = new AbortController();
  #looking: Promise<void> = Promise.resolve();
  #isLooking = false;
  /** A look was asked for during a look. */
  #isAsked = false;
  #timer: NodeJS.Timeout | null = null;
  #upkeepTimer: NodeJS.Timeout | null = null;
  #upkeep: Promise<void> = Promise.resolve();
  #isUpkeeping = false;
  #isClosing = false;
  #isFailing = false;
  /** The last batch was refused. */
  #isRefused = false;
  /** No look begins before this time of `performance.now()`. */
  #restUntilMs = 0;
  #activeMs = performance.now();
  #nextCountMs = 0;
  #counts = { waiting: 0, delayed: 0, inWork: 0, dead: 0 };
  readonly #settled: Record<Settled, number> = {
    acknowledged: 0,
    retried: 0,
    buried: 0,
    dropped: 0,
    lost: 0,
  };
  readonly #batches: Record<BatchResult, number> = {
    done: 0,
    failed: 0,
    "timed out": 0,
    lost: 0,
    refused: 0,
  };

  constructor(handler: QueueHandler, options: QueueConsumerOptions) {
    this.handler = handler;
    this.#options = options;
    this.#leaseMs = options.leaseMs ?? LEASE_MS;
  }

  /** Describes the queue for operators. */
  get info(): QueueInfo {
    const { site, pattern, file, pool, config } = this.handler;
    return {
      queue: config.name,
      store: this.#options.store,
      site,
      route: pattern,
      file,
      pool,
      ...this.#counts,
      batches: this.#running.size,
      results: { ...this.#batches },
      ...this.#settled,
    };
  }

  /** Begins to look for messages. Call once. */
  start(): void {
    this.#ask();
    // It returns the leases of an earlier process first.
    this.#keepUp();
    this.#upkeepTimer = setInterval(() => this.#keepUp(), this.#leaseMs / 5).unref();
  }

  /** Begins no further batch. Those in work go on. */
  stop(): void {
    this.#stopped.abort();
    this.#clearTimer();
  }

  /** Stops, and resolves when all batches have ended and the store knows about their messages, or has failed several times. */
  async close(): Promise<void> {
    this.stop();
    this.#isClosing = true;
    await this.#looking;
    await Promise.all(this.#running);
    if (this.#upkeepTimer !== null) clearInterval(this.#upkeepTimer);
    this.#upkeepTimer = null;
    await this.#upkeep;
  }

  get #isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  /** Looks for messages now, or once more after the look in flight. */
  #ask(): void {
    if (this.#isStopped) return;
    if (this.#isLooking) {
      this.#isAsked = true;
      return;
    }
    const restMs = this.#restUntilMs - performance.now();
    if (restMs > 0) this.#askIn(restMs);
    else {
      this.#clearTimer();
      this.#isLooking = true;
      this.#looking = this.#look();
    }
  }

  #askIn(pauseMs: number): void {
    this.#clearTimer();
    this.#timer = setTimeout(() => this.#ask(), Math.ceil(pauseMs)).unref();
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** Lets no look begin for a time. */
  #rest(pauseMs: number): void {
    this.#restUntilMs = Math.max(this.#restUntilMs, performance.now() + pauseMs);
  }

  get #isResting(): boolean {
    return performance.now() < this.#restUntilMs;
  }

  async #look(): Promise<void> {
    let pauseMs = 0;
    try {
      do {
        this.#isAsked = false;
        // oxlint-disable-next-line no-await-in-loop -- Each batch is taken after the one before.
        pauseMs = await this.#takeBatch();
      } while ((pauseMs === 0 || this.#isAsked) && !this.#isStopped && !this.#isResting);
      if (!this.#isResting) this.#isFailing = false;
    } catch (error) {
      this.#noteFailure(error);
      this.#rest(FAILURE_MS);
      pauseMs = FAILURE_MS;
    }
    this.#isLooking = false;
    if (this.#isStopped) return;
    // A batch that ended during a look that the rest cut short asks for one after the rest.
    if (this.#isAsked) this.#ask();
    else if (pauseMs !== Number.POSITIVE_INFINITY) this.#askIn(pauseMs);
  }

  /** Takes a batch if one is due. Returns the time until the next look; infinite: until a batch has ended. */
  async #takeBatch(): Promise<number> {
    const { queue, lookMs } = this.#options;
    const { config } = this.handler;
    if (this.#running.size >= config.concurrency) return Number.POSITIVE_INFINITY;
    const due = await queue.look(config.batchSize);
    const nowMs = Date.now();
    if (this.#isStopped) return lookMs;
    if (!isBatchDue(due, config, nowMs)) {
      const waitMs = due.count === 0 ? 0 : config.batchTimeoutMs;
      const untilDueMs = due.firstMs === null ? null : due.firstMs + waitMs - nowMs;
      const idleMs = performance.now() - this.#activeMs;
      return pauseBeforeLook({ idleMs, untilDueMs }, lookMs);
    }
    this.#activeMs = performance.now();
    const most = config.batchSize;
    const own = { most, mostBytes: MOST_BYTES, leaseMs: this.#leaseMs };
    const messages = await queue.take(own);
    // Other servers were faster.
    if (messages.length === 0) return pauseBeforeLook({ idleMs: 0, untilDueMs: null }, lookMs);
    this.#noteUnanswered(messages);
    for (const message of messages) this.#held.set(message.id, message);
    const run = this.#run(messages);
    this.#running.add(run);
    void this.#follow(run);
    return 0;
  }

  /** The store has not answered about some messages: the next look waits. */
  #noteUnanswered(messages: readonly TakenMessage[]): void {
    const failed = messages.find(({ failure }) => failure !== null);
    if (failed?.failure === undefined || failed.failure === null) return;
    this.#noteFailure(failed.failure.error);
    this.#rest(FAILURE_MS);
  }

  async #follow(run: Promise<void>): Promise<void> {
    await run;
    this.#running.delete(run);
    this.#ask();
  }

  /** Runs a batch and settles its messages. Never rejects. */
  async #run(messages: readonly TakenMessage[]): Promise<void> {
    const { handler } = this;
    const { retries } = handler.config;
    const unanswered = messages.filter(({ failure }) => failure !== null);
    const answered = messages.filter(({ failure }) => failure === null);
    const fresh = answered.filter(({ attempts }) => !isSpent(attempts, retries));
    const spent = answered.filter(({ attempts }) => isSpent(attempts, retries));
    await Promise.all([
      ...unanswered.map((message) => this.#settle(message, giveBack(message))),
      ...spent.map((message) => this.#settle(message, { kind: "bury" })),
      ...(fresh.length === 0 ? [] : [this.#runFresh(fresh)]),
    ]);
  }

  async #runFresh(fresh: readonly TakenMessage[]): Promise<void> {
    const { handler } = this;
    const { nextId, onFailure } = this.#options;
    const outcome: BatchOutcome = this.#isStopped
      ? { result: "refused", verdicts: [] }
      : await sendBatch(handler, fresh, { id: nextId(), onFailure });
    const { result, verdicts } = outcome;
    this.#batches[result]++;
    this.#noteResult(result, fresh);
    await Promise.all(
      fresh.map((message, index) => {
        const verdict = verdicts[index] ?? null;
        return this.#settle(message, decideStep(message, { result, verdict }, handler.config));
      }),
    );
  }

  /** Tells the store about a message until it has answered. Never rejects. */
  async #settle(message: TakenMessage, step: Step): Promise<void> {
    for (let failures = 0; ;) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- Each attempt follows the failure of the one before.
        const settled = await this.#carryOut(message, step);
        // No batch had a message whose `take` has no answer.
        if (message.failure === null) {
          this.#settled[settled]++;
          if (settled === "lost") this.#tellLost(message);
        }
        break;
      } catch (error) {
        this.#noteFailure(error);
        if (this.#isClosing) failures++;
        // The lease expires, and the message runs again.
        if (failures >= MOST_LAST_ATTEMPTS) break;
        // oxlint-disable-next-line no-await-in-loop -- As above.
        await delay(FAILURE_MS);
      }
    }
    // A message whose release was carried out without an answer may be in work here again.
    if (this.#held.get(message.id) === message) this.#held.delete(message.id);
  }

  async #carryOut(message: TakenMessage, step: Step): Promise<Settled> {
    const { queue, dead } = this.#options;
    switch (step.kind) {
      case "acknowledge":
        return (await queue.acknowledge(message)) ? "acknowledged" : "lost";
      case "release": {
        const isReleased = await queue.release(message, step);
        return isReleased ? "retried" : "lost";
      }
      case "bury":
        return dead === null ? this.#drop(message) : this.#bury(message, dead);
    }
  }

  async #bury(message: TakenMessage, dead: MessageQueue): Promise<Settled> {
    const { log, queue } = this.#options;
    const { id, attempts } = message;
    const fields = { queue: queue.name, message: id, attempts, deadLetter: dead.name };
    const outcome = await queue.bury(message, dead);
    switch (outcome) {
      case "buried":
        log.warn(fields, "message moved to the dead-letter queue: no attempt left");
        return "buried";
      case "full":
        log.error(fields, "message stays in its queue: the dead-letter queue is full");
        return "retried";
      case "lost":
        return "lost";
    }
  }

  async #drop(message: TakenMessage): Promise<Settled> {
    const { log, queue } = this.#options;
    if (!(await queue.acknowledge(message))) return "lost";
    const { id, attempts, sentMs } = message;
    const sent = new Date(sentMs).toISOString();
    const text = "message dropped: no attempt left, and its queue has no dead-letter queue";
    log.error({ queue: queue.name, message: id, attempts, sent }, text);
    return "dropped";
  }

  /** Extends leases, returns lost ones, and counts. One at a time. */
  #keepUp(): void {
    if (this.#isUpkeeping) return;
    this.#isUpkeeping = true;
    this.#upkeep = this.#runUpkeep();
  }

  async #runUpkeep(): Promise<void> {
    try {
      await this.#extendAll();
      if (!this.#isStopped) {
        await this.#returnLost();
        await this.#count();
      }
    } catch (error) {
      this.#noteFailure(error);
    }
    this.#isUpkeeping = false;
  }

  async #extendAll(): Promise<void> {
    const { queue } = this.#options;
    const held = [...this.#held.values()];
    const results = await Promise.allSettled(
      held.map((message) => queue.extend(message, this.#leaseMs)),
    );
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  async #returnLost(): Promise<void> {
    const { queue, log, isGone } = this.#options;
    const isOver = ({ id, owner, isExpired }: FoundLease): boolean =>
      !this.#held.has(id) && (isExpired || isGone(owner));
    const count = await queue.returnLost(isOver);
    if (count === 0) return;
    log.warn({ queue: queue.name, messages: count }, "messages return: their server is gone");
    this.#ask();
  }

  async #count(): Promise<void> {
    const startedMs = performance.now();
    if (startedMs < this.#nextCountMs) return;
    const { queue, dead } = this.#options;
    const counts = await queue.counts();
    const ofDead = dead === null ? null : await dead.counts();
    this.#counts = { ...counts, dead: (ofDead?.waiting ?? 0) + (ofDead?.delayed ?? 0) };
    const tookMs = performance.now() - startedMs;
    this.#nextCountMs = startedMs + Math.min(MOST_COUNT_PAUSE_MS, tookMs * COUNT_RATIO);
  }

  /** The log has the first of several refusals. */
  #noteResult(result: BatchResult, messages: readonly TakenMessage[]): void {
    const isRefused = result === "refused";
    if (isRefused) this.#rest(REFUSED_MS);
    if (result !== "done" && !(isRefused && this.#isRefused)) this.#tellFailure(result, messages);
    this.#isRefused = isRefused;
  }

  #tellFailure(result: BatchResult, messages: readonly TakenMessage[]): void {
    const { log, queue } = this.#options;
    const { pattern, file } = this.handler;
    const fields = { queue: queue.name, route: pattern, handler: file, result };
    log.warn({ ...fields, messages: messages.length }, "batch ended without success");
  }

  #tellLost({ id, attempts }: TakenMessage): void {
    const { log, queue } = this.#options;
    const text = "the lease of a message was lost: another server may run it too";
    log.warn({ queue: queue.name, message: id, attempts }, text);
  }

  /** The log has the first of several failures. */
  #noteFailure(error: unknown): void {
    const { log, queue, store } = this.#options;
    if (!this.#isFailing) {
      log.error({ err: error, queue: queue.name, store }, "cannot reach the store of a queue");
    }
    this.#isFailing = true;
  }
}

/** Returns the step of a message whose `take` has no answer: if it had an effect, the message waits again. */
function giveBack({ isAlone }: TakenMessage): Step {
  return { kind: "release", delayMs: 0, isAlone, isUncounted: true };
}
