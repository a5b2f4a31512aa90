import type { Client } from "../http/client.ts";
import type { Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";

/**
 * Looks at a request once. Returns `next` to leave it to the next stage, `done` if the stage answers it, perhaps later, or the
 * responder that must answer it. A stage may add filters for the reply (`http/reply.ts`). It never waits.
 */
export type Stage = (client: Client, target: ParsedTarget) => "next" | "done" | Responder;

/** The stages that serve one or several host names. Immutable: a reload makes a new site. */
export interface Site {
  /** Host names (see `config/host-name.ts`). Empty: it answers for all that no other site names. */
  readonly hosts: readonly string[];
  /** Stages in the order in which they see a request. */
  readonly stages: readonly Stage[];
}

/** Answers a request with the stages of its site. Answers 404 if no stage takes it. */
export function serve(client: Client, target: ParsedTarget, { stages }: Site): void {
  serveFrom(client, target, { stages, from: 0 });
}

/** Answers a request with the stages from this one on, for a stage that had to wait. */
export function serveFrom(
  client: Client,
  target: ParsedTarget,
  { stages, from }: { stages: readonly Stage[]; from: number },
): void {
  for (let at = from; at < stages.length; at++) {
    const outcome = stages[at]?.(client, target) ?? "next";
    if (outcome === "next") continue;
    if (outcome !== "done") outcome.answer(client, target);
    return;
  }
  client.refuse(404);
}
