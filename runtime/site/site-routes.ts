import type { Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { KnownRoute } from "./stages/explain-not-found.ts";

/** The routes of one site, in the generation that serves. */
export interface SiteRoutes {
  /** Tells whether a route matches the target. A fallback does not count. */
  hasRoute(target: ParsedTarget): boolean;
  /** Returns the responder for a target; `null`: there is none. Stores the route's parameters in the target. */
  find(target: ParsedTarget): Responder | null;
  describeRoutes(): readonly KnownRoute[];
}
