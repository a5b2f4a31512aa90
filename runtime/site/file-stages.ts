import type { Config } from "../config/config.ts";
import type { PublicFolder } from "../files/public-folder.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import { FolderRules, type FolderRulesOptions } from "../rules/folder-rules.ts";
import type { RouteFinder } from "./route-finder.ts";
import type { StandInPart } from "./create-stand-in.ts";
import { labelled, type Stage } from "./site.ts";
import {
  answerApplication,
  answerListing,
  answerNotFoundPage,
  type Pages,
  refuseMethods,
} from "./stages/answer-without-route.ts";
import { guardFiles, guardPages, isUnguarded, unlessGuarded } from "./stages/guard-files.ts";

export interface FileStagesParts extends Pick<
  FolderRulesOptions,
  "rules" | "serveRest" | "checkRewritten"
> {
  config: Pick<Config, "listing" | "spa">;
  files: PublicFolder;
  /** `null`: the site has no handlers. */
  routes: RouteFinder | null;
}

/** The stages that answer with files of a public folder. The routes of handlers come between them. */
export interface FileStages {
  /** Stages before all routes: files, and the redirects of the folder. */
  beforeRoutes: readonly Stage[];
  /** Stages for paths that no route has. They come before the fallbacks of handlers. */
  withoutRoute: readonly Stage[];
  /** Stages for requests that no handler takes. */
  afterRoutes: readonly Stage[];
  /** Parts that answer in place of a handler which has failed. The proxy comes between them. */
  standIns: { readonly file: StandInPart; readonly page: StandInPart | null };
}

/** Creates the stages of a public folder. Leaves out stages that the settings do not ask for. */
export function createFileStages(parts: FileStagesParts): FileStages {
  const { config, routes, rules, serveRest, checkRewritten } = parts;
  const pages = toPages(parts);
  const folder = new FolderRules({
    rules,
    pages,
    hasRoute: (target) => routes?.hasRoute(target) === true,
    serveRest,
    checkRewritten,
  });
  // Names of files and their methods are not told where middleware guards the files.
  const guarded = (stage: Stage): Stage =>
    routes?.guardsFiles === true ? unlessGuarded(routes, stage) : stage;
  const withoutRoute = [labelled("methods of files", guarded(refuseMethods(parts)))];
  if (config.listing) {
    withoutRoute.push(labelled("listing", folder.withHeaders(guarded(answerListing(parts)))));
  }
  if (config.spa !== null) {
    const application = answerApplication({ routes, files: pages }, config.spa);
    withoutRoute.push(labelled("spa", folder.withHeaders(application)));
  }
  return {
    beforeRoutes: [labelled("files", folder.around(answerFile(parts)))],
    withoutRoute,
    afterRoutes: [labelled("404.html", folder.withHeaders(answerNotFoundPage({ files: pages })))],
    standIns: createStandIns(parts, (stage) => folder.withHeaders(stage)),
  };
}

/**
 * Creates the parts that answer in place of a failed handler.
 *
 * They leave out paths whose files middleware guards: the middleware would run as a second exchange with the id of the first
 * one, which is still in flight.
 *
 * @param withHeaders Adds the header rules.
 */
function createStandIns(
  { config, files, routes }: FileStagesParts,
  withHeaders: (stage: Stage) => Stage,
): FileStages["standIns"] {
  const file: Stage = (client, target) => (files.answer(client, target) ? "done" : "next");
  const page = config.spa === null ? null : answerApplication({ routes: null, files }, config.spa);
  const guarded =
    routes?.guardsFiles === true
      ? { mayAnswer: (target: ParsedTarget) => isUnguarded(routes, target) }
      : {};
  return {
    file: { name: "files", stage: withHeaders(file), ...guarded },
    page: page === null ? null : { name: "spa", stage: withHeaders(page), ...guarded },
  };
}

/** Creates the stage that answers with files, perhaps through the middleware that guards them. */
function answerFile({ files, routes }: Pick<FileStagesParts, "files" | "routes">): Stage {
  const answer: Stage = (client, target) => (files.answer(client, target) ? "done" : "next");
  if (routes?.guardsFiles !== true) return answer;
  const guard = guardFiles({ files, routes });
  return (client, target) => {
    const outcome = guard(client, target);
    return outcome === "next" ? answer(client, target) : outcome;
  };
}

/** Returns the pages that the server chooses as answers. */
function toPages({ files, routes }: Pick<FileStagesParts, "files" | "routes">): Pages {
  return routes?.guardsFiles === true ? guardPages({ files, routes }) : files;
}
