import { parseDurationMs } from "./units.ts";

/** How a handler receives messages of a queue. Plain data. */
export interface QueueConfig {
  /** Name of the queue. */
  readonly name: string;
  /** Most messages of a batch. */
  readonly batchSize: number;
  /** How long the first message of a batch waits for others. */
  readonly batchTimeoutMs: number;
  /** How often a message is offered again after its first attempt. */
  readonly retries: number;
  /** Pause before the second attempt. Each further pause is twice as long. */
  readonly backoffMs: number;
  /** Name of the queue for messages that have no attempt left; `null`: they are dropped. */
  readonly deadLetter: string | null;
  /** Most batches in work on one server. */
  readonly concurrency: number;
}

/** Names of queues. */
export const QUEUE_NAME = /^[\w.-]{1,64}$/;

const MOST_RETRIES = 100;
const MOST_BATCH = 100;
const MOST_CONCURRENCY = 250;
const MOST_WAIT_MS = 60_000;
const DAY_MS = 86_400_000;

/** Ends the sentence "config.queue is y, expected ...". */
export const QUEUE_EXPECTED = `the name of a queue, or { name, batchSize (1 to ${MOST_BATCH}), batchTimeout (such as "5s", up to 60s), retries (0 to ${MOST_RETRIES}), backoff (such as "10s", up to 24h), deadLetter (the name of another queue), concurrency (1 to ${MOST_CONCURRENCY}) }`;

/** Reads the value of `config.queue`. Returns `null` for another form. */
export function toQueueConfig(value: unknown): QueueConfig | null {
  if (typeof value === "string") return toQueueConfig({ name: value });
  if (typeof value !== "object" || value === null) return null;
  const {
    name,
    batchSize = 10,
    batchTimeout = 0,
    retries = 3,
    backoff = 1_000,
    deadLetter = null,
    concurrency = 4,
    ...rest
  } = value as Readonly<Record<string, unknown>>;
  const batchTimeoutMs = toMs(batchTimeout, MOST_WAIT_MS);
  const backoffMs = toMs(backoff, DAY_MS);
  if (Object.keys(rest).length > 0 || batchTimeoutMs === null || backoffMs === null) return null;
  if (!isName(name) || (deadLetter !== null && (!isName(deadLetter) || deadLetter === name))) {
    return null;
  }
  if (!isWhole(batchSize, 1, MOST_BATCH) || !isWhole(retries, 0, MOST_RETRIES)) return null;
  if (!isWhole(concurrency, 1, MOST_CONCURRENCY)) return null;
  return { name, batchSize, batchTimeoutMs, retries, backoffMs, deadLetter, concurrency };
}

function isName(value: unknown): value is string {
  return typeof value === "string" && QUEUE_NAME.test(value);
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
}

function toMs(value: unknown, most: number): number | null {
  // A small number may mean seconds, as in the config file.
  if (typeof value === "number" && value > 0 && value < 1_000) return null;
  const ms = typeof value === "string" ? parseDurationMs(value) : value;
  return isWhole(ms, 0, most) ? ms : null;
}
