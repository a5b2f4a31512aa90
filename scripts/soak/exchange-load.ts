import { setTimeout as delay } from "node:timers/promises";
import { Connection, type Endpoint } from "../../runtime/drill/connection.ts";
import { expectOf, pathOf, planExchange, type ExchangePlan } from "./exchange-plan.ts";
import { sequence } from "./random.ts";
import { runExchange, type Outcome } from "./run-exchange.ts";

/** An exchange that ended as planned. */
export interface ExchangeRecord {
  readonly plan: ExchangePlan;
  readonly outcome: Outcome;
}

export interface ExchangeLoadOptions {
  /** Each connection goes through one of these. */
  readonly endpoints: readonly [Endpoint, ...Endpoint[]];
  readonly seed: number;
  readonly seconds: number;
  /** How many exchanges run at a time. */
  readonly concurrency: number;
  /** Number of the first exchange. Two loads of one server must not share any. */
  readonly from?: number;
}

/** No planned exchange takes longer, also on a busy machine. */
const HANGS_MS = 60_000;
/** Numbers of one loop's exchanges: more than it can run. */
const LOOP_NUMBERS = 1_000_000;

/**
 * Runs random exchanges side by side.
 *
 * @throws Error naming the first exchange that ends otherwise than planned, or not at all; none is running then.
 */
export async function runExchanges(options: ExchangeLoadOptions): Promise<ExchangeRecord[]> {
  const { concurrency } = options;
  const records: ExchangeRecord[] = [];
  const failures: Error[] = [];
  const endMs = performance.now() + options.seconds * 1000;
  const loop = async (index: number): Promise<void> => {
    const random = sequence(options.seed + index);
    let client: Connection | null = null;
    let number = (options.from ?? 0) + index * LOOP_NUMBERS;
    try {
      while (performance.now() < endMs && failures.length === 0) {
        const plan = planExchange(number++, random);
        const endpoint =
          options.endpoints[random(options.endpoints.length)] ?? options.endpoints[0];
        const again = random(2) === 0;
        if (client === null || client.closed || !again) {
          client?.socket.destroy();
          client = await Connection.open(endpoint);
        }
        records.push({ plan, outcome: await inTime(client, plan) });
        // The server announces the close first. A request that is sent now might be lost.
        if (client.head?.fields.get("connection") === "close") client.socket.destroy();
        if (client.socket.destroyed) client = null;
      }
    } catch (error) {
      failures.push(error instanceof Error ? error : new Error(String(error)));
    } finally {
      client?.socket.destroy();
    }
  };
  await Promise.all(Array.from({ length: concurrency }, (_, index) => loop(index)));
  if (failures[0] !== undefined) throw failures[0];
  return records;
}

async function inTime(client: Connection, plan: ExchangePlan): Promise<Outcome> {
  const timer = new AbortController();
  const deadline = delay(HANGS_MS, null, { signal: timer.signal }).catch(() => null);
  try {
    const outcome = await Promise.race([runExchange(client, plan), deadline]);
    if (outcome === null) {
      throw new Error(`nothing for ${HANGS_MS / 1000} s, after ${client.bodyBytes} bytes of body`);
    }
    return outcome;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(
      `${message}; ${client.secure ? "HTTPS" : "HTTP"} exchange ${JSON.stringify(plan)}`,
      { cause: error },
    );
  } finally {
    timer.abort();
  }
}

/** The server's access log about an exchange. */
export interface AccessOutcome {
  readonly path: string;
  readonly status: number;
}

/**
 * Compares the access log with the clients' outcomes. Every exchange that reached the server has exactly one line, with
 * the client's status. An exchange whose client left has at most one line. Pure.
 *
 * @returns One line per wrong exchange; empty when all are right.
 */
export function findAccessBreaches(
  records: readonly ExchangeRecord[],
  lines: readonly AccessOutcome[],
): string[] {
  const statuses = new Map<string, number[]>();
  for (const { path, status } of lines) {
    const known = statuses.get(path);
    if (known === undefined) statuses.set(path, [status]);
    else known.push(status);
  }
  return records.flatMap(({ plan, outcome }) => {
    // Several exchanges ask for the same file.
    if (plan.asked === "file") return [];
    const found = statuses.get(pathOf(plan)) ?? [];
    const allowed = statusesOf(plan, outcome);
    const isWell =
      found.length === 0
        ? outcome.kind === "left"
        : found.length === 1 && allowed.includes(found[0] ?? 0);
    if (isWell) return [];
    const expected = `${outcome.kind === "left" ? "at most" : "exactly"} one of ${allowed.join(", ")}`;
    return [
      `${pathOf(plan)} (${outcome.kind}): logged ${found.join(", ") || "never"}, expected ${expected}`,
    ];
  });
}

/** 499: its client left, or was cut off. 502: its answer broke off, after any status. */
function statusesOf(plan: ExchangePlan, outcome: Outcome): readonly number[] {
  switch (outcome.kind) {
    case "answered":
      return [outcome.status];
    case "broken":
      return [plan.break?.kind === "stalls-sending" ? 499 : 502];
    case "left":
      return [499, ...(expectOf(plan).kind === "broken" ? [500, 502] : [expectOf(plan).status])];
  }
}
