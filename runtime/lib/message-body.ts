import { Packr } from "msgpackr";
import { CONTENT_TYPES, type ContentType } from "./content-types.ts";

/**
 * Returns the bytes of the body of a message.
 *
 * @throws TypeError for a value that its type cannot hold.
 */
export function encodeBody(body: unknown, contentType: ContentType): Uint8Array {
  switch (contentType) {
    case "v8":
      return encodeStructured(body);
    case "json":
      return Buffer.from(toJson(body));
    case "text":
      if (typeof body === "string") return Buffer.from(body);
      throw new TypeError(`Cannot send a body of type ${typeof body} as text, expected a string`);
    case "bytes":
      if (body instanceof ArrayBuffer) return new Uint8Array(body);
      if (ArrayBuffer.isView(body)) {
        return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
      }
      throw new TypeError(
        `Cannot send a body of type ${typeof body} as bytes, expected an ArrayBuffer or a view of one`,
      );
  }
}

/** Returns the value of a body that `encodeBody` wrote. */
export function decodeBody(bytes: Uint8Array, contentType: ContentType): unknown {
  switch (contentType) {
    case "v8":
      return createPackr().unpack(bytes) as unknown;
    case "json":
      return JSON.parse(Buffer.from(bytes).toString()) as unknown;
    case "text":
      return Buffer.from(bytes).toString();
    case "bytes":
      return new Uint8Array(bytes).buffer;
  }
}

/**
 * Checks the type that a handler names.
 *
 * @throws TypeError for another one.
 */
export function toContentType(value: unknown): ContentType {
  const found = value === undefined ? "v8" : CONTENT_TYPES.find((each) => each === value);
  if (found !== undefined) return found;
  throw new TypeError(
    `Cannot send with contentType ${JSON.stringify(value)}, expected one of ${CONTENT_TYPES.join(", ")}`,
  );
}

function encodeStructured(body: unknown): Uint8Array {
  let copy: unknown;
  try {
    // The packer writes functions as undefined. This refuses them.
    copy = structuredClone(body);
  } catch (cause) {
    // The message of the cause has the code of a function.
    throw new TypeError(
      "Cannot send a body that cannot be copied: found a function, a promise or the like, expected plain data",
      { cause },
    );
  }
  // The packer uses its memory again.
  return new Uint8Array(createPackr().pack(copy));
}

function toJson(body: unknown): string {
  // `undefined` for a function, although the types say otherwise.
  const text = JSON.stringify(body) as string | undefined;
  if (text !== undefined) return text;
  throw new TypeError(`Cannot send a body of type ${typeof body} as JSON`);
}

/** Keeps maps, sets, dates, errors, and objects that refer to each other. */
function createPackr(): Packr {
  return new Packr({ structuredClone: true });
}
