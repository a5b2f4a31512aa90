import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, sep } from "node:path";
import * as z from "zod/mini";
import { codeOf, RuntimeError } from "../../lib/errors.ts";
import { isAlive } from "../../lib/is-alive.ts";

/** A file of an import. */
export interface NewFile {
  /** Relative to the folder of the config. */
  readonly path: string;
  readonly text: string;
  /** Whether other users may not read it. */
  readonly isSecret?: true;
}

/** The result of an import, for the terminal. */
export interface ImportOutcome {
  text: string;
  exitCode: number;
}

/**
 * The folder of files that are complete and not yet in their places. It has the result of the import, too.
 *
 *     written to a draft ──renamed──▶ complete ──each file renamed──▶ in place, the folder is gone
 *
 * A draft that was cut off is removed by the next import. A complete folder is put in place by the next import.
 */
const COMPLETE = ".edgicorn-import";

/** The files below the folder, with their paths. */
const FILES = "files";

const RESULT = "result.json";

/** A name of one file or folder: no path leads out of the project. */
const NAME = /^(?!\.{1,2}$)[^/\\\p{Cc}]+$/u;

const resultSchema = z.object({
  text: z.string(),
  exitCode: z.int().check(z.minimum(0), z.maximum(255)),
  /** Names in `files`, in the order in which they are put in place. */
  names: z.array(z.string().check(z.regex(NAME))),
});

/**
 * Writes new files with their folders, or none of them.
 *
 * @param files In the order in which they are put in place: a start without the last of them must fail.
 * @param outcome Is kept for {@link finishImport} until all files are in place.
 * @throws RuntimeError `ERR_CONFIG` for a file that is there already, and for one that cannot be written.
 */
export function writeFiles(cwd: string, files: readonly NewFile[], outcome: ImportOutcome): void {
  removeDrafts(cwd);
  const draft = draftOf(cwd);
  const names = [...new Set(files.map(({ path }) => path.split("/")[0] ?? ""))];
  let at = COMPLETE;
  try {
    mkdirSync(join(draft, FILES), { recursive: true, mode: 0o700 });
    for (const { path, text, isSecret } of files) {
      at = path;
      const file = join(draft, FILES, path);
      mkdirSync(dirname(file), { recursive: true, mode: isSecret === true ? 0o700 : 0o777 });
      writeFileSync(file, text, { flag: "wx", mode: isSecret === true ? 0o600 : 0o666 });
    }
    at = COMPLETE;
    writeFileSync(join(draft, RESULT), JSON.stringify({ ...outcome, names }), { mode: 0o600 });
    renameSync(draft, join(cwd, COMPLETE));
  } catch (cause) {
    rmSync(draft, { recursive: true, force: true });
    throw new RuntimeError("ERR_CONFIG", `Cannot write ${at}: ${codeOf(cause)}`, { cause });
  }
  const moved: Move[] = [];
  try {
    putInPlace(cwd, { names, mayFollow: true, moved });
  } catch (error) {
    for (const { from, to } of moved.toReversed()) renameSync(to, from);
    removeComplete(cwd);
    throw error;
  }
  removeComplete(cwd);
}

/**
 * Puts the files of an import in place that was cut off after it had written all of them.
 *
 * @returns The result of that import; `null`: none was cut off.
 * @throws RuntimeError `ERR_CONFIG` for a file that is there already, for a folder that no import has made, and for links
 *   that lead out of the project.
 */
export function finishImport(cwd: string): ImportOutcome | null {
  // A repository may contain such a folder: its links must not make this import read or write elsewhere.
  for (const path of [COMPLETE, join(COMPLETE, RESULT), join(COMPLETE, FILES)]) {
    if (lookAt(join(cwd, path))?.isSymbolicLink() === true) throw foundLink(path);
  }
  let found: string;
  try {
    found = readFileSync(join(cwd, COMPLETE, RESULT), "utf8");
  } catch (cause) {
    if (lookAt(join(cwd, COMPLETE)) === undefined) return null;
    throw notOurs(cause);
  }
  const { names, text, exitCode } = parseResult(found);
  try {
    putInPlace(cwd, { names, mayFollow: false, moved: [] });
  } catch (cause) {
    if (!(cause instanceof RuntimeError)) throw cause;
    const remedy = `move it away and import again, or remove ${COMPLETE}`;
    const message = `${toPlain(cause.message)} (an import was cut off: ${remedy})`;
    throw new RuntimeError("ERR_CONFIG", message, { cause });
  }
  removeComplete(cwd);
  return { text: toPlain(text), exitCode };
}

