// Runs tests: `all`; `unit`, the tests that start no process; or `changed`, the tests that import a changed file.
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { ImportGraph } from "./import-graph.ts";

/** Modules that start processes. */
const PROCESS_MODULES: ReadonlySet<string> = new Set(["node:child_process", "node:cluster"]);

/** Replaces the web's objects in its process: tests that import it cannot share a process with others. */
const REPLACES_GLOBALS = join("runtime", "web", "install.ts");

/** Tells scripts/import-all.ts which files to import, as JSON: the runner gives a file no arguments. */
const SHARED_FILES_VARIABLE = "SHARED_TEST_FILES";

const [part, ...options] = process.argv.slice(2);
process.chdir(join(import.meta.dirname, ".."));
const graph = new ImportGraph();
const files = pickFiles();
const shared = files.filter((file) => !startsProcesses(file) && !replacesGlobals(file));
const others = files.filter((file) => !shared.includes(file));
if (files.length === 0) console.log("no test reaches a file that was changed");
// One process for all files that can share it: starting one and compiling its imports takes longer than most tests.
// The runner starts it first and counts it as one of two files.
const entries = [...(shared.length === 0 ? [] : [join("scripts", "import-all.ts")]), ...others];
if (entries.length > 0) {
  const args = ["--import", "tsx", "--test", "--test-concurrency=2", ...options, ...entries];
  const env = {
    ...process.env,
    [SHARED_FILES_VARIABLE]: JSON.stringify(shared),
    // `npm run test:unit` starts no program. The scripts of the other parts build it first (test/helpers/built-program.ts).
    ...(part === "unit" ? {} : { EDGICORN_TEST_BUILT: "1" }),
  };
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit", env });
  process.exitCode = status ?? 1;
}

function pickFiles(): string[] {
  if (part === "all") return testFiles();
  if (part === "unit") return testFiles().filter((file) => !startsProcesses(file));
  if (part === "changed") return testFiles().filter(isChanged(changedFiles()));
  throw new TypeError(`Cannot run the tests "${part}": expected "all", "unit" or "changed"`);
}

function testFiles(): string[] {
  return (
    readdirSync("test", { recursive: true, encoding: "utf8" })
      // Tests in recipes/ need packages of their own: npm run test:recipes.
      .filter((name) => name.endsWith(".test.ts") && !name.startsWith("recipes"))
      .map((name) => join("test", name))
      .toSorted()
  );
}

function startsProcesses(file: string): boolean {
  return [...graph.reachedFrom(file)].some((reached) =>
    graph.importsOf(reached).some(({ specifier }) => PROCESS_MODULES.has(specifier)),
  );
}

function replacesGlobals(file: string): boolean {
  return graph.reachedFrom(file).has(REPLACES_GLOBALS);
}

/** Returns files that differ from the last commit, or from the commit in the variable `SINCE`; untracked files, too. */
function changedFiles(): ReadonlySet<string> {
  const since = process.env["SINCE"] ?? "HEAD";
  const lists = [
    ["diff", "--name-only", since],
    ["ls-files", "--others", "--exclude-standard"],
  ].map((args) => execFileSync("git", args, { encoding: "utf8" }).split("\n"));
  return new Set(lists.flat().filter((name) => name !== ""));
}

function isChanged(changed: ReadonlySet<string>): (file: string) => boolean {
  return (file) => [...graph.reachedFrom(file)].some((reached) => changed.has(reached));
}
