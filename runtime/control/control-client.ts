import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { fitSocketPath, toControlSocket } from "./socket-path.ts";

/** Largest answer, far more than thousands of generations or workers need. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

export interface ControlRequest {
  method: "GET" | "POST";
  /** `/status` */
  path: string;
  /** Sent as JSON. */
  body?: unknown;
  /** Longest wait for the answer. */
  timeoutMs: number;
}

export type ControlAnswer =
  /** The server's answer. Its shape is not checked. */
  | { kind: "done"; value: unknown }
  /** The server refused, with the reason. */
  | { kind: "refused"; code: string | null; message: string }
  /** There was no answer. `none`: no socket; `stale`: no process listens on it. */
  | { kind: "unreachable"; why: "none" | "stale" | "denied" | "silent" | "ended"; message: string };

/** Asks the server that serves with a state folder. Never rejects. */
export async function askControl(stateDir: string, ask: ControlRequest): Promise<ControlAnswer> {
  const path = toControlSocket(stateDir);
  let fitting: ReturnType<typeof fitSocketPath>;
  try {
    fitting = fitSocketPath(path);
  } catch (error) {
    return unreachable(path, { error, hadAnswer: false });
  }
  const timeout = AbortSignal.timeout(ask.timeoutMs);
  let hadAnswer = false;
  try {
    const sending = open(fitting.path, ask, timeout);
    const response = await responseOf(sending);
    hadAnswer = true;
    const text = await readText(response);
    // The connection ends with the process that was asked to stop.
    if (response.statusCode === 202) return { kind: "done", value: null };
    return toAnswer(response.statusCode ?? 0, text);
  } catch (error) {
    if (timeout.aborted) {
      const message = `Cannot reach the server at ${path}: it has not answered within ${ask.timeoutMs} ms`;
      return { kind: "unreachable", why: "silent", message };
    }
    return unreachable(path, { error, hadAnswer });
  } finally {
    fitting.release();
  }
}

export interface StreamOptions {
  /** Ends the stream. */
  signal: AbortSignal;
  /** Takes an event. The next one is read when the returned promise has resolved. A rejection ends the stream. */
  onEvent: (event: unknown) => Promise<void> | void;
}

/**
 * Asks the server for a stream of events, one JSON text in each line. `done`: the stream has ended, or the signal has aborted.
 * Rejects only when `onEvent` does.
 */
export async function streamControl(
  stateDir: string,
  ask: Omit<ControlRequest, "timeoutMs">,
  { signal, onEvent }: StreamOptions,
): Promise<ControlAnswer> {
  const path = toControlSocket(stateDir);
  let hadAnswer = false;
  let failure: { error: unknown } | null = null;
  let fitting: ReturnType<typeof fitSocketPath> | null = null;
  try {
    fitting = fitSocketPath(path);
    const sending = open(fitting.path, ask, signal);
    const response = await responseOf(sending);
    hadAnswer = true;
    if (response.statusCode !== 200) {
      return toAnswer(response.statusCode ?? 0, await readText(response));
    }
    response.setEncoding("utf8");
    let rest = "";
    // With an encoding, responses yield texts.
    for await (const text of response as AsyncIterable<string>) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const event: unknown = JSON.parse(line);
        const refusal = toRefusal(event);
        if (refusal !== null) return refusal;
        try {
          await onEvent(event);
        } catch (error) {
          failure = { error };
          throw error;
        }
      }
    }
    return { kind: "done", value: null };
  } catch (error) {
    if (failure !== null) throw failure.error;
    return signal.aborted ? { kind: "done", value: null } : unreachable(path, { error, hadAnswer });
  } finally {
    fitting?.release();
  }
}

/** Returns the failure that ends a stream; `null`: the event is another one. */
function toRefusal(event: unknown): ControlAnswer | null {
  const isFailure = typeof event === "object" && event !== null && "error" in event;
  return isFailure ? toAnswer(0, JSON.stringify(event)) : null;
}

function open(
  socketPath: string,
  ask: Omit<ControlRequest, "timeoutMs">,
  signal: AbortSignal,
): ClientRequest {
  const body = ask.body === undefined ? "" : JSON.stringify(ask.body);
  const sending = request({
    socketPath,
    path: ask.path,
    method: ask.method,
    agent: false,
    signal,
    headers: { host: "edgicorn", "content-length": Buffer.byteLength(body) },
  });
  sending.end(body);
  return sending;
}

function responseOf(sending: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    sending.once("response", resolve);
    sending.on("error", reject);
  });
}

/** Reads until the end of the connection. After a stop this is the end of the process, also by a reset. */
async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    // Responses of node:http yield buffers as long as no encoding is set.
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) throw new TypeError("too long an answer");
      chunks.push(chunk);
    }
  } catch (error) {
    if (response.statusCode !== 202 || !isReset(error)) throw error;
  }
  return Buffer.concat(chunks).toString("utf8");
}

function isReset(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ECONNRESET";
}

function toAnswer(status: number, text: string): ControlAnswer {
  const value: unknown = JSON.parse(text);
  if (status === 200) return { kind: "done", value };
  // Another program has answered: its status is all that can be reported.
  const { error } = (value ?? {}) as { error?: { code?: unknown; message?: unknown } };
  return {
    kind: "refused",
    code: typeof error?.code === "string" ? error.code : null,
    message: typeof error?.message === "string" ? error.message : `status ${status}`,
  };
}

function unreachable(
  path: string,
  { error, hadAnswer }: { error: unknown; hadAnswer: boolean },
): ControlAnswer {
  const code = error instanceof Error && "code" in error ? error.code : null;
  const kind = "unreachable";
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return {
        kind,
        why: "none",
        message: `No server runs with this state folder, or it is stopping: no ${path}`,
      };
    case "ECONNREFUSED":
      return {
        kind,
        why: "stale",
        message: `No server runs with this state folder: no process answers at ${path}`,
      };
    case "EACCES":
    case "EPERM":
      return {
        kind,
        why: "denied",
        message: `Cannot reach the server at ${path}: no permission, expected to run as the server's user`,
      };
    default: {
      const reason = error instanceof Error ? error.message : String(error);
      const end = hadAnswer ? "it broke off its answer" : "it ended before it answered";
      return {
        kind,
        why: "ended",
        message: `Cannot tell whether it succeeded: found that the server at ${path} is gone or is no server of ours, ${end} (${reason})`,
      };
    }
  }
}
