import { once } from "node:events";
import { get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { WebSocket } from "ws";
import { findLoopbackPorts } from "./loopback-ports.ts";

/** Time between looks for the port. It is open within a few milliseconds, or the process cannot open it. */
const FIRST_LOOK_MS = 5;

/** Longest answer of an inspector: a list of one target, or a stack. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/** A session with Node's inspector in another process. */
export interface Inspector {
  /** Returns the value of an expression, if it is plain data. Rejects when it throws, and with the signal. */
  evaluate(expression: string, signal: AbortSignal): Promise<unknown>;
  close(): void;
}

/**
 * Opens the inspector of a process by SIGUSR1, which works while its event loop is blocked, and connects to it. The
 * process must have been started with `INSPECTOR_OPTION`, and must leave the signal to Node. Linux only.
 *
 * Rejects when the signal aborts before there is an inspector.
 */
export async function openInspector(pid: number, signal: AbortSignal): Promise<Inspector> {
  // A handler may listen too: ports that are open already are not the inspector's.
  const before = new Set(await findLoopbackPorts(pid));
  signal.throwIfAborted();
  process.kill(pid, "SIGUSR1");
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs *= 2) {
    await delay(pauseMs, undefined, { signal });
    const port = (await findLoopbackPorts(pid)).find((each) => !before.has(each));
    if (port !== undefined) return connect(await findUrl(port, signal), signal);
  }
}

/** Returns the URL of an inspector's only target. Only clients of its port can learn it. */
export async function findUrl(port: number, signal: AbortSignal): Promise<string> {
  const request = get({ host: "127.0.0.1", port, path: "/json/list", agent: false, signal });
  // A pending wait gets the error itself. If the signal has aborted already, there is no pending wait.
  request.on("error", () => {});
  const [response] = (await once(request, "response", { signal })) as [AsyncIterable<Buffer>];
  let text = "";
  for await (const bytes of response) {
    text += bytes.toString();
    if (text.length > MAX_ANSWER_BYTES) throw new Error("no inspector");
  }
  const targets = JSON.parse(text) as { webSocketDebuggerUrl?: unknown }[];
  const url = targets[0]?.webSocketDebuggerUrl;
  if (typeof url !== "string") throw new Error("no inspector");
  return url;
}

async function connect(url: string, signal: AbortSignal): Promise<Inspector> {
  // Importing takes 15 ms, and is hardly ever needed.
  const { WebSocket } = await import("ws");
  const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: MAX_ANSWER_BYTES });
  // A pending wait gets the error itself. Later errors do not matter.
  socket.on("error", () => {});
  const close = (): void => socket.terminate();
  signal.addEventListener("abort", close, { once: true });
  try {
    await once(socket, "open", { signal });
  } catch (error) {
    close();
    throw error;
  }
  return {
    evaluate: (expression, until) => evaluate(socket, expression, until),
    close: () => {
      signal.removeEventListener("abort", close);
      close();
    },
  };
}

async function evaluate(
  socket: WebSocket,
  expression: string,
  signal: AbortSignal,
): Promise<unknown> {
  const params = { expression, returnByValue: true };
  socket.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params }));
  for (;;) {
    const [data] = (await once(socket, "message", { signal })) as [Buffer];
    // https://chromedevtools.github.io/devtools-protocol/v8/Runtime/#method-evaluate
    const { id, result } = JSON.parse(data.toString()) as {
      id?: number;
      result?: { result: { value?: unknown }; exceptionDetails?: unknown };
    };
    if (id !== 1) continue;
    if (result === undefined || result.exceptionDetails !== undefined) {
      throw new Error("the expression failed");
    }
    return result.result.value;
  }
}
