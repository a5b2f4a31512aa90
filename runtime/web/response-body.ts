import { Readable } from "node:stream";
import { toUSVString } from "node:util";
import { toBytes, type FixedBody } from "./fixed-body.ts";
import { Existing } from "./object-identity.ts";

/**
 * A complete body, and how it stands with it.
 *
 * Responses share one when they share a stream: `new Response(response.body, response)` is how most middleware changes
 * a response, and knowing what the stream will give spares reading it chunk by chunk.
 */
export interface ResponseBody {
  readonly source: FixedBody;
  /** Exists once somebody asked for it. */
  stream: ReadableStream | null;
  /** Read without the stream. */
  used: boolean;
}

export function createBody(source: FixedBody): ResponseBody {
  return { source, stream: null, used: false };
}

/** The body that `stream` was opened for; `undefined` for all other streams. */
export function bodyOf(stream: ReadableStream): ResponseBody | undefined {
  return Slot.of(stream);
}

/** True when nobody read from the body and nobody holds its stream. */
export function isUsable({ used, stream }: ResponseBody): boolean {
  return !used && (stream === null || (!stream.locked && !isDisturbed(stream)));
}

/** `response.bodyUsed`: a stream that is only locked does not count. */
export function isUsed({ used, stream }: ResponseBody): boolean {
  return used || (stream !== null && isDisturbed(stream));
}

/**
 * Takes a usable body as a whole; a string is well-formed. Its stream, if there is one, stays locked as after any other
 * reading.
 */
export function takeSource(body: ResponseBody): FixedBody {
  body.used = true;
  body.stream?.getReader();
  return typeof body.source === "string" ? toUSVString(body.source) : body.source;
}

/** `response.body`: always the same stream, a byte stream as Node's. */
export function openStream(body: ResponseBody): ReadableStream {
  if (body.stream !== null) return body.stream;
  const { source } = body;
  const stream = new ReadableStream({
    type: "bytes",
    pull(controller): void {
      const bytes = toBytes(source);
      if (bytes.byteLength > 0) controller.enqueue(bytes);
      controller.close();
      controller.byobRequest?.respond(0);
    },
  });
  // oxlint-disable-next-line no-new -- it marks `stream`
  new Slot(stream, body);
  body.stream = stream;
  // Who looks at the stream of a body that was read finds it locked and read.
  if (body.used) stream.getReader().read().catch(ignore);
  return stream;
}

/** Whether anybody ever read from it. */
export function isDisturbed(stream: ReadableStream): boolean {
  // The types know the function for another `ReadableStream` than the global one.
  return Readable.isDisturbed(stream as unknown as Readable);
}

class Slot extends Existing {
  readonly #body: ResponseBody;

  constructor(stream: ReadableStream, body: ResponseBody) {
    super(stream);
    this.#body = body;
  }

  static of(stream: object): ResponseBody | undefined {
    return #body in stream ? stream.#body : undefined;
  }
}

function ignore(): void {
  // Reading bytes that are at hand does not fail.
}
