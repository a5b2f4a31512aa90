import type { HandlerTime } from "../channel/handler-time.ts";
import type { Client } from "./client.ts";

/** Where the time of one request went. Exists for requests only for which a setting asks. Times are those of `performance.now()`. */
export interface Timings {
  /** How long the request waited for a worker; 0: a worker had room. */
  queueMs: number;
  /** When a worker got the request; `null`: none did. */
  dispatchedMs: number | null;
  /** When the head of the worker's response arrived; `null`: it has not. */
  answeredMs: number | null;
  /** The worker's own measurement; `null`: it sent none, as Python workers do. */
  handler: HandlerTime | null;
}

/** Begins to measure a request. */
export function beginTimings(client: Client): Timings {
  client.timings ??= { queueMs: 0, dispatchedMs: null, answeredMs: null, handler: null };
  return client.timings;
}

/**
 * Returns the value of a `Server-Timing` field (https://www.w3.org/TR/server-timing/) for a request that is answered now.
 *
 * `channel` is the time between primary and worker: both ways, and the wait for the worker's event loop. Where the worker does
 * not measure its handler, `worker` is both together. `cache` has a duration if no worker and no upstream server answered.
 */
export function formatServerTiming(
  { timings, upstream, cached, receivedMs }: Client,
  nowMs: number,
): string {
  const totalMs = nowMs - receivedMs;
  const entries: string[] = [];
  const { dispatchedMs = null, answeredMs = null, handler = null, queueMs = 0 } = timings ?? {};
  if (dispatchedMs !== null) {
    entries.push(toEntry("queue", queueMs));
    const workerMs = (answeredMs ?? nowMs) - dispatchedMs;
    if (handler === null) entries.push(toEntry("worker", workerMs));
    else {
      entries.push(toEntry("channel", workerMs - handler.durationMs));
      entries.push(toEntry("handler", handler.durationMs));
    }
  }
  const upstreamMs = upstream?.durationMs ?? null;
  if (upstreamMs !== null) entries.push(toEntry("upstream", upstreamMs));
  if (cached !== null && cached !== undefined) {
    const answered = dispatchedMs === null && upstreamMs === null;
    const entry = `cache;desc="${cached}"`;
    entries.push(answered ? `${entry};${toDuration(totalMs)}` : entry);
  }
  entries.push(toEntry("total", totalMs));
  return entries.join(", ");
}

function toEntry(name: string, ms: number): string {
  return `${name};${toDuration(ms)}`;
}

function toDuration(ms: number): string {
  return `dur=${Math.max(0, Math.round(ms * 100) / 100)}`;
}
