import type { WorkerId } from "../channel/messages.ts";
import { DEFAULT_SITE } from "../config/sites.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { InternalClient, InternalOutcome } from "./internal-client.ts";

/** A request that each new worker must answer. */
export interface WarmUpRequest {
  /** Name of the site. */
  site: string;
  origin: string;
  /** Path and query. */
  target: string;
}

/** One request of the warm-up to one worker. */
export interface WarmUpStep {
  workerId: WorkerId;
  request: WarmUpRequest;
  /** Sends the request to the worker, bypassing the queue. The client's `outcome` has the result. */
  send: (client: InternalClient) => void;
}

export interface WarmUpOptions {
  /** In the order in which they are sent. */
  requests: readonly WarmUpRequest[];
  /** Returns one step for each worker that answers the request; empty: no worker needs it. */
  stepsFor: (request: WarmUpRequest) => readonly WarmUpStep[];
  createClient: (request: WarmUpRequest) => InternalClient;
  signal: AbortSignal;
}

/**
 * Sends each request to each worker that answers it. All workers are warmed up at the same time, each with one request at
 * a time.
 *
 * @throws RuntimeError `ERR_HANDLER_LOAD` for the first answer of 500 or above, including timeouts; the signal's
 *   reason.
 */
export async function warmUp(options: WarmUpOptions): Promise<void> {
  const byWorker = new Map<WorkerId, WarmUpStep[]>();
  for (const step of options.requests.flatMap((request) => options.stepsFor(request))) {
    const steps = byWorker.get(step.workerId);
    if (steps === undefined) byWorker.set(step.workerId, [step]);
    else steps.push(step);
  }
  await Promise.all([...byWorker.values()].map((steps) => warmUpWorker(steps, options)));
}

async function warmUpWorker(
  steps: readonly WarmUpStep[],
  { createClient, signal }: WarmUpOptions,
): Promise<void> {
  for (const { workerId, request, send } of steps) {
    signal.throwIfAborted();
    const client = createClient(request);
    send(client);
    const { status, durationMs } = await untilAborted(client.outcome, signal);
    if (status < 500) continue;
    const ofSite = request.site === DEFAULT_SITE ? "" : ` of ${request.site}`;
    const found = `worker ${workerId} answered GET ${request.target}${ofSite} with ${status} after ${Math.round(durationMs)} ms`;
    throw new RuntimeError(
      "ERR_HANDLER_LOAD",
      `Cannot warm up: ${found}, expected a status below 500 (its log says why)`,
    );
  }
}

/** Waits for the outcome, or until the signal aborts. */
export async function untilAborted(
  outcome: Promise<InternalOutcome>,
  signal: AbortSignal,
): Promise<InternalOutcome> {
  const listening = new AbortController();
  try {
    const aborted = new Promise<never>((_, reject) => {
      const fail = (): void => reject(signal.reason as Error);
      signal.addEventListener("abort", fail, { once: true, signal: listening.signal });
    });
    return await Promise.race([outcome, aborted]);
  } finally {
    listening.abort();
  }
}
