import { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { toError } from "../lib/errors.ts";
import type { ExchangeSocket } from "./exchange-socket.ts";
import { requestState } from "./request-state.ts";

/** The `req` of a Node-style application, and the ways to feed and end its body. */
export interface NodeRequest {
  readonly message: IncomingMessage;
  /** Reads more of the body, when the message asks its socket for more. */
  read(): void;
  /** Ends the body with the answer: drops a body that the application never read, and fails one that it still reads. */
  finish(): void;
}

/**
 * Makes an `http.IncomingMessage` of a request, whose body it takes.
 *
 * Replaces none of its methods: frameworks give it another prototype (Express does), and still get Node's own methods.
 */
export function toNodeRequest(request: Request, socket: ExchangeSocket): NodeRequest {
  // The class uses only the parts of a socket that `ExchangeSocket` has.
  const message = new IncomingMessage(socket as unknown as Socket);
  const body = takeBody(request);
  message.method = request.method;
  message.url = toTarget(request.url);
  message.httpVersion = "1.1";
  message.httpVersionMajor = 1;
  message.httpVersionMinor = 1;
  const fields = readFields(request);
  correctFraming(fields, body, requestState(request) !== undefined);
  setFields(message, fields);

  let isStarted = false;
  let isReading = false;
  let reader: ReadableStreamDefaultReader<Uint8Array> | null = null;
  const end = (): void => {
    message.complete = true;
    message.push(null);
  };
  const onChunk = (chunk: Uint8Array | undefined): void => {
    isReading = false;
    if (message.destroyed || message.complete) return;
    if (chunk === undefined) end();
    else if (message.push(toBuffer(chunk))) read();
  };
  const onFailure = (error: unknown): void => {
    if (!message.destroyed) message.destroy(toError(error));
  };
  const read = (): void => {
    if (isReading || message.complete) return;
    isStarted = true;
    if (body instanceof ReadableStream) {
      isReading = true;
      reader ??= openReader(body, message);
      reader.read().then(({ value }) => onChunk(value), onFailure);
      return;
    }
    if (body !== null && body.length > 0) message.push(body);
    end();
  };
  return {
    message,
    read,
    finish(): void {
      if (message.destroyed || message.readableEnded) return;
      if (isStarted && !message.complete) {
        message.destroy();
        return;
      }
      if (!isStarted && body instanceof ReadableStream) body.cancel().catch(ignore);
      if (!message.complete) end();
      // Announce the end, as `http.Server` does, if the application listens for it.
      if (message.listenerCount("close") + message.listenerCount("end") > 0) message.resume();
    },
  };
}

/** Opens a reader. Cancels it when the message is closed. */
function openReader(
  body: ReadableStream<Uint8Array>,
  message: IncomingMessage,
): ReadableStreamDefaultReader<Uint8Array> {
  const reader = body.getReader();
  message.once("close", () => {
    reader.cancel().catch(ignore);
  });
  return reader;
}

/** Returns the whole body, or its stream. Takes a complete body without making a stream of it. */
function takeBody(request: Request): Uint8Array | ReadableStream<Uint8Array> | null {
  const state = requestState(request);
  if (state !== undefined && state.real === null && state.input === null && !state.used) {
    if (state.source === null) return null;
    state.used = true;
    return toBuffer(state.source);
  }
  return request.body;
}

/** Returns the origin form of an absolute URL (RFC 9112 section 3.2.1). */
export function toTarget(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  const fragment = url.indexOf("#", start);
  return fragment === -1 ? url.slice(start) : url.slice(start, fragment);
}

/** Returns alternating names and values, as in `rawHeaders`. */
function readFields(request: Request): string[] {
  const state = requestState(request);
  if (state !== undefined && state.headers === null) {
    return state.fields === "" ? [] : state.fields.split("\n");
  }
  return [...request.headers].flat();
}

/**
 * Makes the fields match the body: body parsers look at the fields first.
 *
 * @param isReceived Whether the request is the client's own. A middleware that makes another `Request` of it passes the
 *   client's fields on, and its new body has another length.
 */
function correctFraming(
  fields: string[],
  body: Uint8Array | ReadableStream | null,
  isReceived: boolean,
): void {
  let isFramed = false;
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at];
    if (name !== "content-length" && name !== "transfer-encoding") continue;
    if (body === null ? fields[at + 1] !== "0" : !isReceived) {
      fields.splice(at, 2);
      at -= 2;
      continue;
    }
    isFramed = true;
    if (name === "content-length" && body instanceof Uint8Array) {
      fields[at + 1] = String(body.length);
    }
  }
  if (body === null || isFramed) return;
  if (body instanceof Uint8Array) fields.push("content-length", String(body.length));
  else fields.push("transfer-encoding", "chunked");
}

/** Uses Node's own method, which joins repeated fields. Assigns the fields if a later Node lacks it. */
function setFields(message: IncomingMessage, fields: string[]): void {
  // The types lack it, but every release since 0.11 has it.
  const own = message as { _addHeaderLines?: (fields: string[], count: number) => void };
  if (own._addHeaderLines !== undefined) {
    own._addHeaderLines(fields, fields.length);
    return;
  }
  message.rawHeaders = fields;
  const headers: IncomingMessage["headers"] = {};
  for (let at = 0; at < fields.length; at += 2) headers[fields[at] ?? ""] = fields[at + 1];
  message.headers = headers;
}

/** Returns the same bytes as a `Buffer`, which applications expect. */
function toBuffer({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, length);
}

function ignore(): void {
  // The body is not needed any more.
}
