import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { builtProgram } from "../helpers/built-program.ts";
import { CommandHost } from "../helpers/command-host.ts";
import { type Received, type Sent, send } from "../helpers/send.ts";
import { cleanEnvironment, type LogLine, TestServer } from "../helpers/start-server.ts";
import { type Owner, temporaryFolder } from "../helpers/temporary-folder.ts";

/** A project with a mistake in it, and how it is run. */
export interface Planted {
  /**
   * All files of the project by their path: `{ "handlers/index.ts": "...", "edgicorn.config.ts": "..." }`. A
   * `package.json` with `"type": "module"` is added when it is missing.
   */
  files: Readonly<Record<string, string | Uint8Array>>;
  /**
   * - `check`: runs until it ends. The quickest, so prefer it.
   * - `init`: runs until it ends, with `flags` only.
   *
   *   All of these run in one process, unless they have environment variables of their own.
   * - `start`, `dev`: run until the server listens or exits. A server that listens gets `request`, then SIGTERM.
   */
  command: "check" | "init" | "start" | "dev";
  /** More flags. They win over `--http 0 --https off --workers 1`. */
  flags?: readonly string[];
  /** More environment variables. */
  env?: Readonly<Record<string, string>>;
  /** Sent to the server when it listens: a path, or a path with method, headers and body. */
  request?: string | (Sent & { path: string });
  /** Changes the folder before the command runs: links, modes, dates, `git init`. */
  prepare?: (dir: string) => void | Promise<void>;
  /** Runs while the server serves, after `request`: changes files, sends signals, waits for log lines. */
  meanwhile?: (server: TestServer) => void | Promise<void>;
}

/** The result of a command, once it has ended. */
export interface Outcome {
  /**
   * All that the command wrote: standard output, then standard error. Of a JSON log line, all its texts one per line, so
   * that quotes and line ends are not escaped.
   */
  output: string;
  /** Exit code; `null` when a signal ended it. */
  code: number | null;
  /** Log lines of `start` and `dev`; empty for `check` and `init`. */
  logs: readonly LogLine[];
  /** The answer to `request`; `null` when there was none, or the server did not come up. */
  response: Received | null;
}

/**
 * Writes a project, runs a command of the compiled program in it and waits until it has ended.
 *
 *     const { output } = await plant(t, { command: "check", files: { "handlers/_midleware.ts": "..." } });
 *     assert.match(output, /_midleware\.ts/);
 */
export async function plant(t: Owner, planted: Planted): Promise<Outcome> {
  const { files, command, flags = [], env, prepare } = planted;
  let server: TestServer | null = null;
  // Hooks run in the order in which they were set: the server stops before its folder goes.
  t.after(() => server?.stop());
  const dir = temporaryFolder(t);
  for (const [path, content] of Object.entries({ "package.json": MODULE, ...files })) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
  await prepare?.(dir);
  const serves = command === "start" || command === "dev";
  const ports = command === "init" ? [] : ["--http", "0", "--https", "off"];
  const more = !serves ? [] : ["--workers", "1", "--log-format", "json"];
  const args = [command, ...ports, ...more, ...flags];
  if (!serves && env === undefined) {
    const { code, stdout, stderr } = await host.run(args, dir);
    return { output: stdout + stderr, code, logs: [], response: null };
  }
  const child = spawn(process.execPath, [builtProgram(), ...args], {
    cwd: dir,
    env: { ...cleanEnvironment(), ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // The server finds what survives it by its process group.
    detached: true,
  });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  const folders = { dir, handlersDir: join(dir, "handlers"), publicDir: join(dir, "public") };
  server = new TestServer(child, folders);

  let response: Received | null = null;
  if (serves && (await listens(server))) {
    response = await ask(server, planted.request);
    await planted.meanwhile?.(server);
    server.kill("SIGTERM");
  }
  const { code } = await server.exit;
  const output = stdout + server.logs.map((line) => `${textsOf(line).join("\n")}\n`).join("");
  return { output, code, logs: serves ? server.logs : [], response };
}

const host = new CommandHost({ after });

const MODULE = `{ "type": "module" }\n`;

/** Resolves with `false` when the server exits instead. */
function listens(server: TestServer): Promise<boolean> {
  const listening = server.until(({ msg }) => msg === "listening").then(() => true);
  return Promise.race([listening, server.exit.then(() => false)]).catch(() => false);
}

async function ask(server: TestServer, request: Planted["request"]): Promise<Received | null> {
  if (request === undefined) return null;
  const { path, ...sent } = typeof request === "string" ? { path: request } : request;
  return send(server.http + path, sent);
}

/** All texts in a value of JSON, in order. */
function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(textsOf);
}

/** One row of a table of mistakes. */
export interface Mistake extends Planted {
  /** The mistake, as the operator or developer would put it: "a middleware file with a misspelt name". */
  name: string;
  /** Each is found in the output: one for the place (file, line, setting), one for the remedy. */
  says: readonly RegExp[];
  /** None is found in the output. */
  neverSays?: readonly RegExp[];
  /**
   * The flag of a time limit that the mistake runs into, such as `--boot-timeout`. On a slow machine a short limit ends
   * before the program comes to the mistake, so a row whose output lacks a pattern runs again with a longer limit.
   */
  runsInto?: string;
  /** The exit code; any unless told. */
  code?: number;
  /** The status of the answer to `request`; any unless told. */
  status?: number;
}

/** Time limits, shortest first, for rows that run into one. */
const TIME_LIMITS = ["1s", "5s", "30s"];

/** How many rows run at a time: each is a process tree of its own, and the machine has few cores. */
const AT_A_TIME = 2;
/** Also on a machine that is busy, for a row that runs into all time limits. */
const ROW_TIMEOUT_MS = 600_000;

/** Tests that each planted mistake is reported with its place and its remedy. */
export function describeMistakes(area: string, rows: readonly Mistake[]): void {
  describe(`planted mistakes: ${area}`, { concurrency: AT_A_TIME }, () => {
    for (const { name, says, neverSays = [], runsInto, code, status, ...planted } of rows) {
      it(name, { timeout: ROW_TIMEOUT_MS }, async (t) => {
        const [first, ...longer] = runsInto === undefined ? [] : TIME_LIMITS;
        const run = (limit: string | undefined): Promise<Outcome> => {
          const flags = runsInto === undefined || limit === undefined ? [] : [runsInto, limit];
          return plant(t, { ...planted, flags: [...(planted.flags ?? []), ...flags] });
        };
        let outcome = await run(first);
        for (const limit of longer) {
          if (says.every((pattern) => pattern.test(outcome.output))) break;
          outcome = await run(limit);
        }
        for (const pattern of says) assert.match(outcome.output, pattern);
        for (const pattern of neverSays) assert.doesNotMatch(outcome.output, pattern);
        if (code !== undefined) assert.equal(outcome.code, code, outcome.output);
        if (status !== undefined) assert.equal(outcome.response?.status, status, outcome.output);
      });
    }
  });
}
