import type { Client } from "./client.ts";
import type { ParsedTarget } from "./target-path.ts";

/**
 * Answers requests: a route of the handlers, an upstream, a status page.
 *
 * Several responders may share a resource, such as a pool of workers. The owner of the resource opens and closes it.
 */
export interface Responder {
  /** Takes responsibility for a request: it gets exactly one reply, unless its client leaves. */
  answer(client: Client, target: ParsedTarget): void;
}
