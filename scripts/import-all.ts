// Imports modules one after the other: with test files, `node:test` then runs them all in this process.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

for (const file of process.argv.slice(2)) {
  // oxlint-disable-next-line no-await-in-loop -- One after the other, so that a failure to load names its file.
  await import(pathToFileURL(resolve(file)).href);
}
