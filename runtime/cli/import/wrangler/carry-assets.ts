import { existsSync, readFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { Section } from "../section.ts";
import type { Carrying, CarryKey } from "./carrying.ts";
import { type Item, Table } from "./item.ts";
import { readCompatibility } from "./read-compatibility.ts";
import { setBinding } from "./set-binding.ts";

/** Keys that name files for visitors. */
export const ASSET_CARRIERS: Readonly<Record<string, CarryKey>> = {
  assets: carryAssets,
  site: carrySite,
  pages_build_output_dir: (item, carrying) => {
    setPublic(item, carrying);
    if (existsSync(join(carrying.places.folder, "functions"))) {
      carrying.report.lost(
        { ...item.where, text: "functions/" },
        "functions of Pages are not imported: write handlers with the same paths",
      );
    }
  },
};

/** The name of the binding that the modules of this import use where the project has none. */
const OWN_BINDING = "EDGICORN_ASSETS";

const KNOWN = ["directory", "binding", "html_handling", "not_found_handling", "run_worker_first"];

function carryAssets(item: Item, carrying: Carrying): void {
  const { config, report, draft, keys } = carrying;
  const assets = new Table(item);
  const directory = assets.get("directory");
  if (directory === null) {
    report.todo(item.where, "set `public` to the folder that the build of the project writes");
  } else setPublic(directory, carrying);
  setPages(assets, carrying);
  const binding = assets.get("binding")?.text() ?? null;
  if (binding !== null) {
    setBinding(binding, new Section({ assets: true }), { config, report, item });
  }
  reportUnknown(assets, KNOWN, carrying);
  const first = readFirst(assets.get("run_worker_first"));
  if (keys.get("main") === undefined) return;
  draft.first = first;
  draft.hasPages = first !== "all" && prefersPages(assets, keys);
  if (draft.hasPages || (first !== "all" && first.never.length > 0)) {
    draft.assets = binding ?? OWN_BINDING;
    if (binding === null) {
      setBinding(OWN_BINDING, new Section({ assets: true }), { config, report, item });
    }
  }
}

/** Paths whose requests reach the module before the files, in the patterns of Workers; `all`: those of all paths. */
export type First =
  | "all"
  | { readonly paths: readonly string[]; readonly never: readonly string[] };

function readFirst(item: Item | null): First {
  if (item === null || item.content === false) return { paths: [], never: [] };
  if (item.content === true) return "all";
  const patterns = item.list().map((each) => {
    const text = each.text();
    if (/^!?\//.test(text)) return text;
    throw each.refusal('a path such as "/api/*" or "!/api/docs/*"', JSON.stringify(text));
  });
  const [never, paths] = [true, false].map((isNegative) =>
    patterns.filter((pattern) => pattern.startsWith("!") === isNegative),
  );
  return { paths: paths ?? [], never: (never ?? []).map((pattern) => pattern.slice(1)) };
}

/** Whether a page that a visitor opens is one of the assets even without a file: with the dates and flags of Workers. */
function prefersPages(assets: Table, keys: ReadonlyMap<string, Item>): boolean {
  const handling = assets.get("not_found_handling")?.content ?? "none";
  if (handling === "none") return false;
  const { date, flags } = readCompatibility(keys);
  if (flags.includes("assets_navigation_has_no_effect")) return false;
  return flags.includes("assets_navigation_prefers_asset_serving") || date >= "2025-04-01";
}

function setPages(assets: Table, { config, report }: Carrying): void {
  const missing = assets.get("not_found_handling");
  const kind = missing?.word(["single-page-application", "404-page", "none"]);
  if (kind === "single-page-application") config.set("spa", true);
  const html = assets.get("html_handling");
  const words = [
    "auto-trailing-slash",
    "force-trailing-slash",
    "drop-trailing-slash",
    "none",
  ] as const;
  const handling = html?.word(words) ?? "auto-trailing-slash";
  config.set("cleanUrls", handling === "none" ? false : "redirect");
  if (handling === "force-trailing-slash") config.set("trailingSlash", "always");
  if (handling === "drop-trailing-slash") config.set("trailingSlash", "never");
  if (handling === "none" && html !== null) {
    report.changed(html.where, "a folder answers with its index.html");
  }
}

function carrySite(item: Item, carrying: Carrying): void {
  const { report } = carrying;
  const site = new Table(item);
  const bucket = site.need("bucket");
  setPublic(bucket, carrying);
  report.changed(
    bucket.where,
    "files are answered before the module: take getAssetFromKV and __STATIC_CONTENT out of its code, or use env.ASSETS.fetch() with the binding { assets: true }",
  );
  for (const key of ["include", "exclude"]) {
    const patterns = site.get(key);
    if (patterns !== null) {
      report.lost(patterns.where, "all files of the folder are served: move the others out of it");
    }
  }
  reportUnknown(site, ["bucket", "include", "exclude", "entry-point"], carrying);
}

/** Reports keys of a table that Workers does not know either. */
export function reportUnknown(table: Table, known: readonly string[], { report }: Carrying): void {
  for (const other of table.others(known)) {
    report.lost(other.where, `this key is not known, expected one of ${known.join(", ")}`);
  }
}

function setPublic(item: Item, carrying: Carrying): void {
  const { config, report, places } = carrying;
  const dir = resolve(places.folder, item.text());
  config.set("public", toWord(relative(places.cwd, dir)));
  if (!relative(dir, places.cwd).startsWith("..")) {
    report.todo(item.where, "the folder has the whole project: move the files to one of their own");
  } else if (!existsSync(dir)) {
    report.todo(item.where, "there is no such folder yet: build the project first");
  }
  hidePaths(dir, item, carrying);
}

function toWord(path: string): string {
  return path === "" ? "." : path.split(sep).join("/");
}

/** Refuses files of the folder that Workers does not upload: those of `.assetsignore`, and the module itself. */
function hidePaths(dir: string, item: Item, { config, report, places, keys }: Carrying): void {
  const main = keys.get("main");
  const own = main === undefined ? ".." : relative(dir, resolve(places.folder, main.text()));
  const hidden = own.startsWith("..") ? [] : [toWord(own)];
  for (const [index, text] of readLines(join(dir, ".assetsignore")).entries()) {
    const pattern = text.trim();
    if (pattern === "" || pattern.startsWith("#")) continue;
    const name = pattern.replace(/^\/|\/$/g, "");
    if (/^[\w.@-]+(?:\/[\w.@-]+)*$/.test(name)) hidden.push(name);
    else {
      const file = toWord(relative(places.cwd, join(dir, ".assetsignore")));
      report.lost(
        { place: `${file}:${index + 1}`, text: pattern },
        "these files are served: move them out of the folder, or add a rule for their paths with respond",
      );
    }
  }
  // A name that begins with a dot is not served.
  const paths = [...new Set(hidden)].filter((name) => !/(?:^|\/)\./.test(name));
  if (paths.length === 0) return;
  const rule = new Section({
    path: paths.map((name) => `/${name}/**`),
    respond: new Section({ status: 404 }),
  });
  config.set("rules", [rule]);
  report.changed(
    item.where,
    `the rule answers ${paths.join(", ")} with 404, at the top of the folder`,
  );
}

function readLines(file: string): string[] {
  try {
    return readFileSync(file, "utf8").split("\n");
  } catch {
    // Few folders have such a file.
    return [];
  }
}
