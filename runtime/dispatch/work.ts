import type { ExchangeId, RouteNumber } from "../channel/messages.ts";
import type { ExchangeState } from "./exchange.ts";
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
  return lane.inFlight.values().map(({ id, route, client, state, sinceMs }) => ({
    id,
    givenId: client.head.requestId ?? null,
    route,
    method: client.head.method,
    target: client.head.target,
    state,
    forMs: Math.round(nowMs - sinceMs),
  }));
}
