import { existsSync } from "node:fs";
import { relative, resolve } from "node:path";
import type { Carrying } from "./carrying.ts";
import { hideAssets } from "./hide-assets.ts";
import type { Item } from "./item.ts";
import { toWord } from "./to-word.ts";

/** Makes the folder that an item names the public folder of the new config. */
export function setPublic(item: Item, carrying: Carrying): void {
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
