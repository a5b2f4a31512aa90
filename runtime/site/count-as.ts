import type { Client } from "../http/client.ts";
import { lead, type Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import { labelled, type Stage } from "./site.ts";

/** The numbers of a site's places without a route (`observe/request-meters.ts`). */
export interface SiteSeries {
  readonly unmatched: number;
  readonly files: number;
  readonly proxy: number;
  readonly rules: number;
  /** Probes, and challenges of certificate authorities. */
  readonly server: number;
}

/** Returns a stage whose answers count under a number of their own. Requests that it leaves count as before. */
export function countAs(series: number, { unmatched }: SiteSeries, stage: Stage): Stage {
  const counted: Stage = (client, target) => {
    // The stage may answer before it returns.
    client.series = series;
    const outcome = stage(client, target);
    if (outcome === "next") client.series = unmatched;
    return outcome;
  };
  return stage.label === undefined ? counted : labelled(stage.label, counted);
}

/** Returns a responder whose answers count under a number of their own. */
export function answerAs(series: number, responder: Responder): Responder {
  return {
    answer(client: Client, target: ParsedTarget): void {
      client.series = series;
      responder.answer(client, target);
    },
    explain: (client, target) => lead(responder, client, target),
  };
}
