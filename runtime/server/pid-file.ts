import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { RuntimeError } from "../lib/errors.ts";

/** Looks up living processes. Tests pass another one. */
export interface ProcessTable {
  /** The words of its command line; `null`: there is no such process, or its command line is not readable. */
  commandOf: (pid: number) => readonly string[] | null;
}

/**
 * Refuses a pid file of a server that lives.
 *
 * After a crash or a restart of the machine, any program may have the number in the file. So the number counts only if its
 * process runs this program: it is better to overwrite a file than not to start.
 *
 * @param successorOf Process id of the server whose place this one takes, and whose file passes to it.
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
 * Writes this process's number in one step: a reader sees the whole new file or the old one.
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

/** Removes the file, if it names this process. Does not throw: the process is about to end. */
export function removePidFile(path: string): void {
  if (readPid(path) !== process.pid) return;
  try {
    rmSync(path, { force: true });
  } catch {
    // The folder is not writable any more. The next start sees that the process is gone.
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

/** Whether a command line is this program's: it names the same script, or a copy that was installed elsewhere. */
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
    // The file is missing or not readable. Writing it reports an error.
    return null;
  }
}
