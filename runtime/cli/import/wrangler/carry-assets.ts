import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { Section } from "../section.ts";
import type { Carrying, CarryKey } from "./carrying.ts";
import { hideAssets } from "./hide-assets.ts";
import { type Item, Table } from "./item.ts";
import { readCompatibility } from "./read-compatibility.ts";
import { reportUnknown } from "./report-unknown.ts";
import { setBinding } from "./set-binding.ts";
import { toWord } from "./to-word.ts";

/** Keys that name files for visitors. */
export const ASSET_CARRIERS: Readonly<Record<string, CarryKey>> = {
  assets: carryAssets,
  site: carrySite,
  pages_build_output_dir: carryPages,
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

function carryPages(item: Item, carrying: Carrying): void {
  const { config, report, draft, keys, places } = carrying;
  setPublic(item, carrying);
  const dir = resolve(places.folder, item.text());
  const isOwn = (keys.get("main")?.content ?? null) !== null;
  if (isOwn) {
    // The module of the advanced mode answers all requests, and asks for files by this name.
    draft.first = "all";
    setBinding("ASSETS", new Section({ assets: true }), { config, report, item });
  } else if (existsSync(join(dir, "_worker.js"))) {
    const path = toWord(relative(places.folder, join(dir, "_worker.js")));
    report.todo(
      { ...item.where, text: path },
      "this module answers no request yet: name its file as main, and import again",
    );
  }
  if (isOwn && existsSync(join(dir, "_routes.json"))) {
    report.changed(
      { ...item.where, text: toWord(relative(places.folder, join(dir, "_routes.json"))) },
      "the module answers at all paths, also at those of exclude",
    );
  }
  if (existsSync(join(places.folder, "functions"))) {
    report.lost(
      { ...item.where, text: "functions/" },
      "functions of Pages are not imported: write handlers with the same paths",
    );
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

function setPublic(item: Item, carrying: Carrying): void {
  const { config, report, places } = carrying;
  const dir = resolve(places.folder, item.text());
  config.set("public", toWord(relative(places.cwd, dir)));
  if (!relative(dir, places.cwd).startsWith("..")) {
    report.todo(item.where, "the folder has the whole project: move the files to one of their own");
  } else if (!existsSync(dir)) {
    report.todo(item.where, "there is no such folder yet: build the project first");
  }
  hideAssets(dir, item, carrying);
}
