import { readFileSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { codeOf, RuntimeError } from "../../../lib/errors.ts";
import type { First } from "./carry-assets.ts";
import type { Places } from "./carrying.ts";
import { type Item, Table } from "./item.ts";
import { readWrangler } from "./read-wrangler.ts";
import { toWord } from "./to-word.ts";

/** Name of the file with the paths whose requests reach the module of Pages. */
const ROUTES_FILE = "_routes.json";

/**
 * Reads `_routes.json` of a project for Pages. `null`: there is none, or the project has no module whose paths it could tell.
 *
 * @throws RuntimeError `ERR_CONFIG` that names the line of a mistake.
 */
export async function readRoutes(
  keys: ReadonlyMap<string, Item>,
  { cwd, folder }: Places,
): Promise<Item | null> {
  const output = keys.get("pages_build_output_dir");
  const hasMain = (keys.get("main")?.content ?? null) !== null;
  if (output === undefined || output.content === null || !hasMain) return null;
  const path = join(resolve(folder, output.text()), ROUTES_FILE);
  const file = toWord(relative(cwd, path));
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const code = codeOf(cause);
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new RuntimeError("ERR_CONFIG", `Cannot read ${file}: ${code}`, { cause });
  }
  return readWrangler(text, file);
}

/**
 * Returns the paths whose requests reach the module: those of `include`, without those of `exclude`. All others are for files
 * alone.
 *
 * @throws RuntimeError `ERR_CONFIG` for a value of another form, with its line.
 */
export function toFirstPaths(routes: Item): First {
  const table = new Table(routes);
  table.need("version").count(1, 1);
  const include = table.need("include");
  const paths = readPatterns(include);
  if (paths.length === 0) throw include.refusal('a list with a path such as "/*"', "an empty list");
  const exclude = table.get("exclude");
  const never = exclude === null ? [] : readPatterns(exclude);
  const isAll = paths.includes("/*");
  return isAll && never.length === 0 ? "all" : { paths, never, isOnly: !isAll };
}

function readPatterns(list: Item): string[] {
  const patterns = list.list().flatMap((each) => {
    const text = each.text();
    if (text.startsWith("/")) return toPatterns(text);
    throw each.refusal('a path such as "/api/*"', JSON.stringify(text));
  });
  return [...new Set(patterns)];
}

/** Returns the patterns of Workers for one of Pages, where `/a/*` is also `/a`, and a slash at the end makes no difference. */
function toPatterns(text: string): string[] {
  if (text === "/" || text === "/*") return [text];
  if (text.endsWith("/*")) return [text.slice(0, -2), text];
  if (text.endsWith("*")) return [text];
  const bare = text.endsWith("/") ? text.slice(0, -1) : text;
  return [bare, `${bare}/`];
}
