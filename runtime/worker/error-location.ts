import { findSourceMap } from "node:module";
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

const FRAME = /^\s+at (?:.*? \()?(?<file>(?:file:\/\/)?[^()]+?):(?<line>\d+):(?<column>\d+)\)?$/;
/** Node puts the place of an error that happens before any code runs above the stack: `/app/handlers/x.ts:3`. */
const HEADLINE = /^(?<file>\S.*):(?<line>\d+)$/;

/**
 * Where in the user's own code an error comes from: the first frame that is neither Node's, nor a package's, nor ours.
 *
 * Node has mapped compiled places back to their sources already (`process.setSourceMapsEnabled`). `null`: the error has
 * no stack, or none of it is the user's.
 */
export function locateError(error: unknown): SourcePosition | null {
  if (!(error instanceof Error) || typeof error.stack !== "string") return null;
  const lines = error.stack.split("\n");
  const headline = lines[0] === undefined ? null : HEADLINE.exec(lines[0]);
  if (headline?.groups !== undefined) {
    const position = toPosition(headline.groups);
    if (position !== null && isUserCode(position.file)) return position;
  }
  for (const line of lines) {
    const groups = FRAME.exec(line)?.groups;
    const position = groups === undefined ? null : toPosition(groups);
    if (position !== null && isUserCode(position.file)) return position;
  }
  return null;
}

/** The source files, as absolute paths, of a compiled module that has been imported. Empty without a source map. */
export function sourcesOf(compiledFile: string): string[] {
  const map = findSourceMap(compiledFile);
  if (map === undefined) return [];
  return map.payload.sources.map((source) => toPath(source, dirname(compiledFile)));
}

function toPosition(groups: Record<string, string | undefined>): SourcePosition | null {
  const { file, line, column } = groups;
  if (file === undefined || line === undefined) return null;
  if (!isAbsolute(file) && !file.startsWith("file://")) return null;
  return {
    file: toPath(file, ""),
    line: Number(line),
    column: column === undefined ? null : Number(column),
  };
}

/** Without the query with which a module may have been imported. */
function toPath(file: string, folder: string): string {
  const path = file.startsWith("file://") ? fileURLToPath(file.replace(/[?#].*$/, "")) : file;
  return resolve(folder, path);
}

function isUserCode(file: string): boolean {
  return (
    !file.includes(`${sep}node_modules${sep}`) &&
    !RUNTIME_DIRS.some((folder) => file.startsWith(folder))
  );
}

/** Folders of our own code: `runtime/`, also as the sources of what is bundled into `dist/`. */
const RUNTIME_DIRS = ((): string[] => {
  const here = dirname(fileURLToPath(import.meta.url));
  const root = basename(here) === "worker" ? dirname(dirname(here)) : dirname(here);
  return [join(root, "runtime") + sep, join(root, "dist") + sep];
})();