/** Removes the characters that control a terminal. */
function toPlain(text: string): string {
  return text.replaceAll(/(?!\n)\p{Cc}/gu, "");
}

function parseResult(text: string): z.infer<typeof resultSchema> {
  try {
    return resultSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw notOurs(cause);
  }
}

function notOurs(cause: unknown): RuntimeError {
  const message = `Cannot use ${COMPLETE}: found no result of an import in it, expected none of this name (remove it)`;
  return new RuntimeError("ERR_CONFIG", message, { cause });
}

function foundLink(path: string): RuntimeError {
  const message = `Cannot use ${COMPLETE}: found the link ${JSON.stringify(path)}, expected files and folders (remove ${COMPLETE})`;
  return new RuntimeError("ERR_CONFIG", message);
}

interface Move {
  readonly from: string;
  readonly to: string;
}

interface Placing {
  /** Names in `files`. */
  names: readonly string[];
  /** Whether folders in place may be links to folders outside of the project. */
  mayFollow: boolean;
  /** Gets each move. */
  moved: Move[];
}

/** Moves the files that are left. */
function putInPlace(cwd: string, { names, mayFollow, moved }: Placing): void {
  const move = (path: string): void => {
    const [from, to] = [join(cwd, COMPLETE, FILES, path), join(cwd, path)];
    const found = lookAt(from);
    if (found === undefined) return;
    if (found.isSymbolicLink()) throw foundLink(join(COMPLETE, FILES, path));
    if (lookAt(to) === undefined) {
      if (moveIfThere(from, to)) moved.push({ from, to });
    } else if (found.isDirectory() && isFolder(to)) {
      if (!mayFollow && leadsOut(cwd, to)) {
        const message = `Cannot write ${path}: found a link to a folder outside of the project, expected a folder`;
        throw new RuntimeError("ERR_CONFIG", message);
      }
      for (const name of readdirSync(from)) move(`${path}/${name}`);
    } else {
      const message = `Cannot write ${path}: found a file of this name, expected none`;
      throw new RuntimeError("ERR_CONFIG", message);
    }
  };
  for (const name of names) {
    try {
      move(name);
    } catch (cause) {
      if (cause instanceof RuntimeError) throw cause;
      throw new RuntimeError("ERR_CONFIG", `Cannot write ${name}: ${codeOf(cause)}`, { cause });
    }
  }
}

/** Removes the folder in two steps, so that a part of it never counts as complete. */
function removeComplete(cwd: string): void {
  const draft = draftOf(cwd);
  if (moveIfThere(join(cwd, COMPLETE), draft)) rmSync(draft, { recursive: true, force: true });
}

/** Returns false if another import, which finishes the same one, was faster. */
function moveIfThere(from: string, to: string): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === "ENOENT" && lookAt(from) === undefined) return false;
    throw error;
  }
}

function draftOf(cwd: string): string {
  return join(cwd, `${COMPLETE}-${process.pid}`);
}

/** Removes the drafts of imports that were cut off. */
function removeDrafts(cwd: string): void {
  for (const name of readdirSync(cwd)) {
    const [, pid] = /^\.edgicorn-import-(\d+)$/.exec(name) ?? [];
    if (pid === undefined || (Number(pid) !== process.pid && isAlive(Number(pid)))) continue;
    rmSync(join(cwd, name), { recursive: true, force: true });
  }
}

function lookAt(path: string): ReturnType<typeof lstatSync> {
  return lstatSync(path, { throwIfNoEntry: false });
}

function leadsOut(cwd: string, path: string): boolean {
  return !realpathSync(path).startsWith(`${realpathSync(cwd)}${sep}`);
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
