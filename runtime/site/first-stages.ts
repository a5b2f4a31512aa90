import type { Config } from "../config/config.ts";
import { countAs, type SiteSeries } from "./count-as.ts";
import type { Development } from "./development.ts";
import { labelled, type Stage } from "./site.ts";
import { answerChallenge } from "./stages/answer-challenge.ts";
import { answerHealth } from "./stages/answer-health.ts";
import { answerLive, answerReady } from "./stages/answer-probes.ts";
import { tellChanges } from "./stages/tell-changes.ts";

export interface FirstStagesParts {
  config: Pick<Config, "acme" | "healthPath" | "livePath" | "readyPath">;
  series: SiteSeries;
  /** `null` in production. */
  development: Development | null;
  /** Returns whether any pool can answer, for the health path. */
  canServe: () => boolean;
  /** Returns whether all pools can answer that must, for readiness probes. */
  isReady: () => boolean;
  /** Returns the answers of the tokens that certificate authorities ask for. */
  challengeTokens: () => ReadonlyMap<string, string>;
}

/** Creates the stages that come before all others at every host, also at an unknown one. */
export function createFirstStages(parts: FirstStagesParts): Stage[] {
  const { config, series, development, canServe, isReady, challengeTokens } = parts;
  const { acme, healthPath, livePath, readyPath } = config;
  const stages: (Stage | null)[] = [
    acme === null ? null : labelled("acme", answerChallenge(challengeTokens)),
    development === null
      ? null
      : labelled(
          "development",
          tellChanges(() => development.buildCount),
        ),
    healthPath === null ? null : labelled("healthPath", answerHealth(healthPath, canServe)),
    livePath === null ? null : labelled("livePath", answerLive(livePath)),
    readyPath === null ? null : labelled("readyPath", answerReady(readyPath, isReady)),
  ];
  return stages
    .flatMap((stage) => stage ?? [])
    .map((stage) => countAs(series.server, series, stage));
}
