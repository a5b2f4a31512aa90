import { spawn, type ChildProcess } from "node:child_process";
import type { Logger } from "../log.ts";

/**
 * Reads lines of process ids, each in the place of the one before; at the end of its input, kills those of the last.
 * Signals that are meant for the primary do not end it.
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
 * A worker ends with its channel, unless its loop is blocked; a primary that ends kills those itself, unless it is
 * killed with SIGKILL or by the system for its memory. This is for workers that are blocked while that happens: a shell
 * that waits for the end of a pipe costs 1 MiB, once; a thread that watches from within costs each worker 10 MiB.
 */
export class Reaper {
  readonly #child: ChildProcess;

  /** Where there is no shell, all else works as before. */
  constructor(log: Logger) {
    this.#child = spawn("/bin/sh", ["-c", SCRIPT], { stdio: ["pipe", "ignore", "ignore"] });
    const onError = (error: Error): void => {
      log.debug({ err: error }, "nobody watches over blocked workers if this process is killed");
    };
    this.#child.on("error", onError);
    // The end of the program does not wait for it: it waits for the end of the program.
    this.#child.unref();
    // Contrary to its types, a child that could not be started for want of descriptors has no streams.
    const stdin = this.#child.stdin as ChildProcess["stdin"] | undefined;
    stdin?.on("error", onError);
  }

  /** Those to kill if this process is killed from now on. */
  watch(pids: readonly number[]): void {
    const stdin = this.#child.stdin as ChildProcess["stdin"] | undefined;
    if (stdin?.writable === true) stdin.write(`${pids.join(" ")}\n`);
  }

  /** Nobody is left to watch over. */
  close(): void {
    this.watch([]);
    this.#child.stdin?.end();
  }
}
