import type { IncomingMessage, Server } from "node:http";
import type { createConnection } from "node:net";
import { Readable } from "node:stream";
import type { WebSocket } from "ws";
import { isOwnCloseCode, isSendableCloseCode } from "../lib/close-codes.ts";
import { toError } from "../lib/errors.ts";
import { listTokens } from "../lib/list-tokens.ts";
import { toTarget } from "./node-request.ts";
import { NULL_BODY_STATUSES } from "./null-body-statuses.ts";
import { PairedSocket } from "./paired-socket.ts";
import type { ServerSocket } from "./server-socket.ts";
import { SWITCHING } from "./upgrade-response.ts";
import { upgradeWebSocket } from "./upgrade-web-socket.ts";

/** Fields of the handshake and of a connection, which each connection makes anew (RFC 6455 section 4). */
const OWN_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "keep-alive",
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "sec-websocket-key",
  "sec-websocket-protocol",
  "sec-websocket-version",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Bytes that may wait for an application that does not read, beside the last message. Above that, its WebSocket is closed
 * with 1013.
 */
const MOST_WAITING_BYTES = 1024 * 1024;

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

export interface UpgradeOptions {
  clientAddress: string;
  /** Called with errors of the WebSocket after the answer, such as invalid frames of the listener. */
  onLateError: (error: unknown) => void;
}

/**
 * Answers a request for a WebSocket by the listeners of a server for `upgrade`.
 *
 *     client ══ primary ══ ServerSocket ── WebSocket of the package `ws` ══ two sockets in memory ══ server ── listener
 *
 * The server parses the request as from a network, and its listener gets a socket to which it writes by itself. Messages and
 * the end go from each side to the other. The primary answers pings of the client, `ws` those of the listener.
 *
 * @returns 101 once the listener has accepted; else the listener's own answer, as a stream.
 * @throws Error when the listener closed its socket without an answer, or answered with an invalid handshake.
 */
export async function upgradeByServer(
  server: Server,
  request: Request,
  options: UpgradeOptions,
): Promise<Response> {
  const protocols = offeredBy(request);
  if (protocols === null) return new Response("Bad Request\n", { status: 400 });
  // Loaded with the first WebSocket only.
  const { WebSocket } = await import("ws");
  request.signal.throwIfAborted();
  const [own, theirs] = PairedSocket.createPair({
    remoteAddress: options.clientAddress,
    url: request.url,
  });
  server.emit("connection", theirs);
  const client = new WebSocket(`ws://localhost${toTarget(request.url)}`, protocols, {
    // The classes use only the parts of a socket that `PairedSocket` has.
    createConnection: (() => own) as unknown as typeof createConnection,
    headers: Object.fromEntries([...request.headers].filter(([name]) => !OWN_FIELDS.has(name))),
    perMessageDeflate: false,
    // Masks protect networks. With a mask of zeros the package copies nothing.
    generateMask: (mask) => mask.fill(0),
    // The primary limits messages of the client, and `send` those of the application.
    maxPayload: 0,
  });
  const onAbort = (): void => client.terminate();
  request.signal.addEventListener("abort", onAbort);
  const response = await answerOf(client, request, options.onLateError);
  // Until the primary has the answer, nothing but the signal ends a WebSocket whose client has left.
  if (response.status !== SWITCHING) request.signal.removeEventListener("abort", onAbort);
  return response;
}

function answerOf(
  client: WebSocket,
  request: Request,
  onLateError: UpgradeOptions["onLateError"],
): Promise<Response> {
  return new Promise((resolve, reject) => {
    let fields: [string, string][] = [];
    let isOpen = false;
    /** An error that a listener throws would end the process. */
    const answer = (toAnswer: () => Response): void => {
      try {
        resolve(toAnswer());
      } catch (error) {
        reject(toError(error));
        client.terminate();
      }
    };
    client.once("upgrade", (message) => (fields = readFields(message)));
    client.once("unexpected-response", (_, message) => answer(() => toResponse(message)));
    client.once("open", () => {
      isOpen = true;
      answer(() => {
        const protocol = client.protocol === "" ? {} : { protocol: client.protocol };
        const { socket, response } = upgradeWebSocket(request, { ...protocol, headers: fields });
        connect(socket, client);
        return response;
      });
    });
    client.on("error", (cause) => {
      if (isOpen) onLateError(cause);
      const { aborted, reason } = request.signal as { aborted: boolean; reason: unknown };
      const text = `Cannot open a WebSocket: the application's listener for "upgrade" gave no valid answer (${cause.message})`;
      reject(aborted ? reason : new Error(text, { cause }));
    });
  });
}

/** Passes messages and the end of each side to the other. */
function connect(socket: ServerSocket, client: WebSocket): void {
  socket.accept();
  client.on("message", (data: Buffer, isBinary) => {
    try {
      if (socket.send(isBinary ? data : data.toString())) return;
    } catch {
      // The message is larger than the limit, or the answer 101 was never sent.
      socket.close(1009);
      client.terminate();
      return;
    }
    client.pause();
    void socket.drained.then(() => client.resume());
  });
  client.on("close", (code, reason) => {
    // 1005: the listener closed without a code. 1006: it destroyed its socket.
    const own = code === 1005 ? 1000 : isOwnCloseCode(code) ? code : 1011;
    socket.close(own, own === code ? reason.toString() : "");
  });
  socket.addEventListener("message", ({ data }) => {
    if (client.bufferedAmount <= MOST_WAITING_BYTES) {
      client.send(data as string | ArrayBuffer);
      return;
    }
    socket.close(1013, "the application is slow");
    client.terminate();
  });
  socket.addEventListener("close", ({ code, reason }) => {
    if (isSendableCloseCode(code)) client.close(code, reason);
    else if (code === 1005) client.close();
    else client.terminate();
  });
}

/** Returns the subprotocols that a client offers; `null`: one is not valid (RFC 6455 section 4.1). */
function offeredBy(request: Request): string[] | null {
  const offered = new Set(listTokens(request.headers.get("sec-websocket-protocol") ?? ""));
  return [...offered].every((name) => TOKEN.test(name)) ? [...offered] : null;
}

function toResponse(message: IncomingMessage): Response {
  const { statusCode: status = 500, statusMessage: statusText = "" } = message;
  const headers = readFields(message);
  if (NULL_BODY_STATUSES.has(status)) {
    message.resume();
    return new Response(null, { status, statusText, headers });
  }
  // Node's types have a class of their own for the same stream.
  const body = Readable.toWeb(message) as ReadableStream<Uint8Array>;
  return new Response(body, { status, statusText, headers });
}

function readFields({ rawHeaders }: IncomingMessage): [string, string][] {
  const fields: [string, string][] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? "";
    if (!OWN_FIELDS.has(name.toLowerCase())) fields.push([name, rawHeaders[at + 1] ?? ""]);
  }
  return fields;
}
