import { RuntimeError } from "../errors.ts";
import type { InternalClient, InternalOutcome } from "./internal-client.ts";
import type { RecentRequest } from "./recent-requests.ts";
import { untilAborted } from "./warm-up.ts";

/** At one time: new workers are tried, not put under load. */
const AT_A_TIME = 4;

/** Together; what has not been asked by then is not asked. */
const LONGEST_MS = 10_000;

/** Slower by this factor, and by so much, is worth a word. */
const SLOWER_FACTOR = 3;
const SLOWER_MS = 50;

/** How a request was answered before, and is answered now. */
export interface Comparison {
  request: RecentRequest;
  outcome: InternalOutcome;
}

export interface ProbeOptions {
  requests: readonly RecentRequest[];
  createClient: (request: RecentRequest) => InternalClient;
  send: (client: InternalClient) => void;
  signal: AbortSignal;
}

export interface Verdict {
  /** Why the new workers must not take over; `null`: nothing speaks against them. */
  refusal: string | null;
  /** What is odd and may be meant: one line each. */
  warnings: string[];
}

/**
 * Asks new workers what the old ones were asked of late.
 *
 * @throws RuntimeError `ERR_HANDLER_LOAD` when one fails that did not fail before; the signal's reason.
 * @returns What is odd, for the log.
 */
export async function probe({
  requests,
  createClient,
  send,
  signal,
}: ProbeOptions): Promise<string[]> {
  const untilMs = performance.now() + LONGEST_MS;
  const waiting = [...requests];
  const comparisons: Comparison[] = [];
  const askInTurn = async (): Promise<void> => {
    for (let request = waiting.pop(); request !== undefined; request = waiting.pop()) {
      signal.throwIfAborted();
      if (performance.now() > untilMs) return;
      const client = createClient(request);
      send(client);
      const outcome = await untilAborted(client.outcome, signal);
      comparisons.push({ request, outcome });
      if (hasFailed({ request, outcome })) return;
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, askInTurn));
  const { refusal, warnings } = judge(comparisons);
  if (refusal !== null) throw new RuntimeError("ERR_HANDLER_LOAD", refusal);
  return warnings;
}

/** Compares classes of statuses, and the middle of the times. Pure. */
export function judge(comparisons: readonly Comparison[]): Verdict {
  const failed = comparisons.find(hasFailed);
  const warnings = comparisons
    .filter(({ request, outcome }) => classOf(request.status) !== classOf(outcome.status))
    .map(({ request, outcome }) => {
      const { target, status } = request;
      return `GET ${target} was answered with ${status}, and is with ${outcome.status} now`;
    });
  const before = median(comparisons.map(({ request }) => request.durationMs));
  const now = median(comparisons.map(({ outcome }) => outcome.durationMs));
  if (now > before * SLOWER_FACTOR && now > before + SLOWER_MS) {
    warnings.push(
      `${comparisons.length} recent requests took ${Math.round(before)} ms in the middle, and take ${Math.round(now)} ms now`,
    );
  }
  return { refusal: failed === undefined ? null : describeFailure(failed), warnings };
}

function describeFailure({ request, outcome }: Comparison): string {
  const found = `GET ${request.target}, which was answered with ${request.status}, is answered with ${outcome.status}`;
  return `Cannot move to the new handlers: ${found}, expected no new failure (the log of its worker says why)`;
}

function hasFailed({ request, outcome }: Comparison): boolean {
  return request.status < 500 && outcome.status >= 500;
}

function classOf(status: number): number {
  return Math.floor(status / 100);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
