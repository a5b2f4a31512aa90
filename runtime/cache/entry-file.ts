import { crc32 } from "node:zlib";
import * as z from "zod/mini";

import type { CacheKey } from "./cache-key.ts";
import type { StoredHead } from "./stored-head.ts";

/**
 * The format of an entry's file:
 *
 *     body | checksums | record | footer
 *
 * The body comes first, since its size and checksums are known last. `checksums`: CRC-32 of each block of the body, 4
 * bytes each, little-endian. `record`: JSON. `footer`: 28 bytes, see below. A file that was cut off or partly overwritten
 * has no valid footer at its end, or another checksum, and is not an entry.
 */

/** Bytes of the body under one checksum. */
export const BLOCK_BYTES = 64 * 1024;

export const FOOTER_BYTES = 28;

/** Format version. A file of another version is not an entry. */
const VERSION = 1;
const MAGIC = Buffer.from("EDGICORN");

/** An entry without its body. */
export interface FileRecord {
  key: CacheKey;
  /** Values of the fields that `vary` names, in the request that was answered. */
  varyValues: string;
  head: StoredHead;
}

/** The part of a file behind the body. */
export interface FileTail {
  record: FileRecord;
  /** CRC-32 of each block of the body. */
  checksums: Uint32Array;
}

/** Returns the bytes behind the body. */
export function encodeTail({ record, checksums }: FileTail): Buffer {
  const table = Buffer.alloc(checksums.length * 4);
  for (const [at, checksum] of checksums.entries()) table.writeUInt32LE(checksum, at * 4);
  const json = Buffer.from(JSON.stringify(record));
  const footer = Buffer.alloc(FOOTER_BYTES);
  MAGIC.copy(footer, 0);
  footer.writeUInt32LE(VERSION, 8);
  footer.writeUIntLE(record.head.bodyBytes, 12, 6);
  footer.writeUInt32LE(json.length, 18);
  const checked = Buffer.concat([table, json, footer.subarray(0, CHECKED_FOOTER_BYTES)]);
  footer.writeUInt32LE(crc32(checked), CHECKED_FOOTER_BYTES);
  return Buffer.concat([table, json, footer]);
}

/** Bytes of the footer that its own checksum covers. Two bytes behind the checksum are free. */
const CHECKED_FOOTER_BYTES = 22;

/** Sizes that a footer states. */
export interface FooterSizes {
  bodyBytes: number;
  /** Size of the part behind the body, with the footer. */
  tailBytes: number;
}

/**
 * Reads a footer, to find where the tail of a file begins.
 *
 * @param footer The last bytes of the file.
 * @param fileBytes Size of the file.
 * @returns `null` when these bytes are no footer of a file of this size.
 */
export function parseFooter(footer: Buffer, fileBytes: number): FooterSizes | null {
  if (footer.length !== FOOTER_BYTES || !footer.subarray(0, MAGIC.length).equals(MAGIC))
    return null;
  if (footer.readUInt32LE(8) !== VERSION) return null;
  const bodyBytes = footer.readUIntLE(12, 6);
  const tailBytes = countBlocks(bodyBytes) * 4 + footer.readUInt32LE(18) + FOOTER_BYTES;
  return bodyBytes + tailBytes === fileBytes ? { bodyBytes, tailBytes } : null;
}

/**
 * Reads the part behind the body.
 *
 * @param tail From the end of the body to the end of the file.
 * @returns `null` when a byte is wrong, or when another version of the program wrote another kind of record.
 */
export function parseTail(tail: Buffer, { bodyBytes }: FooterSizes): FileTail | null {
  const footerAt = tail.length - FOOTER_BYTES;
  const checksum = tail.readUInt32LE(footerAt + CHECKED_FOOTER_BYTES);
  if (crc32(tail.subarray(0, footerAt + CHECKED_FOOTER_BYTES)) !== checksum) return null;
  const blocks = countBlocks(bodyBytes);
  const checksums = new Uint32Array(blocks);
  for (let block = 0; block < blocks; block++) checksums[block] = tail.readUInt32LE(block * 4);
  const record = parseRecord(tail.subarray(blocks * 4, footerAt));
  return record === null || record.head.bodyBytes !== bodyBytes ? null : { record, checksums };
}

export function countBlocks(bodyBytes: number): number {
  return Math.ceil(bodyBytes / BLOCK_BYTES);
}

/** Returns the checksums of a body that is in memory. */
export function toChecksums(body: Uint8Array): Uint32Array {
  const checksums = new Uint32Array(countBlocks(body.length));
  for (let block = 0; block < checksums.length; block++) {
    checksums[block] = crc32(body.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES));
  }
  return checksums;
}

/** Tells whether a body has these checksums. */
export function isIntact(body: Uint8Array, checksums: Uint32Array): boolean {
  const found = toChecksums(body);
  return found.length === checksums.length && found.every((sum, at) => sum === checksums[at]);
}

/** Computes the checksums of a body that comes in pieces. */
export class RunningChecksums {
  readonly #complete: number[] = [];
  #current = 0;
  #filled = 0;

  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const piece = bytes.subarray(at, at + BLOCK_BYTES - this.#filled);
      this.#current = crc32(piece, this.#current);
      this.#filled += piece.length;
      at += piece.length;
      if (this.#filled === BLOCK_BYTES) this.#next();
    }
  }

  finish(): Uint32Array {
    if (this.#filled > 0) this.#next();
    return Uint32Array.from(this.#complete);
  }

  #next(): void {
    this.#complete.push(this.#current);
    this.#current = 0;
    this.#filled = 0;
  }
}

const texts = z.array(z.string());
const QUERY_RULE = z.union([
  z.object({ kind: z.literal("all") }),
  z.object({ kind: z.literal("only"), names: texts }),
  z.object({ kind: z.literal("except"), names: texts }),
]);
const RECORD = z.object({
  key: z.object({ page: z.string(), search: z.string(), cookies: z.string(), rule: QUERY_RULE }),
  varyValues: z.string(),
  head: z.object({
    status: z.int(),
    statusText: z.string(),
    fields: z.string(),
    bodyBytes: z.int(),
    etag: z.nullable(z.string()),
    lastModified: z.nullable(z.string()),
    receivedMs: z.number(),
    initialAgeMs: z.number(),
    lifetimeMs: z.number(),
    staleWhileRevalidateMs: z.number(),
    staleIfErrorMs: z.number(),
    mustRevalidate: z.boolean(),
    alwaysValidate: z.boolean(),
    isImmutable: z.boolean(),
    vary: texts,
    tags: texts,
  }),
});

function parseRecord(json: Buffer): FileRecord | null {
  try {
    const { success, data } = RECORD.safeParse(JSON.parse(json.toString()));
    return success ? data : null;
  } catch {
    return null;
  }
}
