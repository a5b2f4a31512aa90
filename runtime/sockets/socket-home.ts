import type { RouteNumber, ToWorker, WorkerId } from "../channel/messages.ts";

/** A worker that has WebSockets, or may get some. */
export interface SocketHome {
  readonly workerId: WorkerId;
  /** Sends a message. Dropped if the worker is gone. `bytes`: about its size. */
  send(message: ToWorker, bytes?: number): void;
  /** Number of WebSockets of which it is the home. Counted by `HandlerSocket`. */
  awake: number;
  /** Number of these that end with it: their listeners are closures. Counted by `HandlerSocket`. */
  bound: number;
  /** Number of these with events that it has not confirmed. Counted by `HandlerSocket`. */
  busy: number;
  /** It is kept for suspects: other WebSockets go elsewhere with their next message. Set by `SocketIsolation`. */
  isKept: boolean;
  /** It takes nothing new. Set by `HandlerSockets`. */
  isRetired: boolean;
}

/** Returns the home that a ready worker is for WebSockets. */
export function createHome(workerId: WorkerId, send: SocketHome["send"]): SocketHome {
  return { workerId, send, awake: 0, bound: 0, busy: 0, isKept: false, isRetired: false };
}

/** The handlers that answer for a WebSocket now. */
export interface SocketPlace {
  /** Identifies the pool that answers. */
  readonly pool: object;
  /** Number of the route in its pool. */
  readonly route: RouteNumber;
  readonly params: Record<string, string> | null;
  /** The ready workers of its pool. */
  readonly homes: Iterable<SocketHome>;
}

/** A request for a WebSocket that a handler accepts. */
export interface SocketRequest {
  readonly home: SocketHome;
  /** Name of the site, which has topics of its own. */
  readonly site: string;
  /** As the handler sees it. */
  readonly url: string;
}
