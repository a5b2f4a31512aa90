import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { builtProgram } from "./built-program.ts";

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** A command of the compiled program that runs. */
export interface RunningCommand {
  child: ChildProcess;
  /** Resolves with its end. */
  result: Promise<CommandResult>;
}

/** Starts a command such as `["reload", "--json"]` in a folder. */
export function startCommand(
  args: readonly string[],
  cwd: string,
  moreEnv: Readonly<Record<string, string>> = {},
): RunningCommand {
  const entries = Object.entries(process.env);
  const env = Object.fromEntries(
    entries.filter(([name]) => !/^(?:EDGICORN_|NODE_OPTIONS$|NODE_TEST_CONTEXT$)/.test(name)),
  );
  const child = spawn(process.execPath, [builtProgram(), ...args], {
    cwd,
    env: { ...env, ...moreEnv },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const result = Promise.all([text(child.stdout), text(child.stderr), once(child, "close")]).then(
    // The types that the event "close" of a child process has.
    ([stdout, stderr, [code]]) => ({ code: code as number | null, stdout, stderr }),
  );
  return { child, result };
}

/** As `startCommand`, and waits for its end. */
export function runCommand(
  args: readonly string[],
  cwd: string,
  moreEnv: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return startCommand(args, cwd, moreEnv).result;
}
