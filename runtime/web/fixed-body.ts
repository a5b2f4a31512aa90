import { Blob } from "node:buffer";
import { toUSVString } from "node:util";
import { MULTIPART, parseMultipart } from "./multipart.ts";
import type { NativeMethod } from "./native.ts";

/** A complete body: nothing else refers to the bytes, and they do not change. */
export type FixedBody = string | Uint8Array;

/** A body that was not opened as a stream; `source` is `null` where there is none. */
export interface BodySource {
  readonly source: FixedBody | null;
  used: boolean;
}

/** The text of a body, or `null` where a byte order mark may have to go, which is left to Node. */
export function toText(body: FixedBody): string | null {
  if (typeof body === "string") return body.charCodeAt(0) === 0xfeff ? null : toUSVString(body);
  return body[0] === 0xef ? null : decoder.decode(body);
}

/** A copy of the body that its receiver may keep and change. */
export function toBytes(body: FixedBody): Uint8Array<ArrayBuffer> {
  return typeof body === "string" ? encoder.encode(body) : new Uint8Array(body);
}

/**
 * The body methods of `Request` and `Response`, answered from the bytes where they are at hand.
 *
 * @param options.fixed The body of a fast object, or `null` if it has a stream or the object is none of ours.
 * @param options.resolve The real object behind a fast one; other values as they are.
 * @param options.contentType The value of the object's `content-type`, for `blob()` and `formData()`; `null`
 *   also for a receiver that is neither ours nor Node's.
 * @param options.native Finds Node's own method.
 */
export function createBodyMethods(options: {
  fixed: (receiver: unknown) => BodySource | null;
  resolve: (receiver: unknown) => unknown;
  contentType: (receiver: unknown) => string | null;
  native: (name: string) => NativeMethod;
}): object {
  const { fixed, resolve, contentType } = options;
  const native = {
    text: options.native("text"),
    json: options.native("json"),
    arrayBuffer: options.native("arrayBuffer"),
    bytes: options.native("bytes"),
    blob: options.native("blob"),
    formData: options.native("formData"),
  };

  return {
    text(): unknown {
      const body = fixed(this);
      const text = body && textOf(body);
      if (body === null || text === null) return native.text.call(resolve(this));
      return consume(body, () => text);
    },
    json(): unknown {
      const body = fixed(this);
      const text = body && textOf(body);
      if (body === null || text === null) return native.json.call(resolve(this));
      return consume(body, () => JSON.parse(text) as unknown);
    },
    arrayBuffer(): unknown {
      const body = fixed(this);
      if (body === null) return native.arrayBuffer.call(resolve(this));
      return consume(body, (source) => toBytes(source).buffer);
    },
    bytes(): unknown {
      const body = fixed(this);
      if (body === null) return native.bytes.call(resolve(this));
      return consume(body, toBytes);
    },
    blob(): unknown {
      const body = fixed(this);
      const type = body === null ? null : (contentType(this) ?? "");
      if (body === null || type === null || !PLAIN_MEDIA_TYPE.test(type)) {
        return native.blob.call(resolve(this));
      }
      return consume(body, (source) => new Blob([toBytes(source)], { type }));
    },
    formData(): unknown {
      const type = contentType(this) ?? "";
      const body = fixed(this);
      if (MULTIPART.test(type)) {
        if (body !== null) {
          return consume(body, (source) =>
            parseMultipart(typeof source === "string" ? encoder.encode(source) : source, type),
          );
        }
        return parseRead(native.arrayBuffer.call(resolve(this)), type);
      }
      if (body === null || !URL_ENCODED.test(type)) return native.formData.call(resolve(this));
      return consume(body, (source) => {
        const form = new FormData();
        // Bytes to text as undici does it: with a byte order mark, if there is one.
        const text = typeof source === "string" ? toUSVString(source) : toBuffer(source).toString();
        for (const [name, value] of new URLSearchParams(text)) form.append(name, value);
        return form;
      });
    },
  };
}

/** Parses a body that Node reads to its end first, as its own method does. */
async function parseRead(reading: unknown, type: string): Promise<FormData> {
  // Node's method gives a promise of them.
  return parseMultipart(new Uint8Array((await reading) as ArrayBuffer), type);
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Media types that parse and serialize to themselves, and none. */
const PLAIN_MEDIA_TYPE = /^(?:[a-z0-9]+\/[a-z0-9.+-]+)?$/;
const URL_ENCODED = /^application\/x-www-form-urlencoded(?:; ?charset=utf-8)?$/i;

function textOf(body: BodySource): string | null {
  // A used body only has an error to give.
  return body.source === null || body.used ? "" : toText(body.source);
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Reads the body once (Fetch Standard, "consume body"). An object without a body can be read again and again. */
function consume(body: BodySource, convert: (source: FixedBody) => unknown): Promise<unknown> {
  if (body.used) {
    return Promise.reject(new TypeError("Body is unusable: Body has already been read"));
  }
  if (body.source !== null) body.used = true;
  try {
    return Promise.resolve(convert(body.source ?? ""));
  } catch (error) {
    return Promise.reject(error);
  }
}
