import { CHUNK_BYTES } from "../channel/messages.ts";
import { RuntimeError } from "../lib/errors.ts";
import { lengthOf } from "../platform/stream-classes.ts";
import { fileOf } from "../web/file-stream.ts";
import { readResponse } from "../web/fast-response.ts";
import { topicsOf, type TopicStream } from "../web/topic-stream.ts";
import type { ServerSocket } from "../web/server-socket.ts";

/** A response taken apart: as it can be sent. */
export interface SendableParts {
  status: number;
  statusText: string;
  fields: string;
  body: string | Uint8Array | ReadableStream<Uint8Array> | null;
  /** The size of a body that was made a stream because it is large. */
  wholeBytes?: number;
  /** The WebSocket that it accepts. */
  webSocket?: ServerSocket;
  /** The file whose bytes the primary sends in place of a body: see `web/file-stream.ts`. */
  file?: string;
  /** The topics whose messages the primary sends in place of a body: see `web/topic-stream.ts`. */
  topics?: TopicStream;
}

/**
 * Takes a handler's response apart. Bytes that would not fit into one chunk become a stream, so that a large body is
 * sent like all large bodies: against credit.
 *
 * @param method Of the request: an answer to HEAD has no stream, because the primary would not read it.
 * @throws RuntimeError `ERR_HANDLER_BAD_RESPONSE`: the value is no `Response`. TypeError: its body was used already.
 */
export function readResponseParts(response: Response, method: string): SendableParts {
  const parts = readResponse(response);
  if (parts === null) {
    throw new RuntimeError(
      "ERR_HANDLER_BAD_RESPONSE",
      `Cannot send a response: found ${typeof response}, expected a Response`,
    );
  }
  const { body } = parts;
  if (body instanceof ReadableStream) {
    const file = fileOf(body);
    if (file !== null) {
      // It was never read, so no file is open.
      body.cancel().catch(() => {});
      return { ...parts, body: null, file };
    }
    const topics = topicsOf(body);
    if (topics !== null) return { ...parts, body: null, topics };
    const length = lengthOf(body);
    const hasOwn = length === null || /(?:^|\n)content-length\n/.test(parts.fields);
    const fields = hasOwn ? parts.fields : withLength(parts.fields, length);
    if (method !== "HEAD") return hasOwn ? parts : { ...parts, fields };
    body.cancel().catch(() => {});
    return { ...parts, fields, body: null };
  }
  // A string's length is not its size, which is at most three times as much.
  if (body === null || body.length * 3 <= CHUNK_BYTES) return parts;
  const bytes = typeof body === "string" ? Buffer.from(body) : body;
  if (bytes.length <= CHUNK_BYTES) return { ...parts, body: bytes };
  const fields = withLength(parts.fields, bytes.length);
  const wholeBytes = bytes.length;
  return { ...parts, fields, wholeBytes, body: method === "HEAD" ? null : toStream(bytes) };
}

/** The size is known, so that the client need not be told chunk by chunk. */
function withLength(fields: string, bytes: number): string {
  const own = `content-length\n${bytes}`;
  return fields === "" ? own : `${fields}\n${own}`;
}

function toStream(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}
