import type { ExchangeId, RouteNumber } from "../channel/messages.ts";
import type { BODY_FOLLOWS } from "../channel/messages.ts";
import type { Buffering } from "../bodies/buffering.ts";
import type { Client } from "../http/client.ts";
import type { FoundFile } from "../http/file-sender.ts";
import type { StandIn } from "../http/stand-in.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { RequestIntake } from "../bodies/request-intake.ts";
import type { ResponseFeed } from "../bodies/response-feed.ts";
import type { Fingerprint } from "../recovery/fingerprint.ts";
import type { Lane } from "./lane.ts";
import type { TimeoutSetting } from "./route-rules.ts";

/**
 * The state of one request and its response.
 *
 *     receiving ──▶ queued ──▶ dispatched ──whole response──▶ settled
 *         │           │          ▲  │ ├──a file──▶ opening ──▶ settled, or dispatched again
 *         │           │          │  │ └──head of a stream──▶ answering ──last chunk──▶ settled
 *         ├──suspect──│──▶ held ─┘  │                            │
 *         │           │     ▲ └─────│──┐                         │
 *         │           │     └─lost──┤  │                         │
 *         └───────────┴─────────────┴──┴── client left, refused, worker lost ──▶ settled
 *
 * `held`: the exchange waits in `recovery.ts`, to be dispatched again or to run alone. An exchange is settled exactly
 * once: when its client was answered, receives only the rest of a stream, or has left. A worker has a settled
 * exchange only until it confirms the abort.
 */
export type ExchangeState =
  | "receiving"
  | "queued"
  | "held"
  | "dispatched"
  /** The primary opens a file that the worker has handed over. */
  | "opening"
  | "answering"
  | "settled";

/** The history of an exchange that lost its worker, or that is like a suspect. */
export interface Trouble {
  /** First dispatch, from which the timeout counts; `null`: not yet dispatched. */
  firstMs: number | null;
  /** How many workers crashed with this exchange in flight. */
  crashes: number;
  /** How many workers were lost otherwise with this exchange in flight. */
  losses: number;
  /** The exchange may be the cause of a crash. */
  suspected: boolean;
  /** The exchange runs alone: it is suspected, or was lost too often among others. */
  alone: boolean;
}

/** A request whose route is known. */
export interface ExchangeOptions {
  route: RouteNumber;
  params: Record<string, string> | null;
  /** Absolute URL that the handler sees. */
  url: string;
  /** Counts from the dispatch; 0: no timeout. */
  timeoutMs: number;
  /** The setting that gave the timeout, for the log. */
  timeoutSetting: TimeoutSetting;
  buffering: Buffering;
  /** The exchange goes before all others. */
  reserved: boolean;
  /** Receives the body, once it is started; `null`: there is none. */
  intake: RequestIntake | null;
  /** The file that the request found, for middleware that guards files; absent for nearly all requests. */
  found?: FoundFile;
  /** Answers in place of a handler that passes its request on; absent: the handler's failure is the answer. */
  standIn?: StandIn | null;
  /** The target for the stand-in; absent: there is no stand-in. */
  target?: ParsedTarget;
  /**
   * How many calls of handlers have led to the request, one within the other. Its caller has a place in a worker and waits,
   * so the request gets a worker also where all are full. Absent: a client sent it.
   */
  callDepth?: number;
}

/** One request on its way through the dispatcher. */
export class Exchange {
  readonly id: ExchangeId;
  readonly client: Client;
  readonly route: RouteNumber;
  readonly params: Record<string, string> | null;
  readonly url: string;
  readonly timeoutMs: number;
  readonly timeoutSetting: TimeoutSetting;
  readonly buffering: Buffering;
  readonly reserved: boolean;
  /** The whole body, `BODY_FOLLOWS` for one that streams, or `null` for none. */
  body: Uint8Array | typeof BODY_FOLLOWS | null = null;
  readonly found: FoundFile | null;
  readonly standIn: StandIn | null;
  readonly target: ParsedTarget | null;
  /** 0: a client sent the request. */
  readonly callDepth: number;
  /** Receives the body until the exchange is settled. */
  intake: RequestIntake | null;
  /** Carries the response's body until it is complete. */
  feed: ResponseFeed | null = null;
  state: ExchangeState = "receiving";
  /** `performance.now()` at the start of the current wait or dispatch. Timeouts count from here. */
  sinceMs = 0;
  /** The worker, while the exchange is dispatched. */
  lane: Lane | null = null;
  /** `null` for nearly all exchanges. */
  trouble: Trouble | null = null;
  /** Computed on demand, at the latest when the body is dropped. */
  fingerprint: Fingerprint | null = null;

  constructor(client: Client, options: ExchangeOptions) {
    this.id = client.id;
    this.client = client;
    this.route = options.route;
    this.params = options.params;
    this.url = options.url;
    this.timeoutMs = options.timeoutMs;
    this.timeoutSetting = options.timeoutSetting;
    this.buffering = options.buffering;
    this.reserved = options.reserved;
    this.intake = options.intake;
    this.found = options.found ?? null;
    this.standIn = options.standIn ?? null;
    this.target = options.target ?? null;
    this.callDepth = options.callDepth ?? 0;
  }
}
