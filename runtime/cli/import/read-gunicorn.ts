import { execFile } from "node:child_process";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as z from "zod/mini";
import { RuntimeError } from "../../lib/errors.ts";
import type { Line } from "./report.ts";

/** The settings of a config file of Gunicorn. */
export interface GunicornSettings {
  /** All names of the file, also those of helpers. A function is the text `function`. */
  readonly values: Readonly<Record<string, unknown>>;
  /** The line that sets each name. */
  readonly lines: Readonly<Record<string, { line: number; text: string }>>;
  /** Names whose values depend on the number of CPUs. */
  readonly computed: readonly string[];
  /** Name of the file, for places. */
  readonly file: string;
}

const settingsSchema = z.object({
  values: z.record(z.string(), z.unknown()),
  lines: z.record(z.string(), z.object({ line: z.number(), text: z.string() })),
  computed: z.array(z.string()),
});

const TIMEOUT_MS = 30_000;

export interface ReadGunicornOptions {
  cwd: string;
  /** Name or path of the interpreter. */
  python: string;
  /** Default: 30 s. */
  timeoutMs?: number;
}

/**
 * Lets Python evaluate a config file of Gunicorn: it is a program.
 *
 * @throws RuntimeError `ERR_CONFIG` with the last line of Python's message.
 */
export async function readGunicorn(
  path: string,
  { cwd, python, timeoutMs = TIMEOUT_MS }: ReadGunicornOptions,
): Promise<GunicornSettings> {
  // Beside this module, as a source and when compiled.
  const script = fileURLToPath(new URL("./dump_gunicorn.py", import.meta.url));
  const file = relative(cwd, path).startsWith("..") ? path : relative(cwd, path);
  // `-B`: no folder `__pycache__` appears beside the modules of the user.
  const running = promisify(execFile)(python, ["-B", script, path], {
    cwd,
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    maxBuffer: 4 * 1024 * 1024,
  });
  // A file that asks for input gets its end.
  running.child.stdin?.on("error", () => {}).end();
  try {
    const { stdout } = await running;
    return { ...settingsSchema.parse(JSON.parse(stdout)), file };
  } catch (cause) {
    throw new RuntimeError("ERR_CONFIG", `Cannot import ${file}: ${reasonOf(cause, timeoutMs)}`, {
      cause,
    });
  }
}

function reasonOf(error: unknown, timeoutMs: number): string {
  // Errors of child processes have these members.
  const { code, stderr, killed } = error as { code?: unknown; stderr?: unknown; killed?: unknown };
  if (code === "ENOENT") {
    return "found no Python, expected python3 (a config file of Gunicorn is a program), or its path in EDGICORN_PYTHON";
  }
  if (killed === true) return `Python needed more than ${timeoutMs / 1000} s`;
  const last = typeof stderr === "string" ? stderr.trim().split("\n").at(-1) : "";
  return last === undefined || last === "" ? "Python printed no settings" : `Python says "${last}"`;
}

/** Returns the addresses on which Gunicorn listens. */
export function bindsOf({ values }: Pick<GunicornSettings, "values">): string[] {
  const { bind = "127.0.0.1:8000" } = values;
  const all: unknown[] = Array.isArray(bind) ? bind : [bind];
  return all.flatMap((one) =>
    typeof one === "string" ? one.split(",").map((text) => text.trim()) : [],
  );
}

/** Returns the line of a setting for a remark. */
export function lineOf(name: string, { lines, file }: GunicornSettings): Line {
  const own = Object.hasOwn(lines, name) ? lines[name] : undefined;
  return own === undefined
    ? { place: file, text: name }
    : { place: `${file}:${own.line}`, text: own.text };
}
