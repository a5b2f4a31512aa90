import type { Config } from "../config/config.ts";
import type { Development } from "./development.ts";
import type { Stage } from "./site.ts";
import { answerChallenge } from "./stages/answer-challenge.ts";
import { answerHealth } from "./stages/answer-health.ts";
import { tellChanges } from "./stages/tell-changes.ts";

export interface FirstStagesParts {
  config: Pick<Config, "acme" | "healthPath">;
  /** `null` in production. */
  development: Development | null;
  /** Returns whether the server can serve now, for health checks. */
  canServe: () => boolean;
  /** Returns the answers of the tokens that certificate authorities ask for. */
  challengeTokens: () => ReadonlyMap<string, string>;
}

/** Creates the stages that come before all others at every host, also at an unknown one. */
export function createFirstStages(parts: FirstStagesParts): Stage[] {
  const { config, development, canServe, challengeTokens } = parts;
  const { acme, healthPath } = config;
  const stages: (Stage | null)[] = [
    acme === null ? null : answerChallenge(challengeTokens),
    development === null ? null : tellChanges(() => development.buildCount),
    healthPath === null ? null : answerHealth(healthPath, canServe),
  ];
  return stages.filter((stage) => stage !== null);
}
