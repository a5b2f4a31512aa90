import { basename, dirname, isAbsolute, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** A place in a source file; line and column count from 1. */
export interface SourcePosition {
  /** Absolute path. */
  file: string;
  line: number;
  /** `null` where only the line is known. */
  column: number | null;
}

/** One line of a stack. */
export interface StackFrame {
  /** Name of the function in the words of V8: `spin`, `async Object.fetch`, `RegExp.test`; `null`: none. */
  name: string | null;
  /** `null`: the function is in no file, for example because it is built in. */
  position: SourcePosition | null;
}

/**
 * Returns the frames of a stack in V8's format, innermost first, without frames of Node's own modules.
 *
 * Does not apply source maps: Node has already done so if `process.setSourceMapsEnabled` was called.
 */
export function parseFrames(stack: string): StackFrame[] {
  return stack.split("\n").flatMap((line) => {
    const { name = null, place } = (NAMED.exec(line) ?? BARE.exec(line))?.groups ?? {};
    if (place === undefined || place.startsWith("node:")) return [];
    const at = PLACE.exec(place)?.groups;
    return [{ name, position: at === undefined ? null : toPosition(at) }];
  });
}

/**
 * Removes the frames of Node and of Edgicorn from a printed error: they do not help the author of the handler.
 *
 * @param text An error as `inspect` prints it, with indented stacks of its causes.
 * @returns The remaining text, and the number of removed lines.
 */
export function hideInnerFrames(text: string): { text: string; hidden: number } {
  const lines = text.split("\n");
  const shown: string[] = [];
  for (const line of lines) {
    // After the last frame, a brace may begin the fields of the error.
    const brace = line.endsWith(" {") ? " {" : "";
    if (!isInnerFrame(line.slice(0, line.length - brace.length))) shown.push(line);
    else if (brace !== "") shown.push(`${shown.pop() ?? ""}${brace}`);
  }
  return { text: shown.join("\n"), hidden: lines.length - shown.length };
}

/** A line that replaces frames which an error shares with its cause. The cause shows them. */
const COMMON = /^\s+\.\.\. \d+ lines matching cause stack trace \.\.\.$/;

function isInnerFrame(line: string): boolean {
  if (COMMON.test(line)) return true;
  const { place } = (NAMED.exec(line) ?? BARE.exec(line))?.groups ?? {};
  if (place === undefined) return false;
  if (place.startsWith("node:") || place === "<anonymous>") return true;
  const at = PLACE.exec(place)?.groups;
  const position = at === undefined ? null : toPosition(at);
  return position !== null && isRuntimeCode(position.file);
}

/**
 * A frame. Paths may contain parentheses, like those of route groups. In names of functions no parenthesis follows a
 * space.
 */
const NAMED = /^\s+at (?<name>.+?) \((?<place>.+)\)$/;
const BARE = /^\s+at (?:async )?(?<place>.+)$/;
const PLACE = /^(?<file>.+):(?<line>\d+):(?<column>\d+)$/;

/** Returns the place from the text of a frame; `null`: it is not in a file. */
export function toPosition(parts: Record<string, string | undefined>): SourcePosition | null {
  const { file, line, column } = parts;
  if (file === undefined || line === undefined) return null;
  if (!isAbsolute(file) && !file.startsWith("file://")) return null;
  return {
    file: toPath(file, ""),
    line: Number(line),
    column: column === undefined ? null : Number(column),
  };
}

/** Returns the path, without the query with which a module may have been imported. */
export function toPath(file: string, folder: string): string {
  const path = file.startsWith("file://") ? fileURLToPath(file.replace(/[?#].*$/, "")) : file;
  return resolve(folder, path);
}

/** Tells whether a file belongs to the project, and neither to a package nor to Edgicorn. */
export function isUserCode(file: string): boolean {
  return !file.includes(`${sep}node_modules${sep}`) && !isRuntimeCode(file);
}

/** Tells whether a file belongs to Edgicorn. */
export function isRuntimeCode(file: string): boolean {
  return RUNTIME_DIRS.some((folder) => file.startsWith(folder));
}

/** Folders with Edgicorn's code: `runtime/`, which source maps name, and `dist/`. */
const RUNTIME_DIRS = ((): string[] => {
  const here = fileURLToPath(import.meta.url);
  // This file is `runtime/lib/stack-frames.ts`, or a part of a bundle in `dist/`.
  const folder = basename(dirname(here)) === "lib" ? dirname(dirname(here)) : dirname(here);
  const root = dirname(folder);
  return [join(root, "runtime") + sep, join(root, "dist") + sep];
})();
