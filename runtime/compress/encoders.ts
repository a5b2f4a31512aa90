import * as zlib from "node:zlib";
import type { Transform } from "node:stream";

import type { ContentCoding } from "../http/content-coding.ts";

/** How much time a compression may take for how few bytes. */
export type CompressionLevel = "fast" | "balanced" | "best";

/** The functions for Zstandard. */
interface Zstd {
  zstdCompress: (
    bytes: Uint8Array,
    options: object,
    callback: (error: Error | null, coded: Buffer) => void,
  ) => void;
  zstdCompressSync: (bytes: Uint8Array, options: object) => Buffer;
  createZstdCompress: (options: object) => Transform;
}

/** Node has Zstandard from versions 22.15 and 23.8 on, and the types of Node 20 do not. */
const zstd = "zstdCompress" in zlib ? (zlib as unknown as Zstd) : null;

/** Codings of answers that are compressed for one client, the preferred one first: Zstandard takes the least time. */
export const ANSWER_CODINGS: readonly ContentCoding[] =
  zstd === null ? ["br", "gzip"] : ["zstd", "br", "gzip"];

/** Codings of files, which are compressed once: Brotli makes the fewest bytes. */
export const FILE_CODINGS: readonly ContentCoding[] = ["br", "gzip"];

const ANSWER_QUALITY = {
  fast: { br: 1, gzip: 1, zstd: 1 },
  balanced: { br: 4, gzip: 6, zstd: 3 },
  best: { br: 8, gzip: 9, zstd: 12 },
} as const;

const FILE_QUALITY = {
  fast: { br: 5, gzip: 6, zstd: 3 },
  balanced: { br: 9, gzip: 9, zstd: 12 },
  best: { br: 11, gzip: 9, zstd: 19 },
} as const;

/** Memory of the encoder of a stream: 2 to this power bytes are its window. */
const STREAM_WINDOW_BITS = 18;

/**
 * Longest body that is compressed in the event loop, in up to 0.3 ms. A thread takes 0.1 to 0.2 ms of processor time
 * more: 4 KiB of text with Brotli 4 took 85 µs in the loop and 260 µs in a thread.
 */
const LOOP_BYTES = 16 * 1024;

/** Compresses the whole body of an answer: a small one at once, a larger one in a thread. */
export function encodeAnswer(
  bytes: Uint8Array,
  coding: ContentCoding,
  level: CompressionLevel,
): Buffer | Promise<Buffer> {
  const quality = ANSWER_QUALITY[level][coding];
  return bytes.length <= LOOP_BYTES
    ? encodeNow(bytes, coding, quality)
    : encodeLater(bytes, coding, quality);
}

/** Compresses the content of a file, in a thread. */
export function encodeFile(
  bytes: Uint8Array,
  coding: ContentCoding,
  level: CompressionLevel,
): Promise<Buffer> {
  return encodeLater(bytes, coding, FILE_QUALITY[level][coding]);
}

function encodeNow(bytes: Uint8Array, coding: ContentCoding, quality: number): Buffer {
  switch (coding) {
    case "br":
      return zlib.brotliCompressSync(bytes, toBrotliOptions(bytes.length, quality));
    case "gzip":
      return zlib.gzipSync(bytes, toGzipOptions(bytes.length, quality));
    case "zstd":
      return needZstd().zstdCompressSync(bytes, toZstdOptions(quality));
  }
}

function encodeLater(bytes: Uint8Array, coding: ContentCoding, quality: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, coded: Buffer): void => {
      if (error === null) resolve(coded);
      else reject(error);
    };
    switch (coding) {
      case "br":
        zlib.brotliCompress(bytes, toBrotliOptions(bytes.length, quality), done);
        return;
      case "gzip":
        zlib.gzip(bytes, toGzipOptions(bytes.length, quality), done);
        return;
      case "zstd":
        needZstd().zstdCompress(bytes, toZstdOptions(quality), done);
    }
  });
}

