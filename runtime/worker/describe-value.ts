import { inspect } from "node:util";

const MAX_TEXT_LENGTH = 40;
const MAX_KEYS = 5;

/** Describes a value in one line, for an error message: `string "abc"`, `object { id, name }`, `instance of Map`. */
export function describeValue(value: unknown): string {
  if (typeof value === "string") return `string ${quote(value)}`;
  if (typeof value === "function") return describeFunction(value);
  if (Array.isArray(value)) return `array of ${value.length}`;
  if (typeof value === "object" && value !== null) return describeObject(value);
  // `inspect` writes numbers, big integers, symbols and the empty values as source code would.
  return value === null || value === undefined
    ? inspect(value)
    : `${typeof value} ${inspect(value)}`;
}

/** Is it a class that must be called with `new`? */
export function isClass(value: unknown): boolean {
  return typeof value === "function" && /^class\b/.test(Function.prototype.toString.call(value));
}

function describeFunction(value: { name: string }): string {
  const kind = isClass(value) ? "class" : "function";
  return value.name === "" ? kind : `${kind} ${value.name}`;
}

function describeObject(value: object): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  const name = className(prototype);
  if (name !== null && name !== "Object") return `instance of ${name}`;
  const keys = Object.keys(value);
  if (keys.length === 0) return "object {}";
  const shown = keys.slice(0, MAX_KEYS).map((key) => quote(key).slice(1, -1));
  return `object { ${shown.join(", ")}${keys.length > MAX_KEYS ? ", ..." : ""} }`;
}

function className(prototype: unknown): string | null {
  if (typeof prototype !== "object" || prototype === null) return null;
  const { constructor } = prototype;
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : null;
}

function quote(text: string): string {
  return JSON.stringify(
    text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH)}...` : text,
  );
}
