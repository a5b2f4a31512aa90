import { RuntimeError } from "../lib/errors.ts";
import type { InternalClient, InternalOutcome } from "./internal-client.ts";
import type { RecentRequest } from "../observe/recent-requests.ts";
import { untilAborted } from "./warm-up.ts";

/** Most requests at the same time. The probe tests new workers, and must not put them under load. */
const AT_A_TIME = 4;

/** Time for all requests. Requests that were not sent by then are left out. */
const LONGEST_MS = 10_000;

/** The probe warns when the median time is larger than before by both this factor and this difference. */
const SLOWER_FACTOR = 3;
const SLOWER_MS = 50;

/** An earlier request with its result, and the result of its repetition. */
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
  /** The reason why the new workers must not take over; `null`: they may. */
  refusal: string | null;
  /** One line per difference that may be intended. */
  warnings: string[];
}

/**
 * Repeats recent requests on new workers.
 *
 * @throws RuntimeError `ERR_HANDLER_LOAD` when a request fails that succeeded before; the signal's reason.
 * @returns Warnings for the log.
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

/** Compares classes of statuses and median times. Pure. */
export function judge(comparisons: readonly Comparison[]): Verdict {
  const failed = comparisons.find(hasFailed);
  const warnings = comparisons
    .filter(({ request, outcome }) => classOf(request.status) !== classOf(outcome.status))
    .map(({ request, outcome }) => {
      const { target, status } = request;
      return `GET ${target} was answered with ${status} before, and is answered with ${outcome.status} now`;
    });
  const before = median(comparisons.map(({ request }) => request.durationMs));
  const now = median(comparisons.map(({ outcome }) => outcome.durationMs));
  if (now > before * SLOWER_FACTOR && now > before + SLOWER_MS) {
    warnings.push(
      `the median time of ${comparisons.length} recent requests was ${Math.round(before)} ms, and is ${Math.round(now)} ms now`,
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
