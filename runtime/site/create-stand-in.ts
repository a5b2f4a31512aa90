import type { StandIn } from "../http/stand-in.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { Stage } from "./site.ts";

/** A part of a site that answers in place of a handler which has failed. */
export interface StandInPart {
  readonly name: "files" | "proxy" | "spa";
  readonly stage: Stage;
  /** Whether the part may answer a target at all; absent: it may answer each. */
  readonly mayAnswer?: (target: ParsedTarget) => boolean;
}

/** Creates the stand-in for handlers from parts of the site; `null`: there are none. */
export function createStandIn(parts: readonly StandInPart[]): StandIn | null {
  if (parts.length === 0) return null;
  return {
    namesFor: (target) =>
      parts.filter((part) => part.mayAnswer?.(target) ?? true).map(({ name }) => name),
    answer(client, target) {
      for (const { name, stage, mayAnswer } of parts) {
        if (mayAnswer?.(target) === false) continue;
        const outcome = stage(client, target);
        if (outcome !== "next") return { by: name, outcome };
      }
      return null;
    },
  };
}
