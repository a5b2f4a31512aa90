import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { IgnoredFiles } from "../../../files/ignored-files.ts";
import { Section } from "../section.ts";
import type { Carrying } from "./carrying.ts";
import type { Item } from "./item.ts";
import { toWord } from "./to-word.ts";

/** Files that Pages reads and never serves. */
const PAGES_FILES = ["_worker.js", "_routes.json"];

/**
 * Adds a rule that refuses files of the folder that Cloudflare does not serve: the module itself, and the files of Pages. The
 * server hides those of `.assetsignore`.
 */
export function hideAssets(dir: string, item: Item, carrying: Carrying): void {
  const { config, report } = carrying;
  const isPages = carrying.keys.has("pages_build_output_dir");
  const ignored = new IgnoredFiles(dir, { log: { warn: () => {} } });
  const named = [
    ...findMain(dir, carrying),
    // Pages does the same, also for files of a later build.
    ...(isPages ? [] : PAGES_FILES.filter((name) => existsSync(join(dir, name)))),
  ].filter((path) => isServed(path) && !ignored.hides(`/${path}`, false));
  const paths = new Set([...named, ...(isPages ? PAGES_FILES : [])]);
  if (paths.size === 0) return;
  const rule = new Section({
    path: [...paths].map((path) => `/${path}/**`),
    respond: new Section({ status: 404 }),
  });
  config.set("rules", [rule]);
  if (named.length === 0) return;
  report.changed(
    item.where,
    `the rule answers ${[...new Set(named)].join(", ")} with 404: write further files of code into .assetsignore in this folder`,
  );
}

/** A name that begins with a dot is not served. */
function isServed(path: string): boolean {
  return !/(?:^|\/)\./.test(path);
}

/** Returns the path of the module of the project, if it is within the folder. */
function findMain(dir: string, { keys, places }: Carrying): string[] {
  const main = keys.get("main");
  if (main === undefined || main.content === null) return [];
  const path = toWord(relative(dir, resolve(places.folder, main.text())));
  return path.startsWith("../") ? [] : [path];
}
