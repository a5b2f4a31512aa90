import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { WebSocket } from "ws";
import * as z from "zod/mini";
import { killChildAtEnd } from "./guardian.ts";
import type { Owner } from "./temporary-folder.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const PROGRAM = "chromium";

/** Whether Debian's Chromium is installed here. */
export function hasBrowser(): boolean {
  return spawnSync(PROGRAM, ["--version"], { stdio: "ignore" }).status === 0;
}

const targets = z.array(z.object({ type: z.string(), webSocketDebuggerUrl: z.string() }));
const answer = z.object({ id: z.number(), result: z.optional(z.unknown()) });
const notice = z.object({ method: z.string(), params: z.unknown() });
const evaluated = z.object({
  result: z.object({ value: z.optional(z.unknown()) }),
  exceptionDetails: z.optional(z.unknown()),
});

/** A page in Chromium, without a window, over its DevTools protocol. It ends with the test. */
export class BrowserPage {
  /** Errors and warnings of the page, such as violations of its policy. */
  readonly complaints: string[] = [];
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #lastId = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data: Buffer) => this.#receive(data.toString("utf8")));
  }

  static async open(
    t: Owner,
    { width, height, fields }: { width: number; height: number; fields: Record<string, string> },
  ): Promise<BrowserPage> {
    let child: ChildProcess | null = null;
    // Hooks run in the order in which they were set: Chromium ends before its folder goes.
    t.after(() => (child === null ? undefined : end(child)));
    child = spawn(
      PROGRAM,
      [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
        `--user-data-dir=${temporaryFolder(t)}`,
        "about:blank",
      ],
      { stdio: ["ignore", "ignore", "pipe"], detached: true },
    );
    killChildAtEnd(child, { isGroup: true });
    const { host } = new URL(await findDevTools(child));
    const list = targets.parse(await (await fetch(`http://${host}/json/list`)).json());
    const page = list.find(({ type }) => type === "page");
    assert.ok(page !== undefined, "Chromium has a page");
    const socket = new WebSocket(page.webSocketDebuggerUrl);
    await once(socket, "open");
    const opened = new BrowserPage(socket);
    for (const domain of ["Runtime", "Log", "Network", "Page"])
      await opened.#call(`${domain}.enable`);
    await opened.#call("Network.setExtraHTTPHeaders", { headers: fields });
    await opened.#call("Emulation.setDeviceMetricsOverride", {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: false,
    });
    return opened;
  }

  async visit(url: string): Promise<void> {
    await this.#call("Page.navigate", { url });
  }

  /** Evaluates an expression in the page. Its value must be plain data. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = evaluated.parse(
      await this.#call("Runtime.evaluate", options),
    );
    assert.equal(exceptionDetails, undefined, JSON.stringify(exceptionDetails));
    return result.value;
  }

  /** Waits until an expression is true in the page. The timeout of the test ends the wait. */
  async until(expression: string): Promise<void> {
    await this.evaluate(`new Promise((resolve) => {
      const look = () => { if (${expression}) resolve(true); else setTimeout(look, 20); };
      look();
    })`);
  }

  async press(key: string): Promise<void> {
    for (const type of ["keyDown", "keyUp"]) {
      const text = key === "Enter" ? { text: "\r" } : {};
      await this.#call("Input.dispatchKeyEvent", {
        type,
        key,
        code: key,
        windowsVirtualKeyCode: key === "Enter" ? 13 : 9,
        ...text,
      });
    }
  }

  #call(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#lastId;
    this.#socket.send(JSON.stringify({ id, method, params }));
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  #receive(text: string): void {
    const message: unknown = JSON.parse(text);
    const answered = answer.safeParse(message);
    if (answered.success) {
      this.#waiting.get(answered.data.id)?.(answered.data.result);
      this.#waiting.delete(answered.data.id);
      return;
    }
    const told = notice.safeParse(message);
    if (!told.success) return;
    if (!["Runtime.exceptionThrown", "Log.entryAdded"].includes(told.data.method)) return;
    this.complaints.push(JSON.stringify(told.data.params));
  }
}

/** Chromium writes the address of its protocol to standard error. */
async function findDevTools(child: ChildProcess): Promise<string> {
  assert.ok(child.stderr !== null, "spawned with a pipe");
  for await (const line of createInterface(child.stderr)) {
    const found = /ws:\/\/\S+/.exec(line);
    if (found !== null) {
      child.stderr.resume();
      return found[0];
    }
  }
  throw new Error("Cannot drive Chromium: it has ended");
}

/** Ends Chromium with all of its processes, which are in one group. They write to its folder until they are gone. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return;
  // The last of them closes standard error.
  child.stderr?.resume();
  const ended = once(child, "close");
  process.kill(-child.pid, "SIGKILL");
  await ended;
}
