import type { Config } from "../config/config.ts";
import type { ExchangeId, TransferLimits } from "../http/client.ts";
import type { PublicFolder } from "../files/public-folder.ts";
import { toDisplayPath } from "../lib/display-path.ts";
import type { Development } from "./development.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import { FolderRules, type FolderRulesOptions } from "../rules/folder-rules.ts";
import type { Canonical, RuleContext } from "../rules/kind.ts";
import { type CompiledRules, compileRules } from "../rules/compile-rules.ts";
import type { NextGuards } from "../rules/guards.ts";
import { serveFrom, type Site, type Stage } from "./site.ts";
import type { SiteRoutes } from "./site-routes.ts";
import {
  answerApplication,
  answerListing,
  answerNotFoundPage,
  type Pages,
  refuseMethods,
  refuseUnstored,
} from "./stages/answer-without-route.ts";
import { answerChallenge } from "./stages/answer-challenge.ts";
import { answerHealth } from "./stages/answer-health.ts";
import { guardFiles, guardPages, unlessGuarded } from "./stages/guard-files.ts";
import { explainNotFound } from "./stages/explain-not-found.ts";
import { limitTransfers } from "./stages/limit-transfers.ts";
import { showProblem } from "./stages/show-problem.ts";
import { tellChanges } from "./stages/tell-changes.ts";

export interface DefaultSiteParts {
  /** The settings of the site. */
  config: Config;
  /** `null`: the site has no files. */
  files: PublicFolder | null;
  /** `null`: the site has no handlers. */
  routes: SiteRoutes | null;
  /** The limits for slow clients that the site has for itself; `null`: those of the server. */
  transfer: TransferLimits | null;
  /** The name of the site. */
  name: string;
  guards: NextGuards;
  /** `null` in production. */
  development: Development | null;
  /** Returns whether the server can serve now, for health checks. */
  canServe: () => boolean;
  /** Returns the answers of the tokens that certificate authorities ask for. */
  challengeTokens: () => ReadonlyMap<string, string>;
  /** Returns the id of a request that the server makes to itself. */
  nextId: () => ExchangeId;
  log: FolderRulesOptions["log"];
  /** Returns the ports on which the server listens. */
  ports: Canonical["ports"];
}

/** Creates a site. Leaves out stages that its settings do not ask for. */
export function createDefaultSite(parts: DefaultSiteParts): Site {
  const { config, files, routes, development, transfer } = parts;
  const rest: Stage[] = [];
  const serveRest: RuleContext["serveRest"] = (client, target) =>
    serveFrom(client, target, { stages: rest, from: 0 });
  const guards = parts.guards.createFor(config.rules, {
    site: parts.name,
    find: (target) => routes?.find(target) ?? null,
  });
  const rules = compileRules(config.rules, {
    guards,
    serveRest,
    nextId: parts.nextId,
    canonical: toCanonical(parts),
  });
  const folder = files === null ? null : createFolderRules(parts, files, { rules, serveRest });
  const stages = withoutNull([
    transfer === null ? null : limitTransfers(transfer),
    files === null || folder === null ? null : folder.around(answerFile({ files, routes })),
    development === null
      ? null
      : showProblem(
          () => development.problem,
          (target) => routes?.hasRoute(target) === true,
        ),
    ...(files === null || folder === null
      ? []
      : stagesWithoutRoute({ files, routes, folder }, config)),
    routes === null ? null : (_, target) => routes.find(target) ?? "next",
    files === null || folder === null
      ? null
      : folder.withHeaders(answerNotFoundPage({ files: toPages({ files, routes }) })),
    development !== null || config.spa === null ? null : refuseUnstored,
    development === null ? null : explainNotFound(() => findPlaces(parts)),
  ]);
  rest.push(...stages);
  return { hosts: [], stages: [...withoutNull(firstStages(parts)), ...rules.stages, ...rest] };
}

/** Creates the stage that answers with files, perhaps through the middleware that guards them. */
function answerFile({ files, routes }: { files: PublicFolder; routes: SiteRoutes | null }): Stage {
  const answer: Stage = (client, target) => (files.answer(client, target) ? "done" : "next");
  if (routes?.guardsFiles !== true) return answer;
  const guard = guardFiles({ files, routes });
  return (client, target) => {
    const outcome = guard(client, target);
    return outcome === "next" ? answer(client, target) : outcome;
  };
}

function createFolderRules(
  { routes, log }: DefaultSiteParts,
  files: PublicFolder,
  { rules, serveRest }: { rules: CompiledRules; serveRest: RuleContext["serveRest"] },
): FolderRules {
  const { guardRewritten } = rules;
  const hasRoute = (target: ParsedTarget): boolean => routes?.hasRoute(target) === true;
  const pages = toPages({ files, routes });
  return new FolderRules({ folder: files, pages, log, hasRoute, serveRest, guardRewritten });
}

/** Returns the URL that clients of the site should use; `null`: any. */
function toCanonical({ config, ports }: DefaultSiteParts): Canonical | null {
  const { httpsRedirect: https, canonicalHost: host } = config;
  return https || host !== null ? { https, host, ports } : null;
}

/** Returns the stages for files that answer only where no route does, and before the fallbacks of handlers. */
function stagesWithoutRoute(
  parts: { files: PublicFolder; routes: SiteRoutes | null; folder: FolderRules },
  { spa, listing }: Config,
): (Stage | null)[] {
  const { routes } = parts;
  // Names of files and their methods are not told where middleware guards the files.
  const guarded = (stage: Stage): Stage =>
    routes?.guardsFiles === true ? unlessGuarded(routes, stage) : stage;
  return [
    guarded(refuseMethods(parts)),
    listing ? parts.folder.withHeaders(guarded(answerListing(parts))) : null,
    spa === null
      ? null
      : parts.folder.withHeaders(answerApplication({ routes, files: toPages(parts) }, spa)),
  ];
}

/** Returns the pages that the server chooses as answers. */
function toPages({ files, routes }: { files: PublicFolder; routes: SiteRoutes | null }): Pages {
  return routes?.guardsFiles === true ? guardPages({ files, routes }) : files;
}

function withoutNull(stages: readonly (Stage | null)[]): Stage[] {
  return stages.filter((stage) => stage !== null);
}

/** Creates the stages that come before all others at every host, also at an unknown one. */
export function firstStages({
  config: { acme, healthPath },
  development,
  canServe,
  challengeTokens,
}: Pick<
  DefaultSiteParts,
  "config" | "development" | "canServe" | "challengeTokens"
>): (Stage | null)[] {
  return [
    acme === null ? null : answerChallenge(challengeTokens),
    development === null ? null : tellChanges(() => development.buildCount),
    healthPath === null ? null : answerHealth(healthPath, canServe),
  ];
}

function findPlaces({ config, files, routes }: DefaultSiteParts) {
  const { handlersDir, publicDir } = config;
  return {
    routes: routes?.describeRoutes() ?? [],
    files: files?.paths ?? [],
    handlersDir: toDisplayPath(handlersDir),
    publicDir: publicDir === null ? null : toDisplayPath(publicDir),
  };
}
