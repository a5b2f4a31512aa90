/**
 * Returns the bytes of a value that handlers pass.
 *
 * @throws TypeError for a value of another kind, and for more than `most` bytes.
 */
export async function toBytes(
  value: unknown,
  { name, most }: { name: string; most: number },
): Promise<Uint8Array> {
  const bytes = toWhole(value);
  if (bytes !== null) {
    refuseLong(bytes.length, name, most);
    return bytes;
  }
  if (value instanceof ReadableStream) return readAll(value, { name, most });
  const found = value === null ? "null" : typeof value;
  throw new TypeError(
    `Cannot store ${name} of type ${found}, expected text, an ArrayBuffer, a view of one, or a stream of bytes`,
  );
}

function toWhole(value: unknown): Uint8Array | null {
  if (typeof value === "string") return Buffer.from(value);
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  return value instanceof ArrayBuffer ? new Uint8Array(value) : null;
}

async function readAll(
  stream: ReadableStream,
  { name, most }: { name: string; most: number },
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<unknown>) {
    const bytes = toWhole(chunk);
    if (bytes === null) {
      throw new TypeError(
        `Cannot store ${name}: found ${typeof chunk} in its stream, expected bytes`,
      );
    }
    length += bytes.length;
    refuseLong(length, name, most);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

function refuseLong(bytes: number, name: string, most: number): void {
  if (bytes <= most) return;
  throw new TypeError(`Cannot store ${name} of ${bytes} bytes, expected at most ${most}`);
}
