import { open, type FileHandle } from "node:fs/promises";

/**
 * Marks the stream of a file. A symbol of all of the process: the handler's copy of the package may be another one than the
 * worker's.
 */
const FILE = Symbol.for("edgicorn.file");

/** Stands for the file that a request found (`_middleware.ts` with `config.files`). */
export const FOUND = "";

const READ_BYTES = 64 * 1024;

/**
 * Returns a stream with the bytes of a file. The worker does not read it: the primary sends the file itself. Code that
 * reads the stream gets the bytes.
 *
 * @param path Absolute.
 */
export function toFileStream(path: string): ReadableStream<Uint8Array> {
  let handle: FileHandle | null = null;
  const stream = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        handle ??= await open(path);
        const { bytesRead, buffer } = await handle.read({ buffer: Buffer.alloc(READ_BYTES) });
        if (bytesRead > 0) {
          controller.enqueue(buffer.subarray(0, bytesRead));
          return;
        }
        controller.close();
        await handle.close();
      },
      async cancel() {
        await handle?.close();
      },
    },
    { highWaterMark: 0 },
  );
  return mark(stream, path);
}

/** Returns the body of the file that a request found. Only the primary has its bytes. */
export function toFoundStream(): ReadableStream<Uint8Array> {
  const stream = new ReadableStream<Uint8Array>(
    {
      pull() {
        throw new TypeError(
          "Cannot read the body of a file in a middleware: the server sends it without a worker, expected the response to be returned",
        );
      },
    },
    { highWaterMark: 0 },
  );
  return mark(stream, FOUND);
}

/** Returns the path of the file that a stream stands for; `FOUND` for that of the request, `null` for other streams. */
export function fileOf(stream: ReadableStream): string | null {
  const path: unknown = Reflect.get(stream, FILE);
  return typeof path === "string" ? path : null;
}

function mark(stream: ReadableStream<Uint8Array>, path: string): ReadableStream<Uint8Array> {
  return Object.defineProperty(stream, FILE, { value: path });
}
