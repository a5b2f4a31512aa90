// oxlint-disable import/default, import/no-named-as-default-member -- Node sees CommonJS here, without named exports.
import jsonc, {
  type FormattingOptions,
  type ModificationOptions,
  type ParseError,
} from "jsonc-parser";

const { applyEdits, modify, parse, printParseErrorCode } = jsonc;

/** A JSON file that is read and changed as text: the rest keeps its form. */
export interface JsonText {
  text: string;
  value: Readonly<Record<string, unknown>>;
}

/** A mistake in the text of a JSON file. */
export interface JsonProblem {
  line: number;
  column: number;
  /** `"comma expected"` */
  expected: string;
}

/**
 * Parses a file that holds one JSON object.
 *
 * @param options.comments Whether comments and trailing commas are allowed, as in a tsconfig.json.
 */
export function parseJsonText(
  source: string,
  { comments }: { comments: boolean },
): JsonText | JsonProblem {
  const text = source.replace(/^\uFEFF/, "");
  const errors: ParseError[] = [];
  const options = { disallowComments: !comments, allowTrailingComma: comments };
  const value: unknown = parse(text, errors, options);
  const [error] = errors;
  if (error !== undefined) {
    const name = printParseErrorCode(error.error);
    const expected = name.replaceAll(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter}`).toLowerCase();
    return { ...toPosition(text, error.offset), expected };
  }
  if (!isRecord(value)) return { ...toPosition(text, 0), expected: "object expected" };
  return { text, value };
}

/** Sets the value at a path. A key that is new in an object comes last. */
export function setJsonValue(file: JsonText, path: (string | number)[], value: unknown): JsonText {
  return change(file, path, value, { isArrayInsertion: path.at(-1) === -1 });
}

/** Sets a key of an object at the top. A new key stands where the alphabet puts it, as npm does with packages. */
export function setSorted(
  file: JsonText,
  [group, key]: [string, string],
  value: unknown,
): JsonText {
  if (file.value[group] === undefined) return change(file, [group], { [key]: value }, {});
  return change(file, [group, key], value, {
    getInsertionIndex: (keys) => keys.filter((other) => other < key).length,
  });
}

function change(
  { text }: JsonText,
  path: (string | number)[],
  value: unknown,
  options: Partial<ModificationOptions>,
): JsonText {
  const edits = modify(text, path, value, { formattingOptions: formOf(text), ...options });
  const changed = applyEdits(text, edits);
  // The file held an object, and the change is inside of it.
  return { text: changed, value: parse(changed) as Readonly<Record<string, unknown>> };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Returns the indentation and line ends of a file, from its first line that is indented. */
function formOf(text: string): FormattingOptions {
  const [, indent = "  "] = /\n([ \t]+)\S/.exec(text) ?? [];
  return {
    insertSpaces: !indent.startsWith("\t"),
    tabSize: indent.startsWith("\t") ? 1 : indent.length,
    eol: text.includes("\r\n") ? "\r\n" : "\n",
  };
}

function toPosition(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split("\n");
  return { line: before.length, column: (before.at(-1) ?? "").length + 1 };
}
