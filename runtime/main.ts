#!/usr/bin/env node
/** Entry of both processes: what `node:cluster` forked is a worker, everything else is the command line. */
import cluster from "node:cluster";
import { setFlagsFromString } from "node:v8";

if (cluster.isWorker) {
  const { runWorker } = await import("./worker/main.ts");
  runWorker();
} else {
  // The primary's young objects die within a turn of the loop: waking other threads for them costs more than they help
  // (server CPU per request in `npm run bench`: 12.3 to 10.7 µs on two cores).
  setFlagsFromString("--no-parallel-scavenge");
  const { runCommandLine } = await import("./cli/run.ts");
  await runCommandLine(process.argv.slice(2));
}
