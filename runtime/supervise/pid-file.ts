import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { RuntimeError } from "../errors.ts";

/** How a process looks that lives, for tests. */
export interface ProcessTable {
  /** The words of its command line; `null`: there is no such process, or it may not be looked at. */
  commandOf: (pid: number) => readonly string[] | null;
}

/**
 * Refuses a pid file of a server that lives.
 *
 * A number alone says little: after a crash or a restart of the machine any program may have it, and a server that does not
 * start for that reason is worse than a file that is written anew. So it counts only if that process runs this program.
 *
 * @param successorOf The server whose place this one takes: its file will be ours.
 * @throws RuntimeError `ERR_LISTEN` that names the process.
 */
export function refuseLivePidFile(
  path: string,
  { successorOf, table = LINUX }: { successorOf: number | null; table?: ProcessTable },
): void {
  const pid = readPid(path);
  if (pid === null || pid === process.pid || pid === successorOf) return;
  const command = table.commandOf(pid);
  if (command === null || !isServer(command)) return;
  throw new RuntimeError(
    "ERR_LISTEN",
    `Cannot use the pid file ${path}: found that process ${pid} owns it and lives, ` +
      "expected one for each server (--pid-file FILE)",
  );
}

/**
 * Writes this process's number: a reader sees all of it or the file that was there before.
 *
 * @throws RuntimeError `ERR_LISTEN` when the file cannot be written.
 */
export function writePidFile(path: string): void {
  const draft = `${path}.${process.pid}`;
  try {
    writeFileSync(draft, `${process.pid}\n`);
    renameSync(draft, path);
  } catch (cause) {
    rmSync(draft, { force: true });
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new RuntimeError("ERR_LISTEN", `Cannot write the pid file ${path}: ${reason}`, { cause });
  }
}

/** Removes the file, if it names this process. For the end of the process: it does not throw. */
export function removePidFile(path: string): void {
  if (readPid(path) !== process.pid) return;
  try {
    rmSync(path, { force: true });
  } catch {
    // A folder that may not be written any more: the next start sees that the process is gone.
  }
}

const LINUX: ProcessTable = {
  commandOf(pid) {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    } catch {
      return null;
    }
  },
};

/** Whether a command line is this program's: the same script, or one that was installed elsewhere. */
function isServer([, ...words]: readonly string[]): boolean {
  return words.some(
    (word) =>
      word === process.argv[1] ||
      basename(word) === "edgicorn" ||
      word.endsWith("/edgicorn/dist/main.js"),
  );
}

function readPid(path: string): number | null {
  try {
    const text = readFileSync(path, "utf8").trim();
    return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : null;
  } catch {
    // There is none, or it cannot be read: writing it will tell.
    return null;
  }
}
