import { spawn, type ChildProcess } from "node:child_process";
import type { Logger } from "../log/log.ts";

/**
 * Reads lines of process ids, each of which replaces the one before. At the end of its input, kills the processes of
 * the last line. Signals that are meant for the primary do not end it.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM USR1 USR2
pids=
while read -r line; do pids=$line; done
[ -z "$pids" ] || kill -KILL $pids
`;

/**
 * Kills workers that outlive their primary.
 *
 * A worker ends with its channel, unless its event loop is blocked. A primary that exits kills blocked workers itself,
 * unless it is killed with SIGKILL or by the system for its memory. The reaper is for that case. It is a shell that
 * waits for the end of a pipe, and costs 1 MiB, once. A watching thread within each worker would cost 10 MiB per
 * worker.
 */
export class Reaper {
  readonly #child: ChildProcess;

  /** Without a shell, everything else works as before. */
  constructor(log: Logger) {
    this.#child = spawn("/bin/sh", ["-c", SCRIPT], { stdio: ["pipe", "ignore", "ignore"] });
    const onError = (error: Error): void => {
      log.debug(
        { err: error },
        "no reaper: blocked workers would survive if this process were killed",
      );
    };
    this.#child.on("error", onError);
    // The program does not wait for the reaper's end: the reaper waits for the end of the program.
    this.#child.unref();
    // Contrary to its types, a child that could not be started for lack of descriptors has no streams.
    const stdin = this.#child.stdin as ChildProcess["stdin"] | undefined;
    stdin?.on("error", onError);
  }

  /** Sets the processes to kill if this process is killed from now on. */
  watch(pids: readonly number[]): void {
    const stdin = this.#child.stdin as ChildProcess["stdin"] | undefined;
    if (stdin?.writable === true) stdin.write(`${pids.join(" ")}\n`);
  }

  /** Ends the reaper: there are no more workers. */
  close(): void {
    this.watch([]);
    this.#child.stdin?.end();
  }
}
