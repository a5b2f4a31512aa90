import type { Node, ParseError } from "jsonc-parser";
import { RuntimeError } from "../../../lib/errors.ts";
import { Item } from "./item.ts";
import { joinPath } from "./read-toml.ts";

/**
 * Parses the text of a JSON file with comments and commas at the end of lists. Loads the parser: it is used rarely.
 *
 * @param file The file's name for messages.
 * @throws RuntimeError `ERR_CONFIG` that names the line of a mistake.
 */
export async function readJsonc(text: string, file: string): Promise<Item> {
  const { parseTree, printParseErrorCode } = await import("jsonc-parser");
  const errors: ParseError[] = [];
  const tree = parseTree(text, errors, { allowTrailingComma: true });
  const lines = new Lines(text);
  const [first] = errors;
  if (first !== undefined || tree === undefined) {
    const { offset, error } = first ?? { offset: 0, error: null };
    const reason = error === null ? "the file is empty" : printParseErrorCode(error);
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot read ${file}:${lines.at(offset)}: found no JSON, expected a file that a parser takes: ${reason}`,
    );
  }
  const toItem = (node: Node, path: string): Item => {
    const place = { file, line: lines.at(node.offset), path };
    const children = node.children ?? [];
    if (node.type === "array") {
      return new Item(
        children.map((each, index) => toItem(each, `${path}[${index}]`)),
        place,
      );
    }
    if (node.type !== "object") {
      const value: unknown = node.value;
      const isPlain = ["string", "number", "boolean"].includes(typeof value);
      return new Item(isPlain ? (value as string | number | boolean) : null, place);
    }
    const members = children.flatMap(({ children: pair }): [string, Item][] => {
      const [key, value] = pair ?? [];
      const name: unknown = key?.value;
      if (typeof name !== "string" || value === undefined) return [];
      return [[name, toItem(value, joinPath(path, name))]];
    });
    return new Item(new Map(members), place);
  };
  return toItem(tree, "");
}

/** Finds the line of an offset in a text. */
class Lines {
  readonly #starts: number[];

  constructor(text: string) {
    this.#starts = [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
  }

  /** Returns the line, from 1. */
  at(offset: number): number {
    const after = this.#starts.findIndex((start) => start > offset);
    return after < 0 ? this.#starts.length : after;
  }
}
