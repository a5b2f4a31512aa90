/** Entry of the build process: takes its orders from the parent, builds once, reports, exits. */
import { RuntimeError } from "../errors.ts";
import type { FromBuild, ToBuild } from "./build-messages.ts";
import { buildGeneration } from "./build.ts";

const stop = new AbortController();
process.once("SIGTERM", () => stop.abort());
// A terminal sends its Ctrl-C to all processes; the parent decides what it means for this one.
process.on("SIGINT", () => {});
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
    return { type: "failed", code: error.code, message: error.message };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { type: "failed", code: null, message };
}
