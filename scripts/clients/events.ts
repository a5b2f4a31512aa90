import { get, type ClientRequest } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { LoadReport } from "../bench/load.ts";

/**
 * Connects many clients to a source of events and reads them: `data: NANOSECONDS`, from the monotonic clock.
 *
 * Rate and latencies cover the time after the warm-up. The count covers all events from the first connection on,
 * because the server's processor time is known for that whole time only.
 */
export async function takeEvents(options: {
  readonly url: string;
  readonly clients: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}): Promise<LoadReport> {
  const { url, clients, warmUpSeconds, seconds } = options;
  const tally: Tally = { count: 0, ages: [], isCounting: false, badStatuses: 0, lost: 0 };
  const requests: ClientRequest[] = [];
  try {
    while (requests.length < clients) {
      const batch = Array.from({ length: Math.min(BATCH, clients - requests.length) }, () =>
        connect(url, tally),
      );
      requests.push(...batch.map(({ request }) => request));
      await Promise.all(batch.map(({ firstEvent }) => firstEvent));
    }
    await delay(warmUpSeconds * 1000);
    tally.isCounting = true;
    const startedAt = performance.now();
    await delay(seconds * 1000);
    tally.isCounting = false;
    const rate = tally.ages.length / ((performance.now() - startedAt) / 1000);
    const ages = tally.ages.toSorted((a, b) => a - b);
    const { count, badStatuses, lost: socketErrors } = tally;
    const p50Us = quantile(ages, 0.5);
    const p99Us = quantile(ages, 0.99);
    return { count, rate, p50Us, p99Us, badStatuses, socketErrors };
  } finally {
    for (const request of requests) request.destroy();
  }
}

/** Returns the times in some text of events, and the incomplete event at its end. */
export function parseEvents(text: string): { readonly times: bigint[]; readonly rest: string } {
  const parts = text.split("\n\n");
  const rest = parts.pop() ?? "";
  // A server may send comments, which keep a connection alive.
  const events = parts.filter((part) => !part.startsWith(":"));
  const times = events.map((part) => {
    const digits = /^data: (\d+)$/.exec(part)?.[1];
    if (digits === undefined) throw new Error(`not an event: "${part.slice(0, 80)}"`);
    return BigInt(digits);
  });
  return { times, rest };
}

interface Tally {
  count: number;
  /** In microseconds, of the events after the warm-up. */
  readonly ages: number[];
  isCounting: boolean;
  badStatuses: number;
  lost: number;
}

/** Connections opened at once: more would fill the server's accept queue. */
const BATCH = 50;

function connect(
  url: string,
  tally: Tally,
): { readonly request: ClientRequest; readonly firstEvent: Promise<void> } {
  const request = get(url, { agent: false, headers: { accept: "text/event-stream" } });
  const firstEvent = new Promise<void>((resolve) => {
    // A client that fails is counted, and the others go on without it.
    const lose = (): void => {
      tally.lost++;
      resolve();
    };
    request.once("error", lose);
    request.once("response", (response) => {
      if (response.statusCode !== 200) tally.badStatuses++;
      let rest = "";
      response.setEncoding("latin1");
      response.on("data", (text: string) => {
        const now = process.hrtime.bigint();
        const events = parseEvents(rest + text);
        ({ rest } = events);
        for (const time of events.times) {
          tally.count++;
          if (tally.isCounting) tally.ages.push(Number(now - time) / 1000);
        }
        resolve();
      });
      response.once("end", lose);
      response.once("error", lose);
    });
  });
  return { request, firstEvent };
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.ceil(sorted.length * share) - 1] ?? NaN;
}
