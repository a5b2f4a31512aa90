#!/usr/bin/env node
/** Entry of both kinds of process: a fork of `node:cluster` is a worker, everything else is the command line. */
import cluster from "node:cluster";

if (cluster.isWorker) {
  const { runWorker } = await import("./worker/main.ts");
  runWorker();
} else {
  const { runCommandLine } = await import("./cli/run.ts");
  await runCommandLine(process.argv.slice(2));
}
