import { pickNearest } from "../lib/nearest.ts";
import { EXTENSION, NOT_A_HANDLER, SPECIAL } from "./handler-file.ts";

const SPECIAL_NAMES: readonly string[] = [...SPECIAL.keys()];

/** Names that files with the same purpose have elsewhere. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  "404": "_404",
  middleware: "_middleware",
  _500: "_error",
  "_not-found": "_404",
  _notfound: "_404",
};

/**
 * Finds the special file that an author probably meant: `_midleware.ts`, `_Error.ts`, `middleware.ts`. Pure.
 *
 * @param path Relative to the handlers folder, with `/`.
 * @returns The special name, without an extension; `null` for a file that has such a name, or is close to none.
 */
export function findMeantName(path: string): string | null {
  const file = path.slice(path.lastIndexOf("/") + 1);
  const extension = EXTENSION.exec(file);
  if (extension === null || NOT_A_HANDLER.test(file)) return null;
  const name = file.slice(0, extension.index);
  if (SPECIAL.has(name)) return null;
  const other = OTHER_NAMES[name.toLowerCase()];
  if (other !== undefined) return other;
  return name.startsWith("_") ? pickNearest(name, SPECIAL_NAMES) : null;
}

/** Formats the warning about such a file. */
export function describeMisnamed(displayPath: string, path: string, meant: string): string {
  const file = path.slice(path.lastIndexOf("/") + 1);
  const extension = file.slice(file.search(EXTENSION));
  const found = file.startsWith("_")
    ? "is neither a route nor a special file"
    : "is a route like any other";
  return `${displayPath}: ${found}, did you mean "${meant}${extension}"?`;
}
