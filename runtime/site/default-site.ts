import type { Config } from "../config/config.ts";
import type { PublicFolder } from "../files/public-folder.ts";
import type { LiveGeneration } from "../handlers/live-generation.ts";
import { toDisplayPath } from "../lib/display-path.ts";
import type { Development } from "./development.ts";
import type { Site, Stage } from "./site.ts";
import { answerHealth } from "./stages/answer-health.ts";
import { explainNotFound } from "./stages/explain-not-found.ts";
import { showProblem } from "./stages/show-problem.ts";
import { tellChanges } from "./stages/tell-changes.ts";

export interface DefaultSiteParts {
  config: Config;
  files: PublicFolder;
  generation: LiveGeneration;
  /** `null` in production. */
  development: Development | null;
  /** Returns whether the server can serve now, for health checks. */
  canServe: () => boolean;
}

/** Creates the site for all host names. Leaves out stages that the config does not ask for. */
export function createDefaultSite(parts: DefaultSiteParts): Site {
  const { config, files, generation, development, canServe } = parts;
  const { healthPath, publicDir } = config;
  const stages: (Stage | null)[] = [
    development === null ? null : tellChanges(() => development.buildCount),
    healthPath === null ? null : answerHealth(healthPath, canServe),
    publicDir === null
      ? null
      : (client, target) => (files.answer(client, target) ? "done" : "next"),
    development === null
      ? null
      : showProblem(
          () => development.problem,
          (target) => generation.hasRoute(target),
        ),
    (_, target) => generation.find(target) ?? "next",
    development === null ? null : explainNotFound(() => findPlaces(parts)),
  ];
  return { hosts: ["*"], stages: stages.filter((stage) => stage !== null) };
}

function findPlaces({ config, files, generation }: DefaultSiteParts) {
  const { handlersDir, publicDir } = config;
  return {
    routes: generation.describeRoutes(),
    files: files.paths,
    handlersDir: toDisplayPath(handlersDir),
    publicDir: publicDir === null ? null : toDisplayPath(publicDir),
  };
}
