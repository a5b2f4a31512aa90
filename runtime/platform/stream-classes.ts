/**
 * Returns the class `IdentityTransformStream` of Workers: passes bytes on. It takes no text, so that a stream of text does not
 * become a body by mistake.
 */
export function createIdentityTransformStream(): new () => TransformStream<unknown, Uint8Array> {
  return class IdentityTransformStream extends TransformStream<unknown, Uint8Array> {
    constructor() {
      super({
        transform(chunk, controller) {
          const bytes = toBytes("IdentityTransformStream", chunk);
          if (bytes.byteLength > 0) controller.enqueue(bytes);
        },
      });
    }
  };
}

/**
 * Returns the class `FixedLengthStream` of Workers: passes exactly as many bytes on as it was told. Its stream as a body gives the
 * response a `content-length`.
 */
export function createFixedLengthStream(): new (
  length: number | bigint,
) => TransformStream<unknown, Uint8Array> {
  return class FixedLengthStream extends TransformStream<unknown, Uint8Array> {
    constructor(length: number | bigint) {
      const expected = toLength(length);
      let passed = 0;
      super({
        transform(chunk, controller) {
          const bytes = toBytes("FixedLengthStream", chunk);
          passed += bytes.byteLength;
          if (passed > expected) throw wrongLength("more than", expected);
          if (bytes.byteLength > 0) controller.enqueue(bytes);
        },
        flush() {
          if (passed < expected) throw wrongLength(`only ${passed} of`, expected);
        },
      });
      noteLength(this.readable, expected);
    }
  };
}

function toLength(value: unknown): number {
  const length = typeof value === "bigint" ? Number(value) : value;
  if (typeof length === "number" && Number.isSafeInteger(length) && length >= 0) return length;
  throw new TypeError(
    `Cannot create a FixedLengthStream: found the length ${String(value)}, expected a number of bytes from 0 on`,
  );
}

function wrongLength(found: string, expected: number): TypeError {
  return new TypeError(
    `Cannot pass a FixedLengthStream on: found ${found} ${expected} bytes, expected ${expected}`,
  );
}

function toBytes(owner: string, chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  throw new TypeError(
    `Cannot write to a ${owner}: found ${chunk === null ? "null" : typeof chunk}, expected bytes. Text passes through a TextEncoderStream first`,
  );
}

const LENGTH = Symbol("length");

/** Notes the length of a stream whose end is certain. */
function noteLength(stream: ReadableStream, length: number): void {
  Object.defineProperty(stream, LENGTH, { value: length });
}

/** Returns the bytes that a stream of `FixedLengthStream` will have; `null` for all other streams. */
export function lengthOf(stream: ReadableStream): number | null {
  const length: unknown = Reflect.get(stream, LENGTH);
  return typeof length === "number" ? length : null;
}
