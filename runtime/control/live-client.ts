import { type IncomingMessage, request } from "node:http";
import { fitSocketPath, toControlSocket } from "./socket-path.ts";

/** Longest line: a snapshot of a server with hundreds of workers has some hundred KiB. */
const MAX_LINE_BYTES = 8 * 1024 * 1024;

/** Longest wait for the first byte. */
const ANSWER_MS = 10_000;

/** A live view of a server, or the reason why there is none. */
export type LiveView =
  | { kind: "open"; snapshots: AsyncGenerator<unknown, void> }
  | { kind: "failed"; isAbsent: boolean; message: string };

/**
 * Asks the server of a state folder to send a snapshot each second. Never rejects. The generator ends when the server ends the
 * connection, and when the signal aborts.
 */
export async function openLiveView(
  stateDir: string,
  { signal }: { signal: AbortSignal },
): Promise<LiveView> {
  const path = toControlSocket(stateDir);
  let release: (() => void) | null = null;
  try {
    const fitting = fitSocketPath(path);
    release = fitting.release;
    const response = await open(fitting.path, signal);
    if (response.statusCode === 200) return { kind: "open", snapshots: readLines(response) };
    const message = await readRefusal(response);
    return { kind: "failed", isAbsent: false, message };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    const isAbsent = code === "ENOENT" || code === "ECONNREFUSED";
    const reason = isAbsent
      ? "no server runs"
      : error instanceof Error
        ? error.message
        : String(error);
    return { kind: "failed", isAbsent, message: `Cannot reach the server at ${path}: ${reason}` };
  } finally {
    release?.();
  }
}

function open(socketPath: string, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asking = request({
      socketPath,
      path: "/live",
      agent: false,
      signal,
      headers: { host: "edgicorn" },
    });
    asking.setTimeout(ANSWER_MS, () =>
      asking.destroy(new Error(`it has sent nothing for ${ANSWER_MS} ms`)),
    );
    asking.once("response", resolve);
    asking.on("error", reject);
    asking.end();
  });
}

async function* readLines(response: IncomingMessage): AsyncGenerator<unknown, void> {
  response.setEncoding("utf8");
  let rest = "";
  try {
    // With an encoding, responses of node:http yield strings.
    for await (const text of response as AsyncIterable<string>) {
      rest += text;
      if (rest.length > MAX_LINE_BYTES) return;
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) yield JSON.parse(line) as unknown;
    }
  } catch (error) {
    // A server that is killed, and the signal, break the connection off.
    if (error instanceof SyntaxError) throw error;
  } finally {
    response.destroy();
  }
}

async function readRefusal(response: IncomingMessage): Promise<string> {
  response.setEncoding("utf8");
  let text = "";
  // With an encoding, responses of node:http yield strings.
  for await (const part of response as AsyncIterable<string>) text += part;
  if (response.statusCode === 404) {
    return "Cannot show the server live: it runs another version, expected that of this command";
  }
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string } };
    return error?.message ?? `Cannot show the server live: found status ${response.statusCode}`;
  } catch {
    return `Cannot show the server live: found status ${response.statusCode}`;
  }
}
