/**
 * Entry of the build process: takes its orders from the parent, builds once, reports, exits after all that it started.
 */
import type { ChildProcess } from "node:child_process";
import { subscribe } from "node:diagnostics_channel";
import { once } from "node:events";

import { stop as stopCompiler } from "esbuild";

import { RuntimeError } from "../lib/errors.ts";
import { BuildError } from "./build-error.ts";
import type { FromBuild, ToBuild } from "./build-messages.ts";
import { buildGeneration } from "./build.ts";

/**
 * The compiler's own process, which esbuild neither gives out nor waits for. Without a parent it would pass to process
 * 1, and stay a zombie where that is the server itself.
 */
const children: ChildProcess[] = [];
// https://nodejs.org/api/diagnostics_channel.html#child-process
subscribe("child_process", (message) => {
  // The only message on this channel.
  children.push((message as { process: ChildProcess }).process);
});

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
// A terminal and a process group send these to all processes. The parent decides for this one.
for (const signal of ["SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const) {
  process.on(signal, () => {});
}
// The parent is gone.
process.once("disconnect", () => stop.abort());
// The parent, and only `buildInChild`, sends one message of this type.
process.once("message", (options: ToBuild) => void build(options));

async function build(options: ToBuild): Promise<void> {
  const result = await buildGeneration({ ...options, signal: stop.signal }).then(
    (manifest): FromBuild => ({ type: "built", manifest }),
    toFailure,
  );
  await endCompiler();
  if (!process.connected) return;
  process.send?.(result, () => process.disconnect());
}

/** Resolves when the compiler's process has ended, and this one has learned of it. */
async function endCompiler(): Promise<void> {
  await stopCompiler();
  const running = children.filter((child) => child.exitCode === null && child.signalCode === null);
  await Promise.all(
    running.map(async (child) => {
      child.ref();
      await once(child, "exit");
    }),
  );
}

function toFailure(error: unknown): FromBuild {
  if (error instanceof RuntimeError) {
    const inputs = error instanceof BuildError ? error.inputs : [];
    return { type: "failed", code: error.code, message: error.message, inputs };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { type: "failed", code: null, message, inputs: [] };
}
