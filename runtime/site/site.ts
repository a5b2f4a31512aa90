import type { Client } from "../http/client.ts";
import type { Inquiry } from "../http/inquiry.ts";
import { lead, type Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";

/**
 * Looks at a request once. Returns `next` to leave it to the next stage, `done` if the stage answers it, perhaps later, or the
 * responder that must answer it. A stage may add filters for the reply (`http/reply.ts`). It never waits.
 */
export type Stage = ((client: Client, target: ParsedTarget) => "next" | "done" | Responder) & {
  /** Name for explanations; absent: the stage records its own steps, or none. */
  readonly label?: string;
};

/** Names a stage for explanations. Call it with a new function: a wrapper would cost each request a call. */
export function labelled(label: string, stage: Stage): Stage {
  return Object.assign(stage, { label });
}

/** The stages that serve one or several host names. Immutable: a reload makes a new site. */
export interface Site {
  /** Its name in the config; absent: it refuses unknown hosts. */
  readonly name?: string;
  /** Host names (see `config/host-name.ts`). Empty: it answers for all that no other site names. */
  readonly hosts: readonly string[];
  /** Stages in the order in which they see a request. */
  readonly stages: readonly Stage[];
  /** Counts its requests until a route or a stage takes them (`observe/request-meters.ts`). */
  readonly series: number;
}

/** Answers a request with the stages of its site. Answers 404 if no stage takes it. */
export function serve(client: Client, target: ParsedTarget, site: Site): void {
  const { stages, name, series } = site;
  client.series = series;
  client.inquiry?.tell({ kind: "site", name: name ?? null });
  serveFrom(client, target, { stages, from: 0 });
}

/** Answers a request with the stages from this one on, for a stage that had to wait. */
export function serveFrom(
  client: Client,
  target: ParsedTarget,
  { stages, from }: { stages: readonly Stage[]; from: number },
): void {
  if (client.inquiry !== undefined) {
    explainFrom(client, target, { stages: stages.slice(from), inquiry: client.inquiry });
    return;
  }
  for (let at = from; at < stages.length; at++) {
    const outcome = stages[at]?.(client, target) ?? "next";
    if (outcome === "next") continue;
    if (outcome !== "done") outcome.answer(client, target);
    return;
  }
  client.refuse(404);
}

/** Asks the same stages about a request that is explained. */
function explainFrom(
  client: Client,
  target: ParsedTarget,
  { stages, inquiry }: { stages: readonly Stage[]; inquiry: Inquiry },
): void {
  for (const stage of stages) {
    const run = (): ReturnType<Stage> => stage(client, target);
    const { label: name } = stage;
    const outcome = name === undefined ? run() : inquiry.step({ name, rules: [] }, run);
    if (outcome === "next") continue;
    if (outcome !== "done") lead(outcome, client, target);
    return;
  }
  inquiry.step({ name: "not found", rules: [] }, () => {
    client.refuse(404);
    return "done";
  });
}
