// Imports the modules that SHARED_TEST_FILES lists: with test files, `node:test` then runs them all in this process.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";

const list: unknown = JSON.parse(process.env["SHARED_TEST_FILES"] ?? "[]");
if (!Array.isArray(list) || list.length === 0) {
  throw new TypeError("Cannot import modules: SHARED_TEST_FILES names none, expected a JSON array");
}
for (const file of list) {
  // oxlint-disable-next-line no-await-in-loop -- One after the other, so that a failure to load names its file.
  await import(pathToFileURL(resolve(String(file))).href);
}
