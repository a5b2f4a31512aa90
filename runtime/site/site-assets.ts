import type { Config } from "../config/config.ts";
import { listSites, toSiteSettings } from "../config/sites.ts";
import type { PublicFolders } from "../files/public-folders.ts";
import type { Client } from "../http/client.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { FolderRuleFiles } from "../rules/folder-rule-files.ts";
import { createFileStages } from "./file-stages.ts";
import { serveFrom, type Stage } from "./site.ts";
import { refuseUnstored } from "./stages/answer-without-route.ts";

/** Answers a request with a file, or with 404. */
export type AnswerAssets = (client: Client, target: ParsedTarget) => void;

export interface SiteAssetsParts {
  config: Config;
  files: PublicFolders;
  ruleFiles: FolderRuleFiles;
}

/**
 * Answers the calls of handlers for files of public folders, by the stages that answer clients. The handler decides about the
 * client, so rules of the config and middleware that guards files do not count.
 */
export class SiteAssets {
  readonly #parts: SiteAssetsParts;
  /** By name of the site. Created by the first call. */
  readonly #answers = new Map<string, AnswerAssets | null>();

  constructor(parts: SiteAssetsParts) {
    this.#parts = parts;
  }

  /** Returns the function that answers with the files of a site; `null`: there is no such site, or it has no files. */
  of(name: string): AnswerAssets | null {
    const known = this.#answers.get(name);
    if (known !== undefined) return known;
    const answer = this.#create(name);
    this.#answers.set(name, answer);
    return answer;
  }

  #create(name: string): AnswerAssets | null {
    const { config, files, ruleFiles } = this.#parts;
    const site = listSites(config).find((each) => each.name === name);
    if (site === undefined) return null;
    const settings = toSiteSettings(config, site);
    const folder = files.folderOf(settings);
    if (folder === null) return null;
    const stages: Stage[] = [];
    const answer: AnswerAssets = (client, target) => serveFrom(client, target, { stages, from: 0 });
    const { beforeRoutes, withoutRoute, afterRoutes } = createFileStages({
      config: settings,
      files: folder,
      routes: null,
      rules: ruleFiles.rulesOf(folder.dir),
      serveRest: answer,
      checkRewritten: () => "next",
    });
    stages.push(...beforeRoutes, ...withoutRoute, ...afterRoutes);
    if (settings.spa !== null) stages.push(refuseUnstored);
    return answer;
  }
}
