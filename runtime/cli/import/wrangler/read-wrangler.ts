import { RuntimeError } from "../../../lib/errors.ts";
import type { Item } from "./item.ts";
import { readJsonc } from "./read-jsonc.ts";
import { readToml } from "./read-toml.ts";

/** Names of the file of a project, in the order in which Workers' own tool looks for them. */
export const WRANGLER_FILES: readonly string[] = [
  "wrangler.json",
  "wrangler.jsonc",
  "wrangler.toml",
];

/**
 * Parses the text of a `wrangler.toml`, `wrangler.json` or `wrangler.jsonc`.
 *
 * @param file The file's name for messages. Its end tells the format.
 * @returns A table of keys and values.
 * @throws RuntimeError `ERR_CONFIG` that names the line of a mistake.
 */
export async function readWrangler(text: string, file: string): Promise<Item> {
  // Some editors begin a file with this mark.
  const plain = text.replace(/^\uFEFF/, "");
  let root: Item;
  try {
    root = await (file.endsWith(".toml") ? readToml(plain, file) : readJsonc(plain, file));
  } catch (cause) {
    // The parsers call themselves for each list within a list.
    if (!(cause instanceof RangeError)) throw cause;
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot read ${file}: found too many lists or tables within each other, expected fewer`,
      { cause },
    );
  }
  if (root.content instanceof Map) return root;
  throw new RuntimeError(
    "ERR_CONFIG",
    `Cannot read ${file}:${root.line}: found no table, expected one of keys and values`,
  );
}
