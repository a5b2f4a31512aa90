import { type ExchangeId, Kind, type ResponseMessage } from "../channel/messages.ts";
import { RuntimeError } from "../errors.ts";
import type { ResponseParts } from "../web/any-response.ts";
import { readResponse } from "../web/fast-response.ts";

type Body = ResponseMessage[5];

/**
 * The message that carries a handler's response; a promise only when its body is a stream that must be gathered first.
 *
 * @throws RuntimeError `ERR_HANDLER_BAD_RESPONSE`, also as a rejection: the value is no `Response`, its body was used
 *   already or is longer than the limit. What a body's stream throws is passed on.
 */
export function fromResponse(
  id: ExchangeId,
  response: Response,
  options: { method: string; limitBytes: number },
): ResponseMessage | Promise<ResponseMessage> {
  const parts = readResponse(response);
  if (parts === null) {
    throw new RuntimeError(
      "ERR_HANDLER_BAD_RESPONSE",
      `Cannot send a response: found ${typeof response}, expected a Response`,
    );
  }
  const { body } = parts;
  if (body instanceof ReadableStream) {
    // Nobody reads the body of an answer to HEAD; its length is not known.
    if (options.method === "HEAD") {
      body.cancel().catch(() => {});
      return toMessage(id, parts, null);
    }
    return gather(body, options.limitBytes).then((bytes) => toMessage(id, parts, bytes));
  }
  if (body !== null && body.length > options.limitBytes) throw tooLong(options.limitBytes);
  return toMessage(id, parts, body);
}

function toMessage(id: ExchangeId, parts: ResponseParts, body: Body): ResponseMessage {
  return [Kind.response, id, parts.status, parts.statusText, parts.fields, body];
}

async function gather(stream: ReadableStream<Uint8Array>, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early cancels the stream.
  for await (const chunk of stream) {
    if (!((chunk as unknown) instanceof Uint8Array)) {
      throw new RuntimeError(
        "ERR_HANDLER_BAD_RESPONSE",
        `Cannot send a response: its stream yields ${typeof chunk}, expected Uint8Array`,
      );
    }
    size += chunk.byteLength;
    if (size > limitBytes) throw tooLong(limitBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

function tooLong(limitBytes: number): RuntimeError {
  return new RuntimeError(
    "ERR_HANDLER_BAD_RESPONSE",
    `Cannot send a response: its body is longer than ${limitBytes} bytes`,
  );
}
