import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { builtProgram } from "./built-program.ts";
import { killAtEnd } from "./guardian.ts";
import { RawConnection } from "./raw-connection.ts";
import { testedEngine } from "./engine.ts";
import { testedLibrary } from "./library.ts";
import { endBeforeFolders, type Owner, temporaryFolder } from "./temporary-folder.ts";

/** Files by their path below a folder, or the absolute path of a folder that is there already. */
export type Files = Readonly<Record<string, string | Uint8Array>> | string;

export interface StartOptions {
  /** What it is started by; `start` unless told. */
  command?: "start" | "dev";
  /** The handlers folder: `{ "users/[id].ts": "export default ..." }`, or its absolute path. */
  handlers: Files;
  /** The folder of static files; without it there is none. */
  public?: Files;
  /** The config file says which folder it is. */
  publicFromFile?: boolean;
  /** Other files of its working folder, such as a config file. */
  files?: Readonly<Record<string, string | Uint8Array>>;
  /** Whether it listens for HTTPS too, with a development certificate. */
  https?: boolean;
  /** How many workers; one unless told. */
  workers?: number;
  /** More flags, such as `["--body-limit", "1kb"]`; they win over those above. */
  flags?: readonly string[];
  /** What the program is started by, such as `["unshare", "--pid", "--fork"]`; signals then go there. */
  prefix?: readonly [program: string, ...args: string[]];
  /** Absolute path of its working folder; one of its own unless told. */
  cwd?: string;
  /** More environment variables. */
  env?: Readonly<Record<string, string>>;
}

/** One line of the server's log. What is not JSON has a `msg` only. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

/**
 * Starts the real, compiled server in a folder of its own, on free ports, and waits until it
 * listens. It is stopped after the test, which then fails if a process of it survives.
 *
 *     const server = await startServer(t, { handlers: { "index.ts": `export default () => new Response("hi")` } });
 *     const response = await server.fetch("/");
 *
 * @throws AssertionError with all that it wrote when it exits instead.
 */
export async function startServer(t: Owner, options: StartOptions): Promise<TestServer> {
  const server = spawnServer(t, options);
  await server.until(({ msg }) => msg === "listening");
  return server;
}

