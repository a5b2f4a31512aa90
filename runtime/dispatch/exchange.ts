import type { ExchangeId, RouteNumber } from "../channel/messages.ts";
import type { ClientSide } from "./client-side.ts";
import type { Lane } from "./lane.ts";

/**
 * Where one request and its response stand.
 *
 *     receiving ──▶ queued ──▶ dispatched ──▶ settled
 *         └───────────┴────────────┴── client left, refused, worker lost ──▶ settled
 *
 * `settled` is entered exactly once; whoever enters it has answered the client or knows that it left.
 */
export type ExchangeState = "receiving" | "queued" | "dispatched" | "settled";

/** One request on its way through the dispatcher. */
export class Exchange {
  readonly id: ExchangeId;
  readonly client: ClientSide;
  readonly route: RouteNumber;
  readonly params: Record<string, string> | null;
  /** Absolute URL that the handler sees. */
  readonly url: string;
  /** Counts from the dispatch; 0: none. */
  readonly timeoutMs: number;
  body: Uint8Array | null = null;
  state: ExchangeState = "receiving";
  /** `performance.now()` when it was queued or dispatched: what its timeouts count from. */
  sinceMs = 0;
  /** The worker that has it, while it is dispatched. */
  lane: Lane | null = null;

  constructor(
    client: ClientSide,
    to: {
      route: RouteNumber;
      params: Record<string, string> | null;
      url: string;
      timeoutMs: number;
    },
  ) {
    this.id = client.id;
    this.client = client;
    this.route = to.route;
    this.params = to.params;
    this.url = to.url;
    this.timeoutMs = to.timeoutMs;
  }
}
