import { createHash, timingSafeEqual } from "node:crypto";

/** Algorithms of `crypto.subtle.digest`, and MD5, which Workers has besides, by Node's names for them. */
const ALGORITHMS: Readonly<Record<string, string>> = {
  MD5: "md5",
  "SHA-1": "sha1",
  "SHA-256": "sha256",
  "SHA-384": "sha384",
  "SHA-512": "sha512",
};

/** Adds `timingSafeEqual` and `DigestStream` of Workers to the object `crypto`, once. */
export function extendCrypto(crypto: { subtle: object }): void {
  define(Object.getPrototypeOf(crypto.subtle) as object, "timingSafeEqual", compare);
  define(crypto, "timingSafeEqual", compare);
  define(crypto, "DigestStream", createDigestStream());
}

function define(owner: object, name: string, value: unknown): void {
  if (name in owner) return;
  Object.defineProperty(owner, name, {
    value,
    enumerable: false,
    writable: true,
    configurable: true,
  });
}

/**
 * Compares two values of the same length, in a time that does not depend on their content.
 *
 * @throws TypeError for values of different length, and for values that are no bytes.
 */
function compare(a: unknown, b: unknown): boolean {
  const [left, right] = [toBytes(a), toBytes(b)];
  if (left.byteLength !== right.byteLength) {
    throw new TypeError(
      `Cannot compare with timingSafeEqual(): found ${left.byteLength} and ${right.byteLength} bytes, expected the same number`,
    );
  }
  return timingSafeEqual(left, right);
}

function toBytes(value: unknown): Uint8Array {
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw new TypeError(
    `Cannot compare with timingSafeEqual(): found ${value === null ? "null" : typeof value}, expected an ArrayBuffer or a view of one`,
  );
}

/** Returns the class `crypto.DigestStream` of Workers: a stream that computes a digest of all that is written to it. */
function createDigestStream(): new (algorithm: unknown) => WritableStream {
  return class DigestStream extends WritableStream {
    /** Resolves with the digest when the stream is closed. Rejects when it fails. */
    readonly digest: Promise<ArrayBuffer>;
    #bytesWritten = 0;

    constructor(algorithm: unknown) {
      const hash = createHash(toNodeName(algorithm));
      const { promise: digest, resolve, reject } = createDeferred();
      // Programs that only write need not look at it.
      digest.catch(() => {});
      super({
        write: (chunk: unknown) => {
          try {
            const bytes = typeof chunk === "string" ? Buffer.from(chunk) : toChunk(chunk);
            hash.update(bytes);
            this.#bytesWritten += bytes.byteLength;
          } catch (error) {
            reject(error);
            throw error;
          }
        },
        close() {
          const bytes = hash.digest();
          resolve(new Uint8Array(bytes).buffer);
        },
        abort: (reason) => reject(reason),
      });
      this.digest = digest;
    }

    get bytesWritten(): bigint {
      return BigInt(this.#bytesWritten);
    }
  };
}

/** `Promise.withResolvers()`, which Node 20 lacks. */
function createDeferred(): {
  promise: Promise<ArrayBuffer>;
  resolve: (digest: ArrayBuffer) => void;
  reject: (reason: unknown) => void;
} {
  const functions: Partial<Pick<ReturnType<typeof createDeferred>, "resolve" | "reject">> = {};
  const promise = new Promise<ArrayBuffer>((resolve, reject) => {
    Object.assign(functions, { resolve, reject });
  });
  // The executor has run.
  return { promise, ...(functions as Required<typeof functions>) };
}

function toChunk(chunk: unknown): Uint8Array {
  if (ArrayBuffer.isView(chunk)) {
    return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  }
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk);
  const found = chunk === null ? "null" : typeof chunk;
  throw new TypeError(`Cannot write to a DigestStream: found ${found}, expected bytes or text`);
}

function toNodeName(algorithm: unknown): string {
  const named: unknown =
    typeof algorithm === "object" && algorithm !== null
      ? Reflect.get(algorithm, "name")
      : algorithm;
  const name = ALGORITHMS[String(named).toUpperCase()];
  if (name !== undefined) return name;
  const expected = Object.keys(ALGORITHMS).join(", ");
  throw new TypeError(
    `Cannot create a DigestStream: found the algorithm ${String(named)}, expected one of ${expected}`,
  );
}
