import type { Group } from "../balance/group.ts";
import type { BlockPool } from "../bodies/block-pool.ts";
import type { Intakes } from "../bodies/intakes.ts";
import type { Spool } from "../bodies/spool.ts";
import type { Admission } from "../http/admission.ts";
import type { Client } from "../http/client.ts";
import type { Inquiry } from "../http/inquiry.ts";
import type { Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { TurnClock } from "../lib/turn-clock.ts";
import type { Logger } from "../log/log.ts";
import type { Counters } from "../observe/counters.ts";
import type { UpstreamTimeouts } from "../upstream/exchange.ts";
import type { FailureLog } from "./failure-log.ts";
import type { OpenRequests } from "./open-requests.ts";
import { ProxyExchange } from "./proxy-exchange.ts";
import type { ProxyRuleBook } from "./proxy-rules.ts";
import type { ReplyFieldMaker } from "./reply-fields.ts";
import type { RequestFields } from "./request-fields.ts";
import type { RetryBudget } from "./retry-budget.ts";
import { type PathChange, toUpstreamTarget } from "./target.ts";
import type { WaitingBytes } from "../lib/waiting-bytes.ts";
import type { LazyFrames } from "../http/web-socket-frames.ts";

/** The parts of the server that all proxies share. */
export interface ProxyParts {
  readonly log: Logger;
  readonly clock: TurnClock;
  readonly admission: Admission;
  readonly intakes: Intakes;
  readonly blocks: BlockPool;
  readonly spool: Spool;
  readonly counters: Counters;
  readonly requestIdPrefix: string;
  readonly failures: FailureLog;
  readonly open: OpenRequests;
  readonly frames: LazyFrames;
  readonly waiting: WaitingBytes;
}

/** The part of a group that its requests use. */
export type ServerChoice = Pick<
  Group,
  "setting" | "status" | "pick" | "hasOther" | "wait" | "succeeded" | "failed" | "stickyCookieOf"
>;

/** One proxy: a group of upstream servers, with the rules for the requests that it gets. */
export interface ProxyOptions {
  readonly parts: ProxyParts;
  readonly group: ServerChoice;
  readonly budget: RetryBudget;
  readonly rules: ProxyRuleBook;
  readonly path: PathChange;
  readonly requestFields: RequestFields;
  readonly replyFields: ReplyFieldMaker;
  /** The field `host` for an upstream. */
  readonly host: "keep" | "upstream" | { readonly value: string };
  /** Most servers to which a request goes after the first. */
  readonly retries: number;
  /** `null`: those of the group. */
  readonly timeouts: UpstreamTimeouts | null;
}

/** Answers requests with the responses of upstream servers. */
export class ProxyResponder implements Responder {
  readonly #options: ProxyOptions;

  constructor(options: ProxyOptions) {
    this.#options = options;
  }

  answer(client: Client, target: ParsedTarget): void {
    const options = this.#options;
    const rules = options.rules.of(target.settings);
    if (rules.transfer !== null) client.limitTransfers(rules.transfer);
    if (!options.parts.admission.admits(client, { isReserved: false })) return;
    const own = { target: toUpstreamTarget(target, options.path), rules, options };
    new ProxyExchange(client, own).begin();
  }

  /** Names the upstream servers, and the target that they would get. */
  explain(client: Client, target: ParsedTarget, inquiry: Inquiry): void {
    const { group, path, parts } = this.#options;
    const { name, servers } = group.status();
    inquiry.tell({
      kind: "proxy",
      group: name,
      target: toUpstreamTarget(target, path),
      servers: servers.map((server) => ({ name: server.name, state: server.state })),
    });
    if (parts.admission.admits(client, { isReserved: false })) inquiry.conclude();
  }
}
