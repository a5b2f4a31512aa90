// Writes V8's code of the compiled scripts beside them (runtime/decisions/063).
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Longest duration of all runs. They take two seconds, and longer on a busy machine. */
const TIMEOUT_MS = 180_000;

/** Handlers whose build uses the usual parts of the compiler. */
const HANDLERS = {
  "index.ts": `import { text } from "./_text.ts";
    export const config = { pool: "default" };
    export default (request: Request): Response => new Response(text);`,
  "_text.ts": `export const text: string = "text";`,
};

/**
 * Runs the scripts of `dist/` in a folder of their own, and writes V8's code of them. The server runs twice: the second
 * run is a start with the handlers of the first, a request and a reload. The runs end with this process.
 *
 * @param folder Absolute path of the folder with the scripts and their entries.
 * @param dist The folder to which they will be moved.
 * @param files Names of the compiled `record.ts` and of the scripts `server`, `commands` and `compiler`.
 * @throws Error if a run fails, as where no binary of uWebSockets.js loads.
 */
export async function writeCodeCaches(folder, { dist, recorder, scripts }) {
  const dir = mkdtempSync(join(tmpdir(), "edgicorn-code-"));
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const handlersDir = join(dir, "handlers");
  const record = (entry, script) => [
    ...[recorder, entry, script].map((name) => join(folder, name)),
    join(dist, script),
  ];
  try {
    mkdirSync(handlersDir);
    for (const [name, text] of Object.entries(HANDLERS))
      writeFileSync(join(handlersDir, name), text);
    const order = {
      handlersDir,
      stateDir: join(dir, "compiled"),
      mode: "production",
      conditions: "",
    };
    await runCompiler(record("build-child.js", scripts.compiler), { order, dir, signal });
    const flags = ["--handlers", handlersDir, "--public", "off", "--http", "0", "--https", "off"];
    flags.push("--host", "127.0.0.1");
    const args = ["start", ...flags, "--workers", "1", "--log-format", "json"];
    await runServer([...record("main.js", scripts.server), ...args], { dir, signal });
    const use = async ({ port, reload, log }) => {
      await (await fetch(`http://127.0.0.1:${port}/`)).text();
      await runCommand([...record("main.js", scripts.commands), "status"], { dir, signal });
      reload();
      await log.until("reloaded");
    };
    await runServer([...record("main.js", scripts.server), ...args], { dir, signal, use });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function runCommand(args, { dir, signal }) {
  const child = spawn(process.execPath, args, {
    cwd: dir,
    env: environment(),
    stdio: ["pipe", "ignore", "ignore"],
    signal,
  });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`a command ended with code ${code}`);
}

async function runCompiler([path, ...args], { order, dir, signal }) {
  const stdio = ["pipe", "ignore", "inherit", "ipc"];
  const child = fork(path, args, { cwd: dir, env: environment(), stdio, signal });
  let isBuilt = false;
  child.on("message", ({ type }) => (isBuilt = type === "built"));
  child.send(order);
  // Its messages come first. A process that dies may send none.
  const [code] = await once(child, "close");
  if (!isBuilt || code !== 0) throw new Error(`the compiler ended with code ${code}`);
}

/** Starts a server, uses it and stops it. */
async function runServer(args, { dir, signal, use = async () => {} }) {
  const stdio = ["pipe", "ignore", "pipe"];
  const child = spawn(process.execPath, args, { cwd: dir, env: environment(), stdio, signal });
  const exit = once(child, "close");
  // The wait for the log may be the first to fail. This one is awaited afterwards.
  exit.catch(() => {});
  const log = new Log(child.stderr);
  try {
    const { listeners } = await log.until("listening");
    await use({ port: listeners[0].port, reload: () => child.kill("SIGHUP"), log });
  } finally {
    child.kill("SIGTERM");
    await exit;
  }
  if (child.exitCode !== 0) throw new Error(`the server ended with code ${child.exitCode}`);
}

/** The log of a server. */
class Log {
  #text = "";
  #isOver = false;
  #notify = () => {};

  constructor(stream) {
    const lines = createInterface(stream);
    lines.on("line", (line) => {
      this.#text += `${line}\n`;
      this.#notify();
    });
    lines.on("close", () => {
      this.#isOver = true;
      this.#notify();
    });
  }

  /** Waits for the first line with this message. */
  async until(message) {
    for (;;) {
      const entry = this.#text
        .split("\n")
        .map(parseLine)
        .find(({ msg }) => msg === message);
      if (entry !== undefined) return entry;
      if (this.#isOver)
        throw new Error(`the server ended before it was "${message}"\n${this.#text}`);
      // oxlint-disable-next-line no-await-in-loop -- The lines come one after the other.
      await new Promise((resolve) => (this.#notify = resolve));
    }
  }
}

/** Returns the environment of this process without variables that configure Node or the server, or that systemd reads. */
function environment() {
  const entries = Object.entries(process.env);
  return Object.fromEntries(
    entries.filter(
      ([name]) => !/^(?:EDGICORN_|NODE_OPTIONS$|NOTIFY_SOCKET$|WATCHDOG_|LISTEN_)/.test(name),
    ),
  );
}

function parseLine(line) {
  try {
    return JSON.parse(line);
  } catch {
    // A message of Node itself.
    return {};
  }
}
