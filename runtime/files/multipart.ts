import { randomBytes } from "node:crypto";

import type { ByteRange } from "../http/range.ts";
import type { FileBody } from "./file-body.ts";

/** One range of a `multipart/byteranges` body. */
export interface MultipartPart {
  /** Delimiter and fields before the bytes. */
  head: Buffer;
  start: number;
  lengthBytes: number;
}

export interface Multipart {
  boundary: string;
  parts: readonly MultipartPart[];
  /** The closing delimiter. */
  tail: Buffer;
  lengthBytes: number;
}

/** Lays out the body of an answer with several ranges (RFC 9110 section 14.6). */
export function toMultipart(
  ranges: readonly ByteRange[],
  { contentType, sizeBytes }: { contentType: string; sizeBytes: number },
): Multipart {
  // 96 random bits: no file contains the delimiter, not even one that was made for it.
  const boundary = randomBytes(12).toString("hex");
  const parts = ranges.map(({ start, end }, index) => ({
    head: Buffer.from(
      `${index === 0 ? "" : "\r\n"}--${boundary}\r\nContent-Type: ${contentType}\r\n` +
        `Content-Range: bytes ${start}-${end}/${sizeBytes}\r\n\r\n`,
    ),
    start,
    lengthBytes: end - start + 1,
  }));
  const tail = Buffer.from(`\r\n--${boundary}--\r\n`);
  const lengthBytes = parts.reduce(
    (sum, part) => sum + part.head.length + part.lengthBytes,
    tail.length,
  );
  return { boundary, parts, tail, lengthBytes };
}

/**
 * Returns a body that joins texts and open bodies. Holds no bytes of the bodies.
 *
 * @param pieces Closed together with the result.
 */
export function joinBodies(pieces: readonly (Buffer | FileBody)[]): FileBody {
  const lengthBytes = pieces.reduce((sum, piece) => sum + lengthOf(piece), 0);
  return {
    lengthBytes,
    async read(into, offset) {
      let filled = 0;
      let begin = 0;
      for (const piece of pieces) {
        const length = lengthOf(piece);
        const at = offset + filled - begin;
        if (at >= 0 && at < length && filled < into.length) {
          const rest = into.subarray(filled, filled + length - at);
          if (Buffer.isBuffer(piece)) filled += piece.copy(rest, 0, at);
          else filled += await piece.read(rest, at);
        }
        begin += length;
      }
      return filled;
    },
    close() {
      for (const piece of pieces) if (!Buffer.isBuffer(piece)) piece.close();
    },
  };
}

function lengthOf(piece: Buffer | FileBody): number {
  return Buffer.isBuffer(piece) ? piece.length : piece.lengthBytes;
}