function needZstd(): Zstd {
  if (zstd === null) throw new TypeError("this Node has no Zstandard");
  return zstd;
}

function toBrotliOptions(sizeBytes: number, quality: number): zlib.BrotliOptions {
  return {
    params: {
      ...brotliParams(quality, windowBitsOf(sizeBytes, 22)),
      [zlib.constants.BROTLI_PARAM_SIZE_HINT]: sizeBytes,
    },
  };
}

function toGzipOptions(sizeBytes: number, quality: number): zlib.ZlibOptions {
  return { level: quality, windowBits: windowBitsOf(sizeBytes, 15) };
}

/** A window larger than the body costs memory, and time to clear it: for gzip and 1.5 KB, 94 µs instead of 34. */
function windowBitsOf(sizeBytes: number, most: number): number {
  return Math.max(10, Math.min(most, Math.ceil(Math.log2(sizeBytes + 1))));
}

function brotliParams(quality: number, windowBits: number): Record<number, number> {
  return {
    [zlib.constants.BROTLI_PARAM_MODE]: zlib.constants.BROTLI_MODE_TEXT,
    [zlib.constants.BROTLI_PARAM_QUALITY]: quality,
    [zlib.constants.BROTLI_PARAM_LGWIN]: windowBits,
  };
}

/** Names of parameters have numbers in the C library: 100 is `ZSTD_c_compressionLevel`. */
function toZstdOptions(quality: number): object {
  return { params: { 100: quality } };
}

/**
 * Most streams that one worker compresses at a time. The encoder of a stream takes 600 KiB with Brotli and 220 KiB with
 * gzip, as long as the stream is open. Streams beyond them leave plain.
 */
export const MOST_STREAMS = 128;

/**
 * Compresses a body piece by piece, in a thread. Keeps bytes back until there are enough, or until `flush`.
 *
 * One call at a time. After an error, or `destroy`, every call rejects or never settles.
 */
export class StreamEncoder {
  readonly #stream: Transform & { flush: (callback: () => void) => void };
  #pieces: Buffer[] = [];
  #error: Error | null = null;
  /** Bytes were encoded since the last flush. */
  isDirty = false;

  constructor(coding: ContentCoding, level: CompressionLevel) {
    const stream = createStream(coding, ANSWER_QUALITY[level][coding]);
    this.#stream = stream as Transform & { flush: (callback: () => void) => void }; // All of zlib have it.
    stream.on("data", (piece: Buffer) => this.#pieces.push(piece));
    stream.on("error", (error) => {
      this.#error = error;
    });
  }

  /** Returns the bytes that are ready. The argument must not change until then. */
  encode(bytes: Uint8Array): Promise<readonly Buffer[]> {
    this.isDirty = true;
    return this.#run((done) => this.#stream.write(bytes, done));
  }

  /** Returns all bytes that are kept back. */
  flush(): Promise<readonly Buffer[]> {
    this.isDirty = false;
    return this.#run((done) => this.#stream.flush(done));
  }

  /** Returns the last bytes. */
  end(): Promise<readonly Buffer[]> {
    this.isDirty = false;
    return this.#run((done) => {
      this.#stream.once("end", done);
      this.#stream.end();
    });
  }

  /** Frees its memory. */
  destroy(): void {
    this.#stream.destroy();
  }

  #run(step: (done: (error?: Error | null) => void) => void): Promise<readonly Buffer[]> {
    return new Promise((resolve, reject) => {
      step((error) => {
        const failure = error ?? this.#error;
        if (failure !== null) {
          reject(failure);
          return;
        }
        const pieces = this.#pieces;
        this.#pieces = [];
        resolve(pieces);
      });
    });
  }
}

function createStream(coding: ContentCoding, quality: number): Transform {
  switch (coding) {
    case "br":
      return zlib.createBrotliCompress({ params: brotliParams(quality, STREAM_WINDOW_BITS) });
    case "gzip":
      return zlib.createGzip({ level: quality });
    case "zstd":
      return needZstd().createZstdCompress(toZstdOptions(quality));
  }
}
