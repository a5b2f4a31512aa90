import { Readable } from "node:stream";
import { toUSVString } from "node:util";
import { toBytes, type FixedBody } from "./fixed-body.ts";
import { Existing } from "./object-identity.ts";

/**
 * A complete body and its state.
 *
 * Responses with the same stream share one body. `new Response(response.body, response)` is how most middleware changes
 * a response. Because the bytes behind the stream are known, they need not be read chunk by chunk.
 */
export interface ResponseBody {
  readonly source: FixedBody;
  /** Created at its first use. */
  stream: ReadableStream | null;
  /** The body was read without the stream. */
  used: boolean;
}

export function createBody(source: FixedBody): ResponseBody {
  return { source, stream: null, used: false };
}

/** Returns the body that `stream` was opened for; `undefined` for all other streams. */
export function bodyOf(stream: ReadableStream): ResponseBody | undefined {
  return Slot.of(stream);
}

/** Tells whether the body was never read from and its stream is not locked. */
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

/** Returns `response.body`: always the same stream, a byte stream like Node's. */
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
  // The stream of a body that was read must look locked and read.
  if (body.used) stream.getReader().read().catch(ignore);
  return stream;
}

/** Tells whether the stream was ever read from. */
export function isDisturbed(stream: ReadableStream): boolean {
  // The types of this function mean another `ReadableStream` than the global one.
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
