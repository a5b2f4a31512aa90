import type { AST } from "toml-eslint-parser";
import { RuntimeError } from "../../../lib/errors.ts";
import { Item } from "./item.ts";

/**
 * Parses the text of a TOML file. Loads the parser: it is used rarely.
 *
 * @param file The file's name for messages.
 * @throws RuntimeError `ERR_CONFIG` that names the line of a mistake.
 */
export async function readToml(text: string, file: string): Promise<Item> {
  const { parseTOML } = await import("toml-eslint-parser");
  let program: AST.TOMLProgram;
  try {
    program = parseTOML(text, { tomlVersion: "1.0.0" });
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    // `ParseError` has it.
    const { lineNumber = 1 } = cause as { lineNumber?: number };
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot read ${file}:${lineNumber}: found no TOML, expected a file that a parser takes: ${cause.message}`,
      { cause },
    );
  }
  const root = new Draft(1);
  for (const node of program.body[0].body) {
    if (node.type === "TOMLKeyValue") root.add(namesOf(node.key), node.value);
    else {
      const table = root.enter(node.resolvedKey, node.loc.start.line);
      for (const each of node.body) table.add(namesOf(each.key), each.value);
    }
  }
  return root.toItem(file, "");
}

/** A table or a list that other lines of the file may still add to. */
class Draft {
  readonly line: number;
  /** In the order of the file. A list has the numbers of its items as keys. */
  readonly #members = new Map<string | number, Draft | AST.TOMLContentNode>();

  constructor(line: number) {
    this.line = line;
  }

  /** Returns the table at a path, which is created where there is none. The parser has refused a value on the way. */
  enter(path: readonly (string | number)[], line: number): Draft {
    const [key, ...rest] = path;
    if (key === undefined) return this;
    let inner = this.#members.get(key);
    if (!(inner instanceof Draft)) {
      inner = new Draft(line);
      this.#members.set(key, inner);
    }
    return inner.enter(rest, line);
  }

  add(names: readonly string[], value: AST.TOMLContentNode): void {
    const table = this.enter(names.slice(0, -1), value.loc.start.line);
    table.#members.set(names.at(-1) ?? "", value);
  }

  toItem(file: string, path: string): Item {
    const place = { file, line: this.line, path };
    const members = [...this.#members].map(([key, value]): [string | number, Item] => {
      const own = typeof key === "number" ? `${path}[${key}]` : joinPath(path, key);
      return [key, value instanceof Draft ? value.toItem(file, own) : toItem(value, file, own)];
    });
    const isList = members.length > 0 && members.every(([key]) => typeof key === "number");
    if (isList) {
      return new Item(
        members.map(([, item]) => item),
        place,
      );
    }
    return new Item(new Map(members.map(([key, item]) => [String(key), item])), place);
  }
}

function namesOf({ keys }: AST.TOMLKey): string[] {
  return keys.map((key) => (key.type === "TOMLBare" ? key.name : key.value));
}

/** Returns the path of a key below another one. */
export function joinPath(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function toItem(node: AST.TOMLContentNode, file: string, path: string): Item {
  const { line } = node.loc.start;
  const place = { file, line, path };
  switch (node.type) {
    case "TOMLArray":
      return new Item(
        node.elements.map((each, index) => toItem(each, file, `${path}[${index}]`)),
        place,
      );
    case "TOMLInlineTable": {
      const draft = new Draft(line);
      for (const each of node.body) draft.add(namesOf(each.key), each.value);
      return draft.toItem(file, path);
    }
    case "TOMLValue":
      return new Item("datetime" in node ? node.datetime : node.value, place);
  }
}
