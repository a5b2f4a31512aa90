// Runs tests: `all`; `unit`, the tests that start no process; or `changed`, the tests that import a changed file.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { killChildAtEnd } from "../test/helpers/guardian.ts";
import { ImportGraph } from "./import-graph.ts";

/** Modules that start processes. */
const PROCESS_MODULES: ReadonlySet<string> = new Set(["node:child_process", "node:cluster"]);

/** Replaces the web's objects in its process: tests that import it cannot share a process with others. */
const REPLACES_GLOBALS = join("runtime", "web", "install.ts");

/** Folders whose files run for long. Few of them share a process, since the last processes should end at the same time. */
const LONG = ["mistakes", "examples", "e2e"].map((name) => join("test", name, "/"));

/** Calls and rows that start a server or a command, or build again. Each takes about a second of processor time. */
const STARTS =
  /\b(?:start|spawn|share)[A-Z]\w*\(|\brunCommand\(|\bcommand: "|"reload"|SIGHUP|"rollback"/g;
/** The time of the rest of a file, in starts. */
const REST = 3;
/** Fewer starts are not worth a process: loading the tests takes as long as one. */
const FEWEST_STARTS = 10;

/** How many files run at a time. Many wait for a timer or a process most of the time, so there are more than cores. */
const AT_A_TIME = 3;

const [part, ...options] = process.argv.slice(2);
process.chdir(join(import.meta.dirname, ".."));
const graph = new ImportGraph();
const files = pickFiles();
if (files.length === 0) console.log("no test reaches a file that was changed");
// One process for all files that can share it: starting one and compiling its imports takes longer than most tests.
const folder = mkdtempSync(join(tmpdir(), "edgicorn-tests-"));
try {
  const groups = [
    ...["processes", "shared", "globals"].map((name) => membersOf(name)),
    ...inShrinkingPieces(membersOf("long")),
    ...membersOf("alone").map((file) => [file]),
  ];
  await run(groups.filter((group) => group.length > 0).map(writeEntry));
} finally {
  rmSync(folder, { recursive: true });
}

/** Without this process the runner ends, and with it the processes of the tests and their servers. */
async function run(entries: readonly string[]): Promise<void> {
  if (entries.length === 0) return;
  const concurrency = `--test-concurrency=${AT_A_TIME}`;
  const args = ["--import", "tsx", "--test", concurrency, ...options, ...entries];
  const env = {
    ...process.env,
    // `npm run test:unit` starts no program. The scripts of the other parts build it first (test/helpers/built-program.ts).
    ...(part === "unit" ? {} : { EDGICORN_TEST_BUILT: "1" }),
  };
  const runner = spawn(process.execPath, args, { stdio: "inherit", env });
  killChildAtEnd(runner);
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => runner.kill(signal));
  }
  await once(runner, "exit");
  process.exitCode = runner.exitCode ?? 1;
}

function membersOf(group: string): string[] {
  return files.filter((file) => groupOf(file) === group);
}

/** Returns the name of the process in which a file runs, beside the others of that name. */
function groupOf(file: string): string {
  if (!startsProcesses(file)) return replacesGlobals(file) ? "globals" : "shared";
  if (replacesGlobals(file)) return "alone";
  return LONG.some((long) => file.startsWith(long)) ? "long" : "processes";
}

/**
 * Divides files into groups, those that start most first. Each group gets an equal share of half of the rest: a
 * process for each file would cost a second, and a long last process would run alone.
 */
function inShrinkingPieces(all: readonly string[]): string[][] {
  const weighed = all
    .map((file) => ({ file, weight: weigh(file) }))
    .toSorted((a, b) => b.weight - a.weight);
  let left = weighed.reduce((sum, { weight }) => sum + weight, 0);
  let room = 0;
  const pieces: string[][] = [];
  for (const { file, weight } of weighed) {
    if (room <= 0) {
      room = Math.max(left / (2 * AT_A_TIME), FEWEST_STARTS);
      pieces.push([]);
    }
    pieces.at(-1)?.push(file);
    room -= weight;
    left -= weight;
  }
  return pieces;
}

function weigh(file: string): number {
  return REST + (readFileSync(file, "utf8").match(STARTS)?.length ?? 0);
}

/**
 * Writes a module that imports all files of a group: `node:test` then runs them all, one after another. The runner sorts
 * modules by name.
 */
function writeEntry(members: readonly string[], number: number): string {
  const path = join(folder, `${String(number).padStart(3, "0")}.mjs`);
  const lines = members.map((file) => `import ${JSON.stringify(pathToFileURL(resolve(file)))};\n`);
  writeFileSync(path, lines.join(""));
  return path;
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
