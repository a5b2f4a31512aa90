import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { RuntimeError } from "../../../lib/errors.ts";
import type { Places } from "./carrying.ts";
import { isTable, type Item } from "./item.ts";
import { readWrangler, WRANGLER_FILES } from "./read-wrangler.ts";
import { toWord } from "./to-word.ts";

/** Another project for Workers, in a folder beside this one. Paths are relative to the folder of the config. */
export interface OtherProject {
  readonly file: string;
  readonly main: string;
}

const MODULE = /\.(?:[cm]?[jt]s|[jt]sx)$/;

/** Most folders that are looked at. */
const MOST_FOLDERS = 200;

/** Finds the projects beside this one by their names, if the project calls others. */
export async function findOthers(
  keys: ReadonlyMap<string, Item>,
  { cwd, folder }: Places,
): Promise<ReadonlyMap<string, OtherProject>> {
  const found = new Map<string, OtherProject>();
  const has = (key: string): boolean => (keys.get(key)?.content ?? null) !== null;
  // Files alone call no other project.
  if (!has("services") || !has("main")) return found;
  const parent = dirname(folder);
  const names = listFolders(parent).filter((name) => name !== basename(folder));
  for (const name of names.slice(0, MOST_FOLDERS)) {
    for (const file of WRANGLER_FILES) {
      const path = join(parent, name, file);
      // oxlint-disable-next-line no-await-in-loop -- Few folders have such a file.
      const root = await readOther(path);
      if (root === null) continue;
      const { content } = root;
      const [own, main] = isTable(content) ? [content.get("name"), content.get("main")] : [];
      if (typeof own?.content !== "string" || typeof main?.content !== "string") break;
      const module = resolve(dirname(path), main.content);
      if (!MODULE.test(module) || !existsSync(module)) break;
      found.set(own.content, {
        file: toWord(relative(cwd, path)),
        main: toWord(relative(cwd, module)),
      });
      break;
    }
  }
  return found;
}

/** Returns the content of a file of another project; `null`: there is none that can be read. */
async function readOther(path: string): Promise<Item | null> {
  try {
    return await readWrangler(readFileSync(path, "utf8"), path);
  } catch (error) {
    // This import is not about the file: its own import tells its mistakes.
    if (error instanceof RuntimeError || (error instanceof Error && "code" in error)) return null;
    throw error;
  }
}

function listFolders(parent: string): string[] {
  try {
    return readdirSync(parent, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .toSorted();
  } catch {
    // The user may not be allowed to list it.
    return [];
  }
}
