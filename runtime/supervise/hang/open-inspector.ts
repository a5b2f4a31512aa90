import { once } from "node:events";
import { get } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { InspectorSession } from "./inspector-session.ts";
import { findLoopbackPorts } from "./loopback-ports.ts";

/** Time between looks for the port. It is open within a few milliseconds, or the process cannot open it. */
const FIRST_LOOK_MS = 5;

/** Longest answer of an inspector: a list of one target, or a stack. */
const MAX_ANSWER_BYTES = 1024 * 1024;

/**
 * Opens the inspector of a process by SIGUSR1, which works while its event loop is blocked, and connects to it. The
 * process must have been started with `INSPECTOR_OPTION`, and must leave the signal to Node. Linux only.
 *
 * Rejects when the signal aborts before there is an inspector.
 */
export async function openInspector(pid: number, signal: AbortSignal): Promise<InspectorSession> {
  const url = await openUrl(pid, signal);
  return InspectorSession.connect(url, { signal, maxMessageBytes: MAX_ANSWER_BYTES });
}

/** Opens the inspector of a process as `openInspector` does, and returns its URL. */
export async function openUrl(pid: number, signal: AbortSignal): Promise<string> {
  // A handler may listen too: ports that are open already are not the inspector's.
  const before = new Set(await findLoopbackPorts(pid));
  signal.throwIfAborted();
  process.kill(pid, "SIGUSR1");
  for (let pauseMs = FIRST_LOOK_MS; ; pauseMs *= 2) {
    await delay(pauseMs, undefined, { signal });
    const port = (await findLoopbackPorts(pid)).find((each) => !before.has(each));
    if (port !== undefined) return findUrl(port, signal);
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
