import { isList, Section, type Value } from "./section.ts";

const MOST_COLUMNS = 100;

/** Returns the text of `edgicorn.config.ts`. */
export function writeConfig(config: Section, sources: readonly string[]): string {
  return [
    `// Made from ${clean(sources.join(" and "))} by "edgicorn import". Comments with a place are lines that need a look.`,
    'import { defineConfig } from "edgicorn";',
    "",
    `export default defineConfig(${writeValue(config, "")});`,
    "",
  ].join("\n");
}

/** Returns the text of a value. */
export function writeValue(value: Value, indent: string): string {
  if (value instanceof Section) return writeSection(value, indent);
  if (!isList(value)) return writeText(value);
  const inner = `${indent}  `;
  const items = value.map((item) => writeValue(item, inner));
  const short = `[${items.join(", ")}]`;
  const isShort = indent.length + short.length <= MOST_COLUMNS && !short.includes("\n");
  if (value.length === 0 || (isShort && !value.some((item) => item instanceof Section)))
    return short;
  return `[\n${value.map((item, index) => `${notesOf(item, inner)}${inner}${items[index]},\n`).join("")}${indent}]`;
}

function writeSection(section: Section, indent: string): string {
  const inner = `${indent}  `;
  const members = [...section.members].map(([key, value]) => ({
    value,
    text: `${writeKey(key)}: ${writeValue(value, inner)}`,
  }));
  const isPlain = members.every(
    ({ value }) => !(value instanceof Section && value.notes.length > 0),
  );
  const short = `{ ${members.map(({ text }) => text).join(", ")} }`;
  // The notes of a section in a list stand above it.
  if (members.length === 0) return "{}";
  if (
    isPlain &&
    indent !== "" &&
    indent.length + short.length <= MOST_COLUMNS &&
    !short.includes("\n")
  ) {
    return short;
  }
  const own = indent === "" ? notesOf(section, inner) : "";
  return `{\n${own}${members.map(({ value, text }) => `${notesOf(value, inner)}${inner}${text},\n`).join("")}${indent}}`;
}

/** Returns the comments above a section. */
function notesOf(value: Value, indent: string): string {
  if (!(value instanceof Section)) return "";
  return value.notes
    .map(({ place, line, reason }) => `${indent}// ${clean(`${place} ${line}: ${reason}`)}\n`)
    .join("");
}

/** A comment is one line. */
function clean(text: string): string {
  return text.replaceAll(/[\r\n\u2028\u2029]+/g, " ");
}

function writeKey(key: string): string {
  // Without brackets it would be the prototype.
  if (key === "__proto__") return '["__proto__"]';
  return /^[A-Za-z_$][\w$]*$/.test(key) ? key : writeText(key);
}

function writeText(value: string | number | boolean | null): string {
  // JSON has no line separators to escape, but source text does.
  return JSON.stringify(value).replaceAll(
    /[\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16)}`,
  );
}
