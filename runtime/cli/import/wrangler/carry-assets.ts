import { Section } from "../section.ts";
import type { Carrying, CarryKey } from "./carrying.ts";
import { type Item, Table } from "./item.ts";
import { readCompatibility } from "./read-compatibility.ts";
import { reportUnknown } from "./report-unknown.ts";
import { setBinding } from "./set-binding.ts";
import { setPublic } from "./set-public.ts";

/** Keys that name files for visitors. */
export const ASSET_CARRIERS: Readonly<Record<string, CarryKey>> = {
  assets: carryAssets,
  site: carrySite,
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
export type First = "all" | FirstPaths;

export interface FirstPaths {
  readonly paths: readonly string[];
  /** Paths whose requests never reach the module. */
  readonly never: readonly string[];
  /** Requests of all other paths never reach the module either. */
  readonly isOnly: boolean;
}

function readFirst(item: Item | null): First {
  if (item === null || item.content === false) return { paths: [], never: [], isOnly: false };
  if (item.content === true) return "all";
  const patterns = item.list().map((each) => {
    const text = each.text();
    if (/^!?\//.test(text)) return text;
    throw each.refusal('a path such as "/api/*" or "!/api/docs/*"', JSON.stringify(text));
  });
  const [never, paths] = [true, false].map((isNegative) =>
    patterns.filter((pattern) => pattern.startsWith("!") === isNegative),
  );
  const exceptions = (never ?? []).map((pattern) => pattern.slice(1));
  return { paths: paths ?? [], never: exceptions, isOnly: false };
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
