import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative } from "node:path";
import { RuntimeError } from "../../lib/errors.ts";
import { type Directive, NginxSyntaxError, parseNginx } from "./parse-nginx.ts";
import type { Report } from "./report.ts";

/** Includes within includes: deeper ones are a circle. */
const MOST_DEPTH = 20;

/**
 * Reads a config file of Nginx with the files that it includes.
 *
 * @param options.cwd Places in messages are relative to it.
 * @throws RuntimeError `ERR_CONFIG` for a file that cannot be read, or that is none of Nginx. An included file that is
 *   missing is a line of the report.
 */
export function readNginx(
  path: string,
  { cwd, report }: { cwd: string; report: Report },
): Directive[] {
  return readFile(path, { root: dirname(path), cwd, report, depth: 0 });
}

interface Reading {
  /** Folder of the first file: names of included files are relative to it, as in Nginx. */
  root: string;
  cwd: string;
  report: Report;
  depth: number;
}

function readFile(path: string, reading: Reading): Directive[] {
  const shown = showPath(path, reading.cwd);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split(",")[0] : String(cause);
    throw new RuntimeError("ERR_CONFIG", `Cannot read ${shown}: ${reason}`, { cause });
  }
  try {
    return expand(parseNginx(text, shown), reading);
  } catch (error) {
    if (!(error instanceof NginxSyntaxError)) throw error;
    throw new RuntimeError("ERR_CONFIG", `Cannot import ${shown}: ${error.message}`, {
      cause: error,
    });
  }
}

/** Puts the directives of included files in the place of their `include`. */
function expand(directives: readonly Directive[], reading: Reading): Directive[] {
  return directives.flatMap((directive) => {
    if (directive.name === "include") return readIncluded(directive, reading);
    const { block } = directive;
    return [block === null ? directive : { ...directive, block: expand(block, reading) }];
  });
}

function readIncluded(directive: Directive, reading: Reading): Directive[] {
  const [pattern = ""] = directive.args;
  const { report, depth, root } = reading;
  // Types of files, and parameters of gateways and proxies: none of them is needed here.
  if (
    /^(?:mime\.types|(?:fastcgi|uwsgi|scgi|proxy)[._-]params|fastcgi[\w.-]*\.conf)$/.test(
      basename(pattern),
    )
  ) {
    return [];
  }
  const path = isAbsolute(pattern) ? pattern : join(root, pattern);
  const files = findFiles(path);
  if (files.length === 0 && !pattern.includes("*")) {
    report.lost(directive, "there is no such file here: import it on the machine that has it");
  }
  if (depth >= MOST_DEPTH) {
    report.lost(directive, "the files include each other");
    return [];
  }
  return files.flatMap((file) => readFile(file, { ...reading, depth: depth + 1 }));
}

/** Returns the files of a path whose names may have `*`, `?` and `[...]`, in Nginx's order. */
function findFiles(path: string): string[] {
  const [first = "", ...rest] = path.split("/");
  let found = [first === "" ? "/" : first];
  for (const segment of rest) {
    if (segment === "") continue;
    found = /[*?[]/.test(segment)
      ? found.flatMap((dir) => namesIn(dir, toExpression(segment)).map((name) => join(dir, name)))
      : found.map((dir) => join(dir, segment));
  }
  return found.filter((file) => statSync(file, { throwIfNoEntry: false })?.isFile() === true);
}

function namesIn(dir: string, expression: RegExp): string[] {
  try {
    return readdirSync(dir)
      .filter((name) => !name.startsWith(".") && expression.test(name))
      .toSorted();
  } catch {
    return [];
  }
}

function toExpression(glob: string): RegExp {
  const source = glob.replaceAll(/[\\^$.+(){}|]/g, (character) => `\\${character}`);
  return new RegExp(`^${source.replaceAll("*", ".*").replaceAll("?", ".")}$`);
}

function showPath(path: string, cwd: string): string {
  const shown = relative(cwd, path);
  return shown.startsWith("..") ? path : shown;
}
