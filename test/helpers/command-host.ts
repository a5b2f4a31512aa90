import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { builtProgram } from "./built-program.ts";
import type { CommandResult } from "./run-command.ts";
import { cleanEnvironment } from "./start-server.ts";
import type { Owner } from "./temporary-folder.ts";

const HOST = join(import.meta.dirname, "command-host.mjs");

/**
 * Runs commands of the compiled program in one process, one after another: a process of its own costs each command 0.4 s
 * of processor time. For commands that end by themselves, such as `check`. The workers and the build of a command are
 * processes of their own, as usual.
 */
export class CommandHost {
  #host: Promise<Host> | null = null;
  #last: Promise<unknown> = Promise.resolve();

  /** @param owner Its end ends the process. */
  constructor(owner: Owner) {
    owner.after(async () => {
      const host = await this.#host;
      if (host?.child.connected !== true) return;
      host.child.disconnect();
      await host.exit;
    });
  }

  /** Runs a command in a folder, after those that were ordered before. */
  run(args: readonly string[], cwd: string): Promise<CommandResult> {
    const result = this.#last.then(async () => {
      this.#host ??= startHost();
      return runIn(await this.#host, { args, cwd });
    });
    this.#last = result.catch(() => {});
    return result;
  }
}

interface Host {
  child: ChildProcess;
  /** Resolves with the exit code and the signal. */
  exit: Promise<unknown[]>;
}

async function startHost(): Promise<Host> {
  const child = fork(HOST, [builtProgram()], {
    // A command must not inherit the loader of the tests.
    execArgv: [],
    env: cleanEnvironment(),
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  const message: unknown[] = await once(child, "message");
  assert.deepEqual(message, ["loaded", undefined]);
  return { child, exit: once(child, "exit") };
}

async function runIn(
  { child, exit }: Host,
  { args, cwd }: { args: readonly string[]; cwd: string },
): Promise<CommandResult> {
  assert.ok(child.stdout !== null && child.stderr !== null, "forked with pipes");
  const gone = exit.then((reason) => {
    throw new Error(`the process of all commands ended: ${reason.join(", ")}`);
  });
  // An end after the command is no failure of it.
  gone.catch(() => {});
  // No command writes it.
  const end = `\0 end of the command\n`;
  const answer = once(child, "message") as Promise<[number]>;
  const texts = [readUntil(child.stdout, end), readUntil(child.stderr, end)] as const;
  child.send({ args, cwd, end });
  const [[code], stdout, stderr] = await Promise.race([Promise.all([answer, ...texts]), gone]);
  return { code, stdout, stderr };
}

/** Resolves with the text before an end. */
function readUntil(stream: Readable, end: string): Promise<string> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const take = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk]);
      if (!bytes.subarray(-end.length).equals(Buffer.from(end))) return;
      stream.off("data", take);
      resolve(bytes.toString("utf8", 0, bytes.length - end.length));
    };
    stream.on("data", take);
  });
}
