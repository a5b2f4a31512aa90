// Imports in a process of its own, which kills itself before the nth rename: `killed-import.ts N`.
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

let left = Number(process.argv[2]);
const { renameSync } = fs;
fs.renameSync = (from, to) => {
  if (--left === 0) process.kill(process.pid, "SIGKILL");
  renameSync(from, to);
};
syncBuiltinESMExports();
// After the change, which the modules see.
const { runImport } = await import("../../runtime/cli/import/import.ts");
const options = { words: ["wrangler.toml"], environment: null, json: false };
const { text } = await runImport({ ...options, cwd: process.cwd(), env: process.env });
process.stdout.write(text);
