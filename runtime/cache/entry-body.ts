import type { FileHandle } from "node:fs/promises";
import { crc32 } from "node:zlib";

import type { FileBody } from "../files/file-body.ts";
import { BLOCK_BYTES } from "./entry-file.ts";

/** Thrown when the disk returns other bytes than were stored. */
export class CorruptEntryError extends Error {
  constructor(found: string) {
    super(`Cannot send a cached body: ${found}, expected the stored bytes`);
    this.name = "CorruptEntryError";
  }
}

/** A body in an open file, and the checksums of its blocks. */
export interface StoredBody {
  handle: FileHandle;
  bodyBytes: number;
  checksums: Uint32Array;
}

/**
 * Returns a part of a stored body. Reads whole blocks and checks each before it passes a byte on. Closes the file.
 */
export function toEntryBody(
  { handle, bodyBytes, checksums }: StoredBody,
  { start, lengthBytes }: { start: number; lengthBytes: number },
): FileBody {
  let isClosed = false;
  let scratch: Buffer | null = null;

  const readBlock = async (block: number, into: Uint8Array): Promise<void> => {
    const { bytesRead } = await readUpTo(handle, block * BLOCK_BYTES, into);
    if (bytesRead < into.length) throw new CorruptEntryError("its file is too short");
    if (crc32(into) !== checksums[block]) {
      throw new CorruptEntryError(`found a wrong checksum of block ${block}`);
    }
  };

  return {
    lengthBytes,
    async read(into, offset) {
      const end = start + lengthBytes;
      let filled = 0;
      while (filled < into.length && start + offset + filled < end) {
        const at = start + offset + filled;
        const block = Math.floor(at / BLOCK_BYTES);
        const blockStart = block * BLOCK_BYTES;
        const blockLength = Math.min(BLOCK_BYTES, bodyBytes - blockStart);
        const room = into.length - filled;
        if (at === blockStart && room >= blockLength && blockStart + blockLength <= end) {
          await readBlock(block, into.subarray(filled, filled + blockLength));
          filled += blockLength;
          continue;
        }
        // The rest of the block comes with the next read, so that no block is read twice.
        if (filled > 0 && room < blockLength) break;
        scratch ??= Buffer.allocUnsafeSlow(BLOCK_BYTES);
        const bytes = scratch.subarray(0, blockLength);
        await readBlock(block, bytes);
        const piece = bytes.subarray(at - blockStart, Math.min(blockLength, end - blockStart));
        const taken = piece.subarray(0, room);
        into.set(taken, filled);
        filled += taken.length;
      }
      return filled;
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      handle.close().catch(() => {
        // The descriptor is free also after an error.
      });
    },
  };
}

/** Reads a part of a file; `null` when the file ends before. */
export async function readFully(
  handle: FileHandle,
  position: number,
  lengthBytes: number,
): Promise<Buffer | null> {
  const bytes = Buffer.allocUnsafeSlow(lengthBytes);
  const { bytesRead } = await readUpTo(handle, position, bytes);
  return bytesRead === lengthBytes ? bytes : null;
}

async function readUpTo(
  handle: FileHandle,
  position: number,
  into: Uint8Array,
): Promise<{ bytesRead: number }> {
  let length = 0;
  while (length < into.length) {
    const { bytesRead } = await handle.read(into, length, into.length - length, position + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return { bytesRead: length };
}
