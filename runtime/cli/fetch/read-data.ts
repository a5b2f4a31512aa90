import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { addAbortSignal, type Readable } from "node:stream";
import { RuntimeError } from "../../lib/errors.ts";

/**
 * Bytes of standard input that are read. The limit of a handler may be above `bodyLimit`, and is known only when the handlers are
 * loaded.
 */
const MOST_INPUT_BYTES = 512 * 1024 * 1024;

export interface ReadDataOptions {
  cwd: string;
  /** Has the body for `-d @-`. */
  input: Readable;
  /** Ends the reading. */
  signal: AbortSignal;
  /** For tests. */
  mostBytes?: number;
}

/**
 * Reads a body as curl does: texts, files (`@name`) and standard input (`@-`), joined with `&`.
 *
 * @throws RuntimeError `ERR_CONFIG` for a file that cannot be read, and for an input without an end; AbortError.
 */
export async function readData(
  data: readonly string[],
  { cwd, input, signal, mostBytes = MOST_INPUT_BYTES }: ReadDataOptions,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (const each of data) {
    if (parts.length > 0) parts.push(Buffer.from("&"));
    if (!each.startsWith("@")) parts.push(Buffer.from(each));
    // oxlint-disable-next-line no-await-in-loop -- The parts have an order, and only one of them is a stream.
    else if (each === "@-") parts.push(await readInput(input, { signal, mostBytes }));
    else parts.push(readFile(each.slice(1), cwd));
  }
  return Buffer.concat(parts);
}

async function readInput(
  input: Readable,
  { signal, mostBytes }: { signal: AbortSignal; mostBytes: number },
): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // A stream without an encoding gives bytes.
  for await (const chunk of addAbortSignal(signal, input) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > mostBytes) {
      throw new RuntimeError(
        "ERR_CONFIG",
        `Cannot read standard input: found more than ${mostBytes} bytes, expected a shorter body (-d @-)`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function readFile(name: string, cwd: string): Uint8Array {
  try {
    return readFileSync(resolve(cwd, name));
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
    const expected = 'expected a file that can be read (-d "@file")';
    throw new RuntimeError("ERR_CONFIG", `Cannot read "${name}": ${code}, ${expected}`, { cause });
  }
}
