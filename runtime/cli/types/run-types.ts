import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { type ConfigSources, loadConfig } from "../../config/config.ts";
import { EXIT, RuntimeError } from "../../lib/errors.ts";
import type { Outcome } from "../control.ts";
import { readTemplate } from "../init/init.ts";
import { listRoutes } from "./list-routes.ts";
import { MARK, writeTypes } from "./write-types.ts";

/** Name of the file, as `init` and its tsconfig.json know it. */
const FILE = "edgicorn-env.d.ts";

/** Exit code of `--check` when the file is out of date. */
const EXIT_STALE = 1;

/** Most lines of a difference that are shown. */
const MOST_LINES = 10;

export interface TypesOptions extends Pick<ConfigSources, "flags" | "env" | "cwd"> {
  /** Compares, and writes nothing. */
  check: boolean;
  /** The file, relative to `cwd`; `null`: `edgicorn-env.d.ts`. */
  output: string | null;
}

/**
 * Writes the types of `env` and of the routes of a project. An unchanged file is not written again.
 *
 * @throws RuntimeError `ERR_CONFIG` for wrong settings, and for a file of another origin; `ERR_HANDLER_LOAD` for handlers
 *   whose names cannot be routed.
 */
export async function runTypes({ check, output, ...sources }: TypesOptions): Promise<Outcome> {
  const config = await loadConfig({ mode: "production", ...sources });
  const name = output ?? FILE;
  const file = resolve(sources.cwd, name);
  const { bindings, envVariables: variables } = config;
  const routes = await listRoutes(config);
  const text = writeTypes({ bindings, variables, routes });
  const present = readPresent(file, name);
  if (present === text) return toOutcome(`${name} is up to date\n`);
  if (check) {
    const found = present === null ? "no such file" : "other types";
    const problem = `Cannot accept ${name}: found ${found}, expected those of this project (run "edgicorn types")`;
    const lines = present === null ? [] : listDifferences(present, text);
    return { text: "", problem: [problem, ...lines].join("\n"), exitCode: EXIT_STALE };
  }
  if (present !== null && !isReplaceable(present)) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot write ${name}: found a file that was written by hand, expected none, or one that "edgicorn types" wrote ` +
        "(move its declarations to another file and remove it, or use --output FILE)",
    );
  }
  replaceFile(file, { name, text });
  const counts = `${countOf(bindings.length, "binding")}, ${countOf(routes.length, "route")}`;
  return toOutcome(`${present === null ? "created" : "changed"}  ${name}: ${counts}\n`);
}

function countOf(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

function toOutcome(text: string): Outcome {
  return { text, problem: "", exitCode: EXIT.drained };
}

/** Returns the text of the file with line feeds; `null`: there is none. */
function readPresent(file: string, name: string): string | null {
  try {
    return readFileSync(file, "utf8").replaceAll("\r\n", "\n");
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null;
    throw new RuntimeError("ERR_CONFIG", `Cannot read ${name}: ${codeOf(cause)}`, { cause });
  }
}

/** Whether the file is one of this command, or that of `init` without a change. */
function isReplaceable(text: string): boolean {
  const ofInit = readTemplate("common", FILE).replaceAll("\r\n", "\n");
  return text.startsWith(MARK) || text === ofInit || text.trim() === "";
}

/** Replaces the file as a whole: a compiler that watches it never sees a part. */
function replaceFile(file: string, { name, text }: { name: string; text: string }): void {
  const draft = `${file}.${process.pid}.tmp`;
  try {
    writeFileSync(draft, text, { flag: "wx" });
    renameSync(draft, file);
  } catch (cause) {
    rmSync(draft, { force: true });
    throw new RuntimeError("ERR_CONFIG", `Cannot write ${name}: ${codeOf(cause)}`, { cause });
  }
}

/** Returns the first lines that only one of the texts has: `- ` for the present one, `+ ` for the expected one. */
function listDifferences(present: string, expected: string): string[] {
  const [before, after] = [present, expected].map((text) => text.split("\n"));
  const lines = [
    ...(before ?? []).filter((line) => after?.includes(line) === false).map((line) => `- ${line}`),
    ...(after ?? []).filter((line) => before?.includes(line) === false).map((line) => `+ ${line}`),
  ];
  const more = lines.length - MOST_LINES;
  return [...lines.slice(0, MOST_LINES), ...(more > 0 ? [`and ${more} lines more`] : [])];
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}
