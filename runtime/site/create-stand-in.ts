import type { StandIn } from "../http/stand-in.ts";
import type { Stage } from "./site.ts";

/** Creates the stand-in for handlers from stages with labels; `null`: there are none. */
export function createStandIn(stages: readonly Stage[]): StandIn | null {
  if (stages.length === 0) return null;
  return {
    names: stages.map(({ label = "" }) => label),
    answer(client, target) {
      for (const stage of stages) {
        const outcome = stage(client, target);
        if (outcome !== "next") return { by: stage.label ?? "", outcome };
      }
      return null;
    },
  };
}
