import { constants } from "node:fs";
import { open, readlink, realpath, type FileHandle } from "node:fs/promises";

import { RuntimeError } from "../lib/errors.ts";
import { isSameVersion, type FileSource } from "./static-file.ts";

/** The bytes of one answer, to be read piece by piece. The caller that opens it must close it. */
export interface FileBody {
  readonly lengthBytes: number;
  /**
   * Fills `into` from `offset` on, counted from the start of the body. Returns how many bytes it read: fewer only at
   * the end of the body, and 0 there.
   *
   * @throws {FileChangedError} The file no longer matches the answer's head: end the connection.
   */
  read(into: Uint8Array, offset: number): Promise<number>;
  /** Idempotent. A running read still settles. */
  close(): void;
}

/** Thrown when a file lost bytes or was overwritten in place while the server read it. */
export class FileChangedError extends Error {
  constructor(realPath: string, found: string) {
    super(`Cannot send the rest of "${realPath}": ${found}`);
    this.name = "FileChangedError";
  }
}

/**
 * Opens a file if it is still the indexed version, at the path that was checked.
 *
 * A folder on the way may have become a symbolic link since, and `O_NOFOLLOW` guards the last component only. Therefore
 * this asks the kernel for the real path of the open file. On Linux, the answer has no race.
 *
 * @returns `null` if the file is gone, unreadable, or another version.
 * @throws {RuntimeError} `ERR_OVERLOADED` when the process has no file descriptor left.
 */
export async function openSource(source: FileSource): Promise<FileHandle | null> {
  let handle: FileHandle;
  try {
    handle = await open(source.realPath, OPEN_FLAGS);
  } catch (error) {
    if (!isOutOfDescriptors(error)) return null;
    const message = `Cannot open "${source.realPath}": found no free file descriptor, expected one`;
    throw new RuntimeError("ERR_OVERLOADED", message, { cause: error });
  }
  try {
    const stats = await handle.stat();
    if (
      isSameVersion(stats, source.version) &&
      (await locate(handle, source)) === source.realPath
    ) {
      return handle;
    }
  } catch {
    // A file that cannot be examined is not trusted.
  }
  await handle.close();
  return null;
}

/** Reads the whole file. Returns `null` if the file changed meanwhile. */
export async function readWhole(handle: FileHandle, source: FileSource): Promise<Buffer | null> {
  // Not from Node's shared pool: a small buffer would keep the pool's whole slab in memory.
  const bytes = Buffer.allocUnsafeSlow(source.version.sizeBytes);
  const length = await fill(handle, bytes, 0);
  if (length !== bytes.length) return null;
  return isSameVersion(await handle.stat(), source.version) ? bytes : null;
}

/** Reads pieces of a file into one buffer in turn. Returns the digest of each; `null` if the file changed meanwhile. */
export async function digestPieces(
  handle: FileHandle,
  source: FileSource,
  {
    pieces,
    digest,
  }: {
    pieces: readonly { start: number; lengthBytes: number }[];
    digest: (piece: Uint8Array) => Promise<Uint8Array>;
  },
): Promise<Uint8Array[] | null> {
  const bytes = Buffer.allocUnsafeSlow(Math.max(0, ...pieces.map((piece) => piece.lengthBytes)));
  const digests: Uint8Array[] = [];
  for (const { start, lengthBytes } of pieces) {
    const piece = bytes.subarray(0, lengthBytes);
    if ((await fill(handle, piece, start)) !== lengthBytes) return null;
    digests.push(await digest(piece));
  }
  return isSameVersion(await handle.stat(), source.version) ? digests : null;
}

export function toMemoryBody(bytes: Uint8Array): FileBody {
  return {
    lengthBytes: bytes.length,
    read(into, offset) {
      const piece = bytes.subarray(offset, offset + into.length);
      into.set(piece);
      return Promise.resolve(piece.length);
    },
    close() {},
  };
}

/**
 * Returns a body that reads a part of an open file.
 *
 * @param onClose Called once. The handle belongs to the caller.
 */
export function toHandleBody(
  { handle, source }: { handle: FileHandle; source: FileSource },
  { start, lengthBytes }: { start: number; lengthBytes: number },
  onClose: () => void,
): FileBody {
  let isClosed = false;
  return {
    lengthBytes,
    async read(into, offset) {
      const wanted = Math.max(0, Math.min(into.length, lengthBytes - offset));
      const length = await fill(handle, into.subarray(0, wanted), start + offset);
      if (length < wanted) throw new FileChangedError(source.realPath, "it became shorter");
      // One check, with the last piece: a client without the last piece knows that it does not have the whole file.
      if (wanted > 0 && offset + wanted === lengthBytes) await assertNotOverwritten(handle, source);
      return length;
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      onClose();
    },
  };
}

// Not blocking, because a named pipe that took the file's place would block the opening. Windows has neither flag.
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

async function locate(handle: FileHandle, source: FileSource): Promise<string> {
  try {
    return await readlink(`/proc/self/fd/${handle.fd}`);
  } catch {
    return realpath(source.realPath); // Not Linux, or a container without /proc.
  }
}

/** Accepts a file that only grew: appending to a log does not break its download. */
async function assertNotOverwritten(handle: FileHandle, source: FileSource): Promise<void> {
  const stats = await handle.stat();
  const { sizeBytes, modifiedMs } = source.version;
  if (stats.size < sizeBytes || (stats.size === sizeBytes && stats.mtimeMs !== modifiedMs)) {
    throw new FileChangedError(source.realPath, "it was overwritten");
  }
}

async function fill(handle: FileHandle, into: Uint8Array, position: number): Promise<number> {
  let length = 0;
  while (length < into.length) {
    const { bytesRead } = await handle.read(into, length, into.length - length, position + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return length;
}

function isOutOfDescriptors(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    (error.code === "EMFILE" || error.code === "ENFILE")
  );
}
