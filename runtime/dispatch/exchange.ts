import type { ExchangeId, RouteNumber } from "../channel/messages.ts";
import type { BODY_FOLLOWS } from "../channel/messages.ts";
import type { Buffering } from "./buffering.ts";
import type { ClientSide } from "./client-side.ts";
import type { RequestIntake } from "./request-intake.ts";
import type { ResponseFeed } from "./response-feed.ts";
import type { Fingerprint } from "./fingerprint.ts";
import type { Lane } from "./lane.ts";

/**
 * Where one request and its response stand.
 *
 *     receiving ──▶ queued ──▶ dispatched ──whole response──▶ settled
 *         │           │          ▲  │ └──head of a stream──▶ answering ──last chunk──▶ settled
 *         ├──suspect──│──▶ held ─┘  │                            │
 *         │           │     ▲ └─────│──┐                         │
 *         │           │     └─lost──┤  │                         │
 *         └───────────┴─────────────┴──┴── client left, refused, worker lost ──▶ settled
 *
 * `held`: it waits in the hands of `recovery.ts`, to be dispatched once more or to run alone. `settled` is entered
 * exactly once: its client has been answered, is being sent what is left of a stream, or has left; and no worker has it,
 * or the worker was told to abort it.
 */
export type ExchangeState =
  | "receiving"
  | "queued"
  | "held"
  | "dispatched"
  | "answering"
  | "settled";

/** What an exchange has been through that lost its worker, or that looks like one that did. */
export interface Trouble {
  /** When it was dispatched for the first time, which is what its timeout counts from; `null`: it was not yet. */
  firstMs: number | null;
  /** How many workers were lost with it in flight by what they did themselves... */
  crashes: number;
  /** ...and how many otherwise. */
  losses: number;
  /** It may be why a worker was lost by what it did itself. */
  suspected: boolean;
  /** It runs alone: it is suspected, or has been lost too often among others. */
  alone: boolean;
}

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
  readonly buffering: Buffering;
  /** It goes before all others, and where others are refused. */
  readonly reserved: boolean;
  /** Its body, or that it follows. */
  body: Uint8Array | typeof BODY_FOLLOWS | null = null;
  /** The body while it is not complete. */
  intake: RequestIntake | null = null;
  /** The response's body while it is not complete. */
  feed: ResponseFeed | null = null;
  state: ExchangeState = "receiving";
  /** `performance.now()` when it was queued or dispatched: what its timeouts count from. */
  sinceMs = 0;
  /** The worker that has it, while it is dispatched. */
  lane: Lane | null = null;
  /** `null` for nearly all. */
  trouble: Trouble | null = null;
  /** Computed when it is asked for, or before the body goes. */
  fingerprint: Fingerprint | null = null;

  constructor(
    client: ClientSide,
    to: {
      route: RouteNumber;
      params: Record<string, string> | null;
      url: string;
      timeoutMs: number;
      buffering: Buffering;
      reserved?: boolean;
    },
  ) {
    this.id = client.id;
    this.client = client;
    this.route = to.route;
    this.params = to.params;
    this.url = to.url;
    this.timeoutMs = to.timeoutMs;
    this.buffering = to.buffering;
    this.reserved = to.reserved === true;
  }
}
