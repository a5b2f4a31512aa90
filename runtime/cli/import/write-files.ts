import { mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { RuntimeError } from "../../lib/errors.ts";

/** A file of an import. */
export interface NewFile {
  /** Relative to the folder of the config. */
  readonly path: string;
  readonly text: string;
  /** Whether other users may not read it. */
  readonly isSecret?: true;
}

/**
 * Writes new files with their folders, or nothing.
 *
 * @throws RuntimeError `ERR_CONFIG` for a file that is there already, and for one that cannot be written.
 */
export function writeFiles(cwd: string, files: readonly NewFile[]): void {
  const undo: (() => void)[] = [];
  for (const { path, text, isSecret } of files) {
    const file = join(cwd, path);
    try {
      makeFolder(cwd, dirname(file), { mode: isSecret === true ? 0o700 : 0o777, undo });
      // A full disk leaves a part of a new file, but never of one that was there.
      const before = undo.length;
      undo.push(() => removeFile(file));
      try {
        writeFileSync(file, text, { flag: "wx", mode: isSecret === true ? 0o600 : 0o666 });
      } catch (error) {
        if (codeOf(error) === "EEXIST") undo.length = before;
        throw error;
      }
    } catch (cause) {
      for (const step of undo.toReversed()) step();
      throw new RuntimeError("ERR_CONFIG", `Cannot write ${path}: ${codeOf(cause)}`, { cause });
    }
  }
}

/** Creates a folder below `cwd`, and notes how to remove each one that is new. */
function makeFolder(
  cwd: string,
  folder: string,
  { mode, undo }: { mode: number; undo: (() => void)[] },
): void {
  if (relative(cwd, folder) === "") return;
  makeFolder(cwd, dirname(folder), { mode, undo });
  try {
    mkdirSync(folder, { mode });
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    throw error;
  }
  undo.push(() => removeEmpty(folder));
}

function removeEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Another program has written into it.
  }
}

function removeFile(file: string): void {
  try {
    rmSync(file, { force: true });
  } catch {
    // It was never there: a part of its path is a file.
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
