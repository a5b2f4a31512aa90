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
  /** As V8 tells it: `spin`, `async Object.fetch`, `RegExp.test`; `null`: none. */
  name: string | null;
  /** `null`: in no file, for example a built-in function. */
  position: SourcePosition | null;
}

/**
 * The frames of a stack in V8's format, innermost first.
 *
 * Places are taken as they are: Node has mapped compiled ones back to their sources where it was told to
 * (`process.setSourceMapsEnabled`). Without frames in Node's own modules.
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
 * Takes the frames of Node and of Edgicorn out of a printed error: they tell its author nothing of the handler.
 *
 * @param text As `inspect` prints an error: stacks of causes are indented.
 * @returns The rest, and how many frames it lacks.
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

/** Frames that an error has in common with its cause. They are shown with the cause. */
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

/** Paths may have parentheses, those of route groups do; names of functions have none after a space. */
const NAMED = /^\s+at (?<name>.+?) \((?<place>.+)\)$/;
const BARE = /^\s+at (?:async )?(?<place>.+)$/;
const PLACE = /^(?<file>.+):(?<line>\d+):(?<column>\d+)$/;

/** Of the parts of a place in text; `null`: it is in no file. */
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

/** Without the query with which a module may have been imported. */
export function toPath(file: string, folder: string): string {
  const path = file.startsWith("file://") ? fileURLToPath(file.replace(/[?#].*$/, "")) : file;
  return resolve(folder, path);
}

/** Whether a file is the user's own: neither a package's nor ours. */
export function isUserCode(file: string): boolean {
  return !file.includes(`${sep}node_modules${sep}`) && !isRuntimeCode(file);
}

/** Whether a file is ours. */
export function isRuntimeCode(file: string): boolean {
  return RUNTIME_DIRS.some((folder) => file.startsWith(folder));
}

/** Folders of Edgicorn's code: `runtime/`, also as the sources of the bundles in `dist/`. */
const RUNTIME_DIRS = ((): string[] => {
  const here = fileURLToPath(import.meta.url);
  // This file is `runtime/lib/stack-frames.ts`, or a part of a bundle in `dist/`.
  const folder = basename(dirname(here)) === "lib" ? dirname(dirname(here)) : dirname(here);
  const root = dirname(folder);
  return [join(root, "runtime") + sep, join(root, "dist") + sep];
})();
