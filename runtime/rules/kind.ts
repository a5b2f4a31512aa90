import type { RuleActions } from "../config/rule-actions.ts";
import type { ProxySetting } from "../config/proxy-setting.ts";
import type { RuleSetting } from "../config/rule-settings.ts";
import type { Client, ExchangeId } from "../http/client.ts";
import type { Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { RuleGates } from "./gates.ts";

/** The parts of the server that rules use. */
export interface RuleContext {
  gates: RuleGates;
  /** Serves a request with the stages after those of the rules. */
  serveRest: (client: Client, target: ParsedTarget) => void;
  /** Returns the id of a request that the server makes to itself. */
  nextId: () => ExchangeId;
  /** Returns the responder of a proxy, the same one for the same setting. */
  proxyOf: (setting: ProxySetting) => Responder;
  /** The URL that clients should use; `null`: any. */
  canonical: Canonical | null;
}

/** The scheme and host name that clients should use. */
export interface Canonical {
  /** Sends clients from HTTP to HTTPS. */
  readonly https: boolean;
  /** The host name without a port; `null`: any. */
  readonly host: string | null;
  /** Returns the ports on which the server listens; `null`: none for this scheme. */
  readonly ports: () => { http: number | null; https: number | null };
}

/** A step of a request through the rules that hold for it. As `Stage` in `site/site.ts`: it never waits. */
export type Step = (client: Client, target: ParsedTarget) => "next" | "done" | Responder;

/** The use of a kind of action. */
export interface KindOptions {
  context: RuleContext;
  /**
   * Serves a request with the later steps and stages. For a step that waits: it returns a responder, which begins
   * `receiveBody` into a paused intake and calls `serveRest` later.
   */
  serveRest: (client: Client, target: ParsedTarget) => void;
  /** Passes a request whose target a rule has changed to the gates of rules that hold only for the new path. */
  checkRewritten: Step;
}

/** One kind of action. */
export interface Kind {
  /** The actions that it carries out, the main one first. Empty: it needs no rule. */
  readonly actions: readonly (keyof RuleActions)[];
  /**
   * `first`: comes before all others, and needs no rule. `reply`: changes replies, also refusals for a path with several
   * readings. `gate`: may refuse a request; a rewritten request passes the gates of both its paths. `answer`: all others.
   */
  readonly phase: "first" | "reply" | "gate" | "answer";
  /** The action of which only the first rule counts. Gates need it; absent: all rules count. */
  readonly firstOf?: keyof RuleActions;
  /**
   * Composes the step for requests for which exactly these rules hold, once for each such set.
   *
   * @param rules In their order. Not all of them have this action.
   * @returns `null`: none of the rules has this action.
   */
  compose(rules: readonly RuleSetting[], options: KindOptions): Step | null;
}