/** As `startServer`, but does not wait: for servers that are not meant to come up. */
export function spawnServer(t: Owner, options: StartOptions): TestServer {
  let server: TestServer | null = null;
  endBeforeFolders(t, async () => server?.stop());
  const dir = temporaryFolder(t);
  toFolder(dir, options.files ?? {});
  const handlersDir = toFolder(join(dir, "handlers"), options.handlers);
  const publicDir =
    options.public === undefined ? "off" : toFolder(join(dir, "public"), options.public);
  const flags = {
    "--handlers": handlersDir,
    ...(options.publicFromFile === true ? {} : { "--public": publicDir }),
    "--http": "0",
    "--https": options.https === true ? "0" : "off",
    "--workers": String(options.workers ?? 1),
    "--log-format": "json",
    ...PATIENCE,
  };
  const args = [
    builtProgram(),
    options.command ?? "start",
    ...Object.entries(flags).flat(),
    ...(options.flags ?? []),
  ];
  const [program, ...words] = [...(options.prefix ?? []), process.execPath, ...args];
  const child = spawn(program ?? process.execPath, words, {
    cwd: options.cwd ?? dir,
    env: { ...cleanEnvironment(), ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own: what the server starts is found by it, and signals of the terminal do not reach it.
    detached: true,
  });
  server = new TestServer(child, { dir, handlersDir, publicDir });
  return server;
}

/** A server in processes of its own, seen from outside. */
export class TestServer {
  /** Its working folder; state and certificates are below. */
  readonly dir: string;
  readonly handlersDir: string;
  readonly publicDir: string;
  /** Process id of the primary, and id of the group of all its processes. */
  readonly pid: number;
  /** Log lines so far, access lines included. */
  readonly logs: LogLine[] = [];
  /** Settles when the primary has exited and nobody is left who could write to its log. */
  readonly exit: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly #child: ChildProcess;
  /** Its processes no longer need to end with those of the tests. */
  readonly #release: () => void;
  readonly #watchers = new Set<() => void>();
  #stderr = "";
  #ended = false;

  constructor(
    child: ChildProcess,
    folders: { dir: string; handlersDir: string; publicDir: string },
  ) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.#release = child.pid === undefined ? () => {} : killAtEnd(-child.pid);
    this.dir = folders.dir;
    this.handlersDir = folders.handlersDir;
    this.publicDir = folders.publicDir;
    assert.ok(child.stderr !== null && child.stdout !== null, "spawned with pipes");
    child.stdout.resume();
    createInterface(child.stderr).on("line", (line) => this.#onLine(line));
    this.exit = once(child, "close").then(([code, signal]) => {
      this.#ended = true;
      if (isGone(this.pid)) this.#release();
      this.#notify();
      // The types that the event "close" of a child process has.
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
  }

  /** `http://127.0.0.1:PORT`, once it listens. */
  get http(): string {
    return `http://127.0.0.1:${this.port("http")}`;
  }

  /** `https://localhost:PORT`, once it listens. The certificate is signed by nobody. */
  get https(): string {
    return `https://localhost:${this.port("https")}`;
  }

  port(scheme: "http" | "https"): number {
    const listening = this.logs.find(({ msg }) => msg === "listening");
    // The shape of this log line is what this file is about.
    const listeners = (listening?.["listeners"] ?? []) as { scheme: string; port: number }[];
    const listener = listeners.find((candidate) => candidate.scheme === scheme);
    assert.ok(listener !== undefined, `no listener for ${scheme}`);
    return listener.port;
  }

  /** Process ids of the workers that are ready, by their number. */
  get workers(): Map<number, number> {
    const ready = new Map<number, number>();
    for (const { msg, workerId, workerPid } of this.logs as readonly Record<string, unknown>[]) {
      if (typeof workerId !== "number" || typeof msg !== "string") continue;
      if (msg === "worker ready") ready.set(workerId, Number(workerPid));
      else if (msg.startsWith("worker exited")) ready.delete(workerId);
    }
    return ready;
  }

  /** Access lines so far. They are written in batches: use `untilAccess` to wait for one. */
  get accessLines(): LogLine[] {
    return this.logs.filter(({ component }) => component === "access");
  }

  /** All that it wrote to standard error so far, as text. */
  get stderr(): string {
    return this.#stderr;
  }

  /** `fetch` of a path on the plain listener. */
  fetch(path: string, init?: RequestInit): Promise<Response> {
    return fetch(this.http + path, init);
  }

  /** Opens a connection to the plain listener, for bytes that `fetch` would not send. Closed after the test at the latest. */
  connect(): Promise<RawConnection> {
    return RawConnection.open(this.port("http"));
  }

  /**
   * Sends bytes on a connection of their own and returns all that comes back (one character per byte) once the server
   * has closed it. So ask it to: `Connection: close`, or something malformed. Never half-closes: to this server that
   * means the client has left.
   */
  async raw(bytes: string | Uint8Array): Promise<string> {
    const connection = await this.connect();
    connection.send(bytes);
    return connection.untilClosed();
  }

  /**
   * Waits for a log line; those that are there already count.
   *
   * @throws AssertionError with all that was written when the server ends without it.
   */
  async until(predicate: (line: LogLine) => boolean): Promise<LogLine> {
    for (let seen = 0; ;) {
      for (; seen < this.logs.length; seen++) {
        const line = this.logs[seen];
        if (line !== undefined && predicate(line)) return line;
      }
      assert.ok(!this.#ended, `the server ended without the expected log line:\n${this.#stderr}`);
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  /** Waits for the first access line that has these fields. */
  untilAccess(expected: Readonly<Record<string, unknown>>): Promise<LogLine> {
    return this.until(
      (line) =>
        line["component"] === "access" &&
        Object.entries(expected).every(([name, value]) => line[name] === value),
    );
  }

  /** Sends a signal to the primary. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it, in order if it still runs, and asserts that no process of it survives. */
  async stop(): Promise<void> {
    if (!this.#ended && this.#child.exitCode === null && this.#child.signalCode === null) {
      this.kill("SIGTERM");
      const inTime = await Promise.race([this.exit, delay(STOP_MS, null, { ref: false })]);
      if (inTime === null) this.kill("SIGABRT");
    }
    await Promise.race([this.exit, delay(GONE_MS, null, { ref: false })]);
    const survivors = await this.#survivors();
    for (const pid of survivors) process.kill(pid, "SIGKILL");
    if (survivors.length === 0) this.#release();
    assert.deepEqual(survivors, [], `processes survive the server:\n${this.#stderr}`);
  }

  #onLine(text: string): void {
    this.#stderr += `${text}\n`;
    this.logs.push(parseLine(text));
    this.#notify();
  }

  #notify(): void {
    const watchers = [...this.#watchers];
    this.#watchers.clear();
    for (const resolve of watchers) resolve();
  }

  /** Processes of the group that do not go away. Nothing tells of the end of a grandchild, so this one is asked for. */
  async #survivors(): Promise<number[]> {
    const deadlineMs = performance.now() + GONE_MS;
    for (;;) {
      const pids = isGone(this.pid) ? [] : processesOfGroup(this.pid);
      if (pids.length === 0 || performance.now() > deadlineMs) return pids;
      await delay(10);
    }
  }
}

/** Limits of the queue that no slow machine reaches: the server would take it for overload. */
const PATIENCE = { "--queue-delay": "0s", "--queue-timeout": "60s" };

/** A server that has nothing to do stops within milliseconds; a busy test machine may need longer. */
const STOP_MS = 5_000;

/** Longest wait for the end of processes that were told to end, on a busy machine. */
const GONE_MS = 60_000;

/** The state of a process in `/proc/PID/stat` once it is dead and its parent has not looked yet. */
const DEAD = new Set(["Z", "X"]);

/** Tells whether a group has no processes, dead ones included. Takes a thousandth of the time of a look at all processes. */
function isGone(group: number): boolean {
  try {
    process.kill(-group, 0);
    return false;
  } catch (error) {
    // EPERM: they are of another user.
    return error instanceof Error && "code" in error && error.code === "ESRCH";
  }
}

function processesOfGroup(group: number): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    let stat: string;
    try {
      stat = readFileSync(`/proc/${name}/stat`, "utf8");
    } catch {
      // It has exited since the folder was read.
      return [];
    }
    // The second field is a name in parentheses and may hold anything.
    const [state = "", , processGroup] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(processGroup) === group && !DEAD.has(state) ? [Number(name)] : [];
  });
}

function toFolder(dir: string, files: Files): string {
  if (typeof files === "string") return files;
  mkdirSync(dir, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), content);
  }
  return dir;
}

/** Returns this process's environment without variables that configure the server, the test runner or its loader. */
export function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([name]) => !/^(?:EDGICORN_|NODE_OPTIONS$|NODE_TEST_CONTEXT$)/.test(name),
  );
  // Else a server takes the first that loads; `npm run test:node` chooses.
  return {
    ...Object.fromEntries(entries),
    EDGICORN_UWS: testedLibrary(),
    EDGICORN_ENGINE: testedEngine(),
  };
}

function parseLine(text: string): LogLine {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as LogLine;
  } catch {
    // A message of Node itself, or of a command that refuses to start.
  }
  return { msg: text };
}
