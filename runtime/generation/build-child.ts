/** Entry of the build process: takes its orders from the parent, builds once, reports, exits. */
import { RuntimeError } from "../errors.ts";
import { BuildError } from "./build-error.ts";
import type { FromBuild, ToBuild } from "./build-messages.ts";
import { buildGeneration } from "./build.ts";

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
// A terminal and a process group send these to all processes; the parent decides what they mean for this one.
for (const signal of ["SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const) {
  process.on(signal, () => {});
}
// Nobody is left to build for.
process.once("disconnect", () => stop.abort());
// The parent, and only `buildInChild`, sends one message of this type.
process.once("message", (options: ToBuild) => void build(options));

async function build(options: ToBuild): Promise<void> {
  const result = await buildGeneration({ ...options, signal: stop.signal }).then(
    (manifest): FromBuild => ({ type: "built", manifest }),
    toFailure,
  );
  if (!process.connected) return;
  process.send?.(result, () => process.disconnect());
}

function toFailure(error: unknown): FromBuild {
  if (error instanceof RuntimeError) {
    const inputs = error instanceof BuildError ? error.inputs : [];
    return { type: "failed", code: error.code, message: error.message, inputs };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { type: "failed", code: null, message, inputs: [] };
}
