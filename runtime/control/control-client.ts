import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { fitSocketPath, toControlSocket } from "./socket-path.ts";

/** Largest answer, far more than thousands of generations or workers need. */
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** Longest wait for the beginning of a stream: a busy worker may take seconds to open its inspector. */
const ANSWER_MS = 30_000;

/** Longest line of a stream: a snapshot of a server with hundreds of workers has some hundred KiB. */
const MOST_LINE = 8 * 1024 * 1024;

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
  /** Longest time without a byte, until the answer begins and during it; `null`: the events may take any time. */
  silenceMs: number | null;
  /** Longest wait for the beginning of the answer. Default: 30 s. */
  answerMs?: number;
}

/** A stream of events, or the reason why there is none. */
export type ControlStream =
  /**
   * Yields until the stream ends or the signal aborts. Throws a `StreamEnd` when the server sends a failure or too long a line, or when
   * the connection breaks off.
   */
  | { kind: "open"; events: AsyncGenerator<unknown, void> }
  | Exclude<ControlAnswer, { kind: "done" }>;

/** The reason why a stream of events has ended early. */
export class StreamEnd extends Error {
  readonly answer: Exclude<ControlAnswer, { kind: "done" }>;

  constructor(answer: Exclude<ControlAnswer, { kind: "done" }>) {
    super(answer.message);
    this.answer = answer;
  }
}

/** Asks the server for a stream of events, one JSON text in each line. Never rejects. */
export async function openStream(
  stateDir: string,
  ask: Omit<ControlRequest, "timeoutMs">,
  options: StreamOptions,
): Promise<ControlStream> {
  const path = toControlSocket(stateDir);
  const { signal, silenceMs, answerMs = ANSWER_MS } = options;
  let fitting: ReturnType<typeof fitSocketPath> | null = null;
  const answering = new AbortController();
  const deadline = setTimeout(() => answering.abort(), answerMs);
  let hadAnswer = false;
  try {
    fitting = fitSocketPath(path);
    const sending = open(fitting.path, ask, AbortSignal.any([signal, answering.signal]));
    const response = await responseOf(sending);
    hadAnswer = true;
    if (response.statusCode !== 200) {
      const answer = toAnswer(response.statusCode ?? 0, await readText(response));
      return answer.kind === "done" ? refused(`status ${response.statusCode}`) : answer;
    }
    if (silenceMs !== null) {
      sending.setTimeout(silenceMs, () =>
        response.destroy(new Error(`it has sent nothing for ${silenceMs} ms`)),
      );
    }
    return { kind: "open", events: readEvents(response, { path, signal }) };
  } catch (error) {
    if (answering.signal.aborted) {
      const message = `Cannot reach the server at ${path}: it has not answered within ${answerMs} ms`;
      return { kind: "unreachable", why: "silent", message };
    }
    return unreachable(path, { error, hadAnswer });
  } finally {
    clearTimeout(deadline);
    fitting?.release();
  }
}

/** Reads the lines of a stream. Holds one line at most, and reads no further while its reader is busy. */
async function* readEvents(
  response: IncomingMessage,
  { path, signal }: { path: string; signal: AbortSignal },
): AsyncGenerator<unknown, void> {
  response.setEncoding("utf8");
  let rest = "";
  try {
    // With an encoding, responses yield texts.
    for await (const text of response as AsyncIterable<string>) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > MOST_LINE) throw new TypeError("too long a line");
      for (const line of lines) {
        const event: unknown = JSON.parse(line);
        const failure = toFailure(event);
        if (failure !== null) throw failure;
        yield event;
      }
    }
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof StreamEnd) throw error;
    throw new StreamEnd(unreachable(path, { error, hadAnswer: true }));
  } finally {
    response.destroy();
  }
}

/** Reads a stream to its end. Returns the reason why it has ended early; `null`: it is complete. */
export async function readAll(
  events: AsyncIterable<unknown>,
  onEvent: (event: unknown) => Promise<void>,
): Promise<StreamEnd["answer"] | null> {
  try {
    for await (const event of events) await onEvent(event);
    return null;
  } catch (error) {
    if (error instanceof StreamEnd) return error.answer;
    throw error;
  }
}

/** Returns the failure that ends a stream; `null`: the event is another one. */
function toFailure(event: unknown): StreamEnd | null {
  const isFailure = typeof event === "object" && event !== null && "error" in event;
  if (!isFailure) return null;
  const answer = toAnswer(0, JSON.stringify(event));
  return answer.kind === "done" ? null : new StreamEnd(answer);
}

function refused(message: string): Extract<ControlAnswer, { kind: "refused" }> {
  return { kind: "refused", code: null, message };
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
): Extract<ControlAnswer, { kind: "unreachable" }> {
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
