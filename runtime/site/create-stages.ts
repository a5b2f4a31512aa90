import type { Config } from "../config/config.ts";
import type { ProxySetting } from "../config/proxy-setting.ts";
import type { PublicFolder } from "../files/public-folder.ts";
import type { Client, ExchangeId, TransferLimits } from "../http/client.ts";
import type { Responder } from "../http/responder.ts";
import { toDisplayPath } from "../lib/display-path.ts";
import { compileRules } from "../rules/compile-rules.ts";
import type { FolderRuleFiles } from "../rules/folder-rule-files.ts";
import type { NextGates } from "../rules/gates.ts";
import type { Canonical, RuleContext } from "../rules/kind.ts";
import type { StandInPart } from "./create-stand-in.ts";
import { createFileStages } from "./file-stages.ts";
import { answerAs, countAs } from "./count-as.ts";
import { createFirstStages, type FirstStagesParts } from "./first-stages.ts";
import type { RouteFinder } from "./route-finder.ts";
import { labelled, serveFrom, type Stage } from "./site.ts";
import { refuseUnstored } from "./stages/answer-without-route.ts";
import { explainNotFound, type KnownPlaces } from "./stages/explain-not-found.ts";
import { limitTransfers } from "./stages/limit-transfers.ts";
import { traceRequests } from "./stages/trace-requests.ts";
import { timeRequests } from "./stages/time-requests.ts";
import { showProblem } from "./stages/show-problem.ts";

export interface SiteParts extends FirstStagesParts {
  /** The settings of the site. */
  config: Config;
  /** `null`: the site has no files. */
  files: PublicFolder | null;
  /** `null`: the site has no handlers. */
  routes: RouteFinder | null;
  /** The limits for slow clients that the site has for itself; `null`: those of the server. */
  transfer: TransferLimits | null;
  /** The name of the site. */
  name: string;
  gates: NextGates;
  /** Returns the id of a request that the server makes to itself. */
  nextId: () => ExchangeId;
  /** The files of rules of all public folders. Those of `files` are read already. */
  ruleFiles: FolderRuleFiles;
  /** Returns the responder of a proxy under the settings of the site, the same one for the same proxy. */
  proxyOf: (setting: ProxySetting) => Responder;
  /** Begins the trace of a request; `null`: requests are not traced. */
  trace: ((client: Client) => void) | null;
  /** Returns the ports on which the server listens. */
  ports: Canonical["ports"];
}

export interface SiteStages {
  /** The stages that each request passes, in their order. */
  stages: Stage[];
  /** Stages that answer in place of a handler which has failed after `passThroughOnException()`. */
  standIns: StandInPart[];
}

/** Creates the stages of one site. Leaves out stages that its settings do not ask for. */
export function createStages(parts: SiteParts): SiteStages {
  const { config, files, routes, development, transfer, ruleFiles, series } = parts;
  const countAsFiles = (stage: Stage): Stage => countAs(series.files, series, stage);
  const rest: Stage[] = [];
  const serveRest: RuleContext["serveRest"] = (client, target) =>
    serveFrom(client, target, { stages: rest, from: 0 });
  const gates = parts.gates.createFor(config.rules, {
    site: parts.name,
    find: (target) => routes?.find(target) ?? null,
  });
  const { stages: ofRules, checkRewritten } = compileRules(config.rules, {
    gates,
    serveRest,
    nextId: parts.nextId,
    proxyOf: (setting) => answerAs(series.proxy, parts.proxyOf(setting)),
    canonical: toCanonical(parts),
  });
  const ofFiles =
    files === null
      ? null
      : createFileStages({
          config,
          files,
          routes,
          rules: ruleFiles.rulesOf(files.dir),
          serveRest,
          checkRewritten,
        });
  if (transfer !== null) rest.push(limitTransfers(transfer));
  if (ofFiles !== null) rest.push(...ofFiles.beforeRoutes.map(countAsFiles));
  if (development !== null) {
    const hasRoute: Parameters<typeof showProblem>[1] = (target) =>
      routes?.hasRoute(target) === true;
    rest.push(
      labelled(
        "development",
        showProblem(() => development.problem, hasRoute),
      ),
    );
  }
  const standIns: StandInPart[] = ofFiles === null ? [] : [ofFiles.standIns.file];
  if (config.proxy !== null) {
    const proxy = parts.proxyOf(config.proxy);
    const own = answerAs(series.proxy, proxy);
    // In place of a handler, its answers count for the route.
    standIns.push({ name: "proxy", stage: () => proxy });
    rest.push(labelled("proxy", (_, target) => (routes?.hasRoute(target) === true ? "next" : own)));
  }
  if (ofFiles !== null) {
    rest.push(...ofFiles.withoutRoute.map(countAsFiles));
    if (ofFiles.standIns.page !== null) standIns.push(ofFiles.standIns.page);
  }
  if (routes !== null) rest.push(labelled("routes", findRoute(routes)));
  if (ofFiles !== null) rest.push(...ofFiles.afterRoutes);
  if (development !== null) {
    rest.push(
      labelled(
        "development: not found",
        explainNotFound(() => findPlaces(parts)),
      ),
    );
  }
  if (development === null && config.spa !== null) rest.push(refuseUnstored);
  const counted = ofRules.map((stage) => countAs(series.rules, series, stage));
  // A request that a rule has held goes on with these.
  if (counted.length > 0) {
    rest.unshift((client) => {
      client.series = series.unmatched;
      return "next";
    });
  }
  const { serverTiming: all, serverTimingTokenDigest: tokenDigest } = config;
  const timing =
    all || tokenDigest !== null
      ? [labelled("serverTiming", timeRequests({ all, tokenDigest }))]
      : [];
  const { trace } = parts;
  const tracing = trace === null ? [] : [labelled("otlp", traceRequests(trace))];
  const stages = [...tracing, ...timing, ...createFirstStages(parts), ...counted, ...rest];
  return { stages, standIns };
}

function findRoute(routes: RouteFinder): Stage {
  return (client, target) => {
    const responder = routes.find(target);
    if (client.inquiry !== undefined) routes.explain(target, client.inquiry);
    return responder ?? "next";
  };
}

/** Returns the URL that clients of the site should use; `null`: any. */
function toCanonical({ config, ports }: SiteParts): Canonical | null {
  const { httpsRedirect: https, canonicalHost: host } = config;
  return https || host !== null ? { https, host, ports } : null;
}

function findPlaces({ config, files, routes }: SiteParts): KnownPlaces {
  const { handlersDir, publicDir } = config;
  return {
    routes: routes?.describeRoutes() ?? [],
    files: files?.paths ?? [],
    handlersDir: toDisplayPath(handlersDir),
    publicDir: publicDir === null ? null : toDisplayPath(publicDir),
  };
}
