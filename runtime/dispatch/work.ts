import type { ExchangeId, RouteNumber } from "../channel/messages.ts";
import type { ExchangeState } from "./exchange.ts";
import type { Lane } from "./lane.ts";

/** One exchange that a worker has, for a person to read. */
export interface Work {
  id: ExchangeId;
  route: RouteNumber;
  method: string;
  target: string;
  /** `settled`: its client has been answered or has left, and the worker has not taken note. */
  state: ExchangeState;
  /** Since its dispatch. */
  forMs: number;
}

/** What a worker has in flight, and what it may still be busy with though nobody waits for it; oldest first. */
export function toWork(lane: Lane, nowMs: number): Work[] {
  return lane.inFlight.values().map(({ id, route, client, state, sinceMs }) => ({
    id,
    route,
    method: client.head.method,
    target: client.head.target,
    state,
    forMs: Math.round(nowMs - sinceMs),
  }));
}
