import { setImmediate, setTimeout as delay } from "node:timers/promises";
import { Connection, formatHead, toEndpoint } from "../../runtime/drill/connection.ts";
import { percentileOf } from "../../runtime/drill/latencies.ts";
import type { LoadReport } from "../bench/load.ts";

export interface EventsTask {
  readonly url: string;
  readonly clients: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/**
 * Connects many clients to a source of events and reads them: `data: NANOSECONDS`, from the monotonic clock. The latency
 * of an event is its age when it is read.
 *
 * Rate and latencies cover the time after the warm-up. The count covers all events from the first connection on,
 * because the server's processor time is known for that whole time only.
 */
export async function takeEvents(task: EventsTask): Promise<LoadReport> {
  const { url, clients, warmUpSeconds, seconds } = task;
  const tally: Tally = { count: 0, ages: [], isCounting: false, badStatuses: 0, lost: 0 };
  for (let left = clients; left > 0; left -= BATCH) {
    const batch = Array.from({ length: Math.min(BATCH, left) }, () => connect(url, tally));
    await Promise.all(batch);
  }
  await delay(warmUpSeconds * 1000);
  tally.isCounting = true;
  const startedAt = performance.now();
  await delay(seconds * 1000);
  // A process that had no processor for that time reads its events after its timers.
  await setImmediate();
  const rate = (tally.ages.length * 1000) / (performance.now() - startedAt);
  const { count, badStatuses, lost: socketErrors } = tally;
  const ages = tally.ages.toSorted((a, b) => a - b);
  const [p50Us, p99Us] = [percentileOf(ages, 0.5), percentileOf(ages, 0.99)];
  // The connections end with this process.
  return { count, rate, p50Us, p99Us, badStatuses, socketErrors };
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

/** Resolves at the first event, or when the client lost its connection. The others go on without it. */
function connect(url: string, tally: Tally): Promise<void> {
  return new Promise((resolve) => {
    const lose = (): void => {
      tally.lost++;
      resolve();
    };
    // Events never end.
    read(url, tally, resolve).then(lose, lose);
  });
}

async function read(url: string, tally: Tally, onFirst: () => void): Promise<void> {
  const connection = await Connection.open(toEndpoint(url));
  let rest = "";
  const receiving = connection.receive({
    onBody: (bytes) => {
      const now = process.hrtime.bigint();
      const events = parseEvents(rest + bytes.toString("latin1"));
      ({ rest } = events);
      const ages = events.times.map((time) => Number(now - time) / 1000);
      tally.count += ages.length;
      if (tally.isCounting) tally.ages.push(...ages);
      if (ages.length > 0) onFirst();
    },
  });
  await connection.send(formatHead("GET", new URL(url).pathname));
  const { head } = await receiving;
  if (head !== null && head.status !== 200) tally.badStatuses++;
}
