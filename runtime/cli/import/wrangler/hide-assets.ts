import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { Section } from "../section.ts";
import type { Carrying } from "./carrying.ts";
import type { Item } from "./item.ts";
import { toWord } from "./to-word.ts";

/** Files that Pages reads and never serves. */
const PAGES_FILES = ["_worker.js", "_routes.json"];

/**
 * Adds a rule that refuses files of the folder that Cloudflare does not serve: those of `.assetsignore`, the module itself, and
 * the files of Pages.
 */
export function hideAssets(dir: string, item: Item, carrying: Carrying): void {
  const { config, report } = carrying;
  const isPages = carrying.keys.has("pages_build_output_dir");
  const named = [
    ...findMain(dir, carrying),
    ...readIgnored(dir, carrying),
    // Pages does the same, also for files of a later build.
    ...(isPages ? [] : PAGES_FILES.filter((name) => existsSync(join(dir, name)))),
  ].filter(isServed);
  const paths = new Set([...named, ...(isPages ? PAGES_FILES : [])]);
  if (paths.size === 0) return;
  const pages = [...paths].flatMap(toPagePath);
  const rule = new Section({
    path: [...[...paths].map((path) => `/${path}/**`), ...pages],
    respond: new Section({ status: 404 }),
  });
  config.set("rules", [rule]);
  if (named.length === 0) return;
  report.changed(
    item.where,
    `the rule answers ${[...new Set(named)].join(", ")} with 404: it does not know files that a later build adds elsewhere`,
  );
  if (pages.length > 0 && isSet(carrying.keys.get("main"))) {
    report.changed(
      { ...item.where, text: pages.join(", ") },
      "the rule answers these paths, too: move the pages out of the folder if the module answers there",
    );
  }
}

/** A name that begins with a dot is not served. */
function isServed(path: string): boolean {
  return !/(?:^|\/)\./.test(path);
}

/** Returns the path of a page without `.html`, at which its file answers, too. Empty: the file is no page. */
function toPagePath(path: string): string[] {
  if (!path.endsWith(".html")) return [];
  const short = `/${path.slice(0, -".html".length)}`.replace(/\/index$/, "");
  return [short === "" ? "/" : short];
}

function isSet(item: Item | undefined): item is Item {
  return item !== undefined && item.content !== null;
}

/** Returns the path of the module of the project, if it is within the folder. */
function findMain(dir: string, { keys, places }: Carrying): string[] {
  const main = keys.get("main");
  if (!isSet(main)) return [];
  const path = toWord(relative(dir, resolve(places.folder, main.text())));
  return path.startsWith("../") ? [] : [path];
}

/** Returns the paths of `.assetsignore`, by the rules of `.gitignore`. Reports lines that it cannot follow. */
function readIgnored(dir: string, { report, places }: Carrying): string[] {
  const file = join(dir, ".assetsignore");
  const place = toWord(relative(places.cwd, file));
  const hidden: string[] = [];
  for (const [index, text] of readLines(file).entries()) {
    const pattern = text.trim();
    if (pattern === "" || pattern.startsWith("#")) continue;
    const line = { place: `${place}:${index + 1}`, text: pattern };
    const name = pattern.replace(/^\/|\/$/g, "");
    if (!isPlain(name)) {
      report.lost(
        line,
        "these files are served: move them out of the folder, or add a rule for their paths with respond",
      );
      continue;
    }
    hidden.push(name);
    if (pattern.replace(/\/$/, "").includes("/")) continue;
    for (const path of findBelow(dir, name)) {
      if (isPlain(path)) hidden.push(path);
      else {
        report.lost(
          { ...line, text: `${pattern} (${path})` },
          "this file is served: move it out of the folder",
        );
      }
    }
  }
  return hidden;
}

/** Whether each part of a path is plain text in the pattern of a rule. */
function isPlain(path: string): boolean {
  return /^[\p{L}\p{N}_.@-]+(?:\/[\p{L}\p{N}_.@-]+)*$/u.test(path);
}

/** Returns the paths of all files and folders of a name below the top of a folder. */
function findBelow(dir: string, name: string, folder = ""): string[] {
  return listFolder(join(dir, folder)).flatMap((entry) => {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.name === name) return folder === "" ? [] : [path];
    const isOpen = entry.isDirectory() && isServed(entry.name);
    return isOpen ? findBelow(dir, name, path) : [];
  });
}

function listFolder(folder: string): { name: string; isDirectory: () => boolean }[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // Another program has removed it, or the server cannot read it either.
    return [];
  }
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    // Few folders have such a file.
    return [];
  }
}
