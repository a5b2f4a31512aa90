import { findSourceMap } from "node:module";
import { dirname } from "node:path";
import { toDisplayPath } from "../lib/display-path.ts";
import {
  isUserCode,
  parseFrames,
  toPath,
  toPosition,
  type SourcePosition,
} from "../lib/stack-frames.ts";

export type { SourcePosition };

/** Node puts the place of an error that happens before any code runs above the stack: `/app/handlers/x.ts:3`. */
const HEADLINE = /^(?<file>\S.*):(?<line>\d+)$/;

/**
 * Finds the place in the user's code where an error began: the first frame outside of Node, packages and Edgicorn.
 *
 * Node has mapped compiled places back to their sources already (`process.setSourceMapsEnabled`). `null`: the error has
 * no stack, or none of it is the user's.
 */
export function locateError(error: unknown): SourcePosition | null {
  if (!(error instanceof Error) || typeof error.stack !== "string") return null;
  const [first = ""] = error.stack.split("\n", 1);
  const headline = HEADLINE.exec(first)?.groups;
  const positions = [
    headline === undefined ? null : toPosition(headline),
    ...parseFrames(error.stack).map(({ position }) => position),
  ];
  return positions.find((position) => position !== null && isUserCode(position.file)) ?? null;
}

/** Formats a place for messages: `handlers/x.ts:12:3`. */
export function toPlace({ file, line, column }: SourcePosition): string {
  return [toDisplayPath(file), line, column].filter((part) => part !== null).join(":");
}

/** The source files, as absolute paths, of a compiled module that has been imported. Empty without a source map. */
export function sourcesOf(compiledFile: string): string[] {
  const map = findSourceMap(compiledFile);
  if (map === undefined) return [];
  return map.payload.sources.map((source) => toPath(source, dirname(compiledFile)));
}
