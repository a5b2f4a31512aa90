import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request as sendPlain, type ClientRequest, type IncomingMessage } from "node:http";
import { request as sendTls } from "node:https";
import type { LoadReport } from "../bench/load.ts";

/**
 * Sends a body as fast as the server takes it and reads it back meanwhile, once, over one connection.
 *
 * Compares every byte with the one sent at its place. This proves more than a checksum and costs less: a client that
 * hashes both ways would be the bottleneck.
 *
 * @throws when the status is not 200, or the body differs or has another length.
 */
export async function echo(options: {
  readonly url: string;
  readonly sizeBytes: number;
}): Promise<LoadReport> {
  const { url, sizeBytes } = options;
  const block = randomBytes(BLOCK_BYTES);
  const controller = new AbortController();
  const { signal } = controller;
  const startedAt = performance.now();
  const send = url.startsWith("https:") ? sendTls : sendPlain;
  const request = send(url, {
    method: "POST",
    agent: false,
    // A development server's certificate is self-signed.
    rejectUnauthorized: false,
    headers: { "content-type": "application/octet-stream", "content-length": sizeBytes },
    signal,
  });
  try {
    // Both at once: an echo comes while the body is still being sent.
    await Promise.all([
      sendBody(request, block, { sizeBytes, signal }),
      compareAnswer(request, block, { sizeBytes, signal }),
    ]);
  } catch (error) {
    controller.abort();
    throw error;
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const count = sizeBytes / 1024 ** 2;
  return { count, rate: count / seconds, badStatuses: 0, socketErrors: 0 };
}

/** Repeated to make the body. A prime, so that a chunk lost or sent twice shows at once. */
const BLOCK_BYTES = 4_194_301;
const CHUNK_BYTES = 64 * 1024;

interface Part {
  readonly sizeBytes: number;
  readonly signal: AbortSignal;
}

async function sendBody(
  request: ClientRequest,
  block: Buffer,
  { sizeBytes, signal }: Part,
): Promise<void> {
  for (let sent = 0; sent < sizeBytes;) {
    const at = sent % block.length;
    const end = Math.min(at + CHUNK_BYTES, block.length, at + sizeBytes - sent);
    sent += end - at;
    if (!request.write(block.subarray(at, end))) await once(request, "drain", { signal });
  }
  request.end();
}

async function compareAnswer(
  request: ClientRequest,
  block: Buffer,
  { sizeBytes, signal }: Part,
): Promise<void> {
  const [response] = (await once(request, "response", { signal })) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}, expected 200`);
  let received = 0;
  response.on("data", (chunk: Buffer) => {
    if (isEqual(chunk, block, received)) received += chunk.length;
    else response.destroy(new Error(`other bytes than were sent, after byte ${received}`));
  });
  await once(response, "end", { signal });
  if (received !== sizeBytes)
    throw new Error(`${received} bytes came back, ${sizeBytes} were sent`);
}

/** Tells whether the chunk equals the repeated block from that offset on. */
function isEqual(chunk: Buffer, block: Buffer, place: number): boolean {
  for (let at = 0; at < chunk.length;) {
    const from = (place + at) % block.length;
    const length = Math.min(chunk.length - at, block.length - from);
    if (chunk.compare(block, from, from + length, at, at + length) !== 0) return false;
    at += length;
  }
  return true;
}
