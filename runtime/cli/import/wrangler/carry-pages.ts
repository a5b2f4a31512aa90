import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { Section } from "../section.ts";
import type { Carrying, CarryKey } from "./carrying.ts";
import type { Item } from "./item.ts";
import { toFirstPaths } from "./read-routes.ts";
import { setBinding } from "./set-binding.ts";
import { setPublic } from "./set-public.ts";
import { toWord } from "./to-word.ts";

/** The key of projects for Pages. */
export const PAGES_CARRIERS: Readonly<Record<string, CarryKey>> = {
  pages_build_output_dir: carryPages,
};

/** The name under which the module of the advanced mode asks for files. */
const BINDING = "ASSETS";

function carryPages(item: Item, carrying: Carrying): void {
  const { config, report, draft, keys, places, routes } = carrying;
  setPublic(item, carrying);
  const dir = resolve(places.folder, item.text());
  config.set("cleanUrls", "redirect");
  // Pages takes a project without a page for missing files as one of a single page.
  if (existsSync(join(dir, "index.html")) && !existsSync(join(dir, "404.html"))) {
    config.set("spa", true);
  }
  const isOwn = (keys.get("main")?.content ?? null) !== null;
  if (isOwn) {
    // The module of the advanced mode answers before the files.
    draft.first = routes === null ? "all" : toFirstPaths(routes);
    if (draft.first !== "all") draft.assets = BINDING;
    setBinding(BINDING, new Section({ assets: true }), { config, report, item });
  } else if (existsSync(join(dir, "_worker.js"))) {
    const path = toWord(relative(places.folder, join(dir, "_worker.js")));
    report.todo(
      { ...item.where, text: path },
      "this module answers no request yet: name its file as main, and import again",
    );
  }
  if (isOwn && routes !== null && draft.first !== "all") {
    report.changed(
      { ...routes.where, text: "include, exclude" },
      "_first.js has these paths: change them there if a later build writes others",
    );
  }
  if (existsSync(join(places.folder, "functions"))) {
    report.lost(
      { ...item.where, text: "functions/" },
      "functions of Pages are not imported: write handlers with the same paths",
    );
  }
}
