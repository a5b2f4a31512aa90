import type { Client } from "./client.ts";
import type { Responder } from "./responder.ts";
import type { ParsedTarget } from "./target-path.ts";

/**
 * The parts of a site that answer in place of a handler which failed after `passThroughOnException()`. Without the
 * handler, they would answer the request.
 */
export interface StandIn {
  /**
   * Returns the names of the parts that may answer a target, in the order in which they are asked: `files`, `proxy`, `spa`.
   * Files and the page `spa` leave out targets whose files middleware guards.
   */
  namesFor(target: ParsedTarget): string[];
  /** Answers the request, or returns the responder that must answer it; `null`: no part has an answer. */
  answer(client: Client, target: ParsedTarget): StandInAnswer | null;
}

export interface StandInAnswer {
  /** Name of the part. */
  readonly by: string;
  /** `done`: the part answers, perhaps later. */
  readonly outcome: "done" | Responder;
}

/** Has the stand-in of a site. The routes of a generation exist before its site does. */
export interface StandInSlot {
  /** `null`: the site has neither files nor a proxy, or does not exist yet. */
  standIn: StandIn | null;
}
