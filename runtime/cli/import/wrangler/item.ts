import { RuntimeError } from "../../../lib/errors.ts";
import type { Line } from "../report.ts";

/** A value of TOML or JSON without its place. A date of TOML is its text. */
export type Plain = string | number | boolean | null;

/** The content of an item. */
export type Content = Plain | readonly Item[] | ReadonlyMap<string, Item>;

/** A value of `wrangler.toml` or `wrangler.jsonc` with its place. Reads it in the form that is expected, or refuses it. */
export class Item {
  readonly content: Content;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Its keys from the top of the file: `queues.consumers[0].queue`. */
  readonly path: string;

  constructor(content: Content, { file, line, path }: Pick<Item, "file" | "line" | "path">) {
    this.content = content;
    this.file = file;
    this.line = line;
    this.path = path;
  }

  /** Returns the line for a remark. The value is left out: it may be a secret. */
  get where(): Line {
    return { place: `${this.file}:${this.line}`, text: this.path };
  }

  /** Returns a text. @throws RuntimeError `ERR_CONFIG` for another value, as all methods below. */
  text(): string {
    if (typeof this.content === "string" && this.content !== "") return this.content;
    throw this.refusal("a text");
  }

  flag(): boolean {
    if (typeof this.content === "boolean") return this.content;
    throw this.refusal("true or false");
  }

  /** Returns a whole number within bounds, both inclusive. */
  count(least: number, most: number): number {
    const { content } = this;
    if (Number.isInteger(content) && Number(content) >= least && Number(content) <= most) {
      return Number(content);
    }
    const found = typeof content === "number" ? String(content) : undefined;
    throw this.refusal(`a whole number from ${least} to ${most}`, found);
  }

  /** Returns one of some words. */
  word<Word extends string>(words: readonly Word[]): Word {
    const found = words.find((word) => word === this.content);
    if (found !== undefined) return found;
    const shown = typeof this.content === "string" ? JSON.stringify(this.content) : undefined;
    throw this.refusal(words.map((word) => `"${word}"`).join(", "), shown);
  }

  list(): readonly Item[] {
    if (isItems(this.content)) return this.content;
    throw this.refusal("a list");
  }

  texts(): string[] {
    return this.list().map((item) => item.text());
  }

  table(): ReadonlyMap<string, Item> {
    if (this.content instanceof Map) return this.content;
    throw this.refusal("a table of keys and values");
  }

  /** Returns the items of a list of tables, each with a reader of its keys. */
  tables(): Table[] {
    return this.list().map((item) => new Table(item));
  }

  /** Returns plain data. */
  toJSON(): unknown {
    const { content } = this;
    return content instanceof Map ? Object.fromEntries(content) : content;
  }

  /** Returns the error for a value of another form. Without `found` it names the kind of the value alone. */
  refusal(expected: string, found: string = describe(this.content)): RuntimeError {
    const subject = this.path === "" ? "" : ` for ${this.path}`;
    return new RuntimeError(
      "ERR_CONFIG",
      `Cannot import ${this.file}:${this.line}: found ${found}${subject}, expected ${expected}`,
    );
  }
}

/** A table whose keys are read by name. */
export class Table {
  readonly item: Item;
  readonly #members: ReadonlyMap<string, Item>;

  constructor(item: Item) {
    this.item = item;
    this.#members = item.table();
  }

  get keys(): string[] {
    return [...this.#members.keys()];
  }

  /** Returns the value of a key; `null`: there is none, or it is `null`. */
  get(key: string): Item | null {
    const found = this.#members.get(key);
    return found === undefined || found.content === null ? null : found;
  }

  /** @throws RuntimeError `ERR_CONFIG` for a table without the key. */
  need(key: string): Item {
    const found = this.get(key);
    if (found !== null) return found;
    throw this.item.refusal(`the key ${key}`, "a table without it");
  }

  /** Returns the items whose keys are none of these. */
  others(known: readonly string[]): Item[] {
    return [...this.#members].flatMap(([key, item]) => (known.includes(key) ? [] : [item]));
  }
}

/** Narrows a content to a list, which `Array.isArray` does not do for read-only ones. */
export function isItems(content: Content): content is readonly Item[] {
  return Array.isArray(content);
}

/** Narrows a content to a table, which `instanceof Map` does not do for the types of its members. */
export function isTable(content: Content): content is ReadonlyMap<string, Item> {
  return content instanceof Map;
}

function describe(content: Content): string {
  if (content === null) return "null";
  if (content instanceof Map) return "a table";
  if (Array.isArray(content)) return "a list";
  if (content === "") return "an empty text";
  return { string: "a text", number: "a number", boolean: "true or false" }[
    typeof content as "string" | "number" | "boolean"
  ];
}
