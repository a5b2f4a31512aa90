import type { Client } from "./client.ts";
import type { Inquiry } from "./inquiry.ts";
import type { ParsedTarget } from "./target-path.ts";

/**
 * Answers requests: a route of the handlers, an upstream, a status page.
 *
 * Several responders may share a resource, such as a pool of workers. The owner of the resource opens and closes it.
 */
export interface Responder {
  /** Takes responsibility for a request: it gets exactly one reply, unless its client leaves. */
  answer(client: Client, target: ParsedTarget): void;
  /** Describes the answer to a request without giving it; absent: the responder has nothing to say. */
  explain?(client: Client, target: ParsedTarget, inquiry: Inquiry): void;
}

/** Lets a responder answer a request, or describe its answer to a request that is explained. */
export function lead(responder: Responder, client: Client, target: ParsedTarget): void {
  const { inquiry } = client;
  if (inquiry === undefined) responder.answer(client, target);
  else if (responder.explain === undefined) inquiry.conclude();
  else responder.explain(client, target, inquiry);
}
