import type { ExchangeId, RouteNumber } from "../channel/messages.ts";
import type { Exchange, ExchangeState } from "./exchange.ts";
import type { Lane } from "./lane.ts";

/** One exchange that a worker has, for operators to read. */
export interface Work {
  id: ExchangeId;
  /** The id that a trusted proxy gave to the request; `null`: none. */
  givenId: string | null;
  route: RouteNumber;
  method: string;
  target: string;
  /** `settled`: the client was answered or has left, and the worker has not yet confirmed the abort. */
  state: ExchangeState;
  /** Time since the dispatch. */
  forMs: number;
}

/** Lists a worker's exchanges in flight, oldest first, including aborted ones that it may still be running. */
export function toWork(lane: Lane, nowMs: number): Work[] {
  return lane.inFlight.values().map((exchange) => describe(exchange, nowMs));
}

/** Returns the exchange that a worker has had for the longest time; `null`: it has none. */
export function findOldestWork(lane: Lane, nowMs: number): Work | null {
  const oldest = lane.inFlight.least(({ sinceMs }) => sinceMs);
  return oldest === null ? null : describe(oldest, nowMs);
}

function describe({ id, route, client, state, sinceMs }: Exchange, nowMs: number): Work {
  return {
    id,
    givenId: client.head.requestId ?? null,
    route,
    method: client.head.method,
    target: client.head.target,
    state,
    forMs: Math.max(0, Math.round(nowMs - sinceMs)),
  };
}
