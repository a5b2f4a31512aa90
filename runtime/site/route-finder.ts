import type { Client } from "../http/client.ts";
import type { FoundFile } from "../http/file-sender.ts";
import type { Inquiry } from "../http/inquiry.ts";
import type { Responder } from "../http/responder.ts";
import type { StandIn } from "../http/stand-in.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { KnownRoute } from "./stages/explain-not-found.ts";

/** Middleware that guards files. */
export interface FileGuard {
  /** Answers with the file, with a changed file or with something else, as the middleware decides. */
  answerFound(client: Client, target: ParsedTarget, found: FoundFile): void;
}

/**
 * The questions that stages ask about the routes of their site, in the generation that serves. `SiteRoutes` in
 * `handlers/` answers them.
 */
export interface RouteFinder {
  /** Tells whether a route matches the target. A fallback does not count. */
  hasRoute(target: ParsedTarget): boolean;
  /** Returns the responder for a target; `null`: there is none. Stores the route's parameters in the target. */
  find(target: ParsedTarget): Responder | null;
  /** Whether middleware guards files. */
  readonly guardsFiles: boolean;
  /** Returns the middleware that guards the files of a path; `null`: none does. */
  findGuard(target: ParsedTarget): FileGuard | null;
  /** Lets this stand-in answer requests that handlers pass on; `null`: nothing answers them. */
  useStandIn(standIn: StandIn | null): void;
  describeRoutes(): readonly KnownRoute[];
  /** Tells which route `find` returns for a target, and why not another one. */
  explain(target: ParsedTarget, inquiry: Inquiry): void;
}
