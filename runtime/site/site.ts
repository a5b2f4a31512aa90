import type { Client } from "../http/client.ts";
import type { Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";

/**
 * Looks at a request once. Returns `next` when another stage is to look at it, `done` when the stage has answered it,
 * or the responder that answers it. A stage may add filters for the reply (`http/reply.ts`). It never waits.
 */
export type Stage = (client: Client, target: ParsedTarget) => "next" | "done" | Responder;

/** Everything that one or several host names get. Immutable: a reload makes another one. */
export interface Site {
  /** Names without a port, in lower case; `*`: every name. */
  readonly hosts: readonly string[];
  /** In the order in which they look at a request. */
  readonly stages: readonly Stage[];
}

/** Answers a request by the stages of its site. Refuses it with 404 if no stage takes it. */
export function serve(client: Client, target: ParsedTarget, { stages }: Site): void {
  for (const stage of stages) {
    const outcome = stage(client, target);
    if (outcome === "next") continue;
    if (outcome !== "done") outcome.answer(client, target);
    return;
  }
  client.refuse(404);
}
