import { Connection, formatHead, toEndpoint } from "../../runtime/drill/connection.ts";
import type { LoadReport } from "../bench/load.ts";
import { findOther, patternFrom } from "../soak/pattern.ts";

export interface EchoTask {
  readonly url: string;
  readonly sizeBytes: number;
}

/**
 * Sends a body as fast as the server takes it and reads it back meanwhile, once, over one connection. The unit is MiB.
 *
 * Compares every byte with the one sent at its place. This proves more than a checksum and costs less: a client that
 * hashes both ways would be the bottleneck.
 *
 * @throws when the status is not 200, or the body differs or has another length.
 */
export async function echo({ url, sizeBytes }: EchoTask): Promise<LoadReport> {
  const startedAt = performance.now();
  const connection = await Connection.open(toEndpoint(url));
  try {
    const receiving = connection.receive({
      onBody: (bytes, offset) => {
        const other = findOther(bytes, offset);
        if (other !== -1)
          throw new Error(`other bytes than were sent, after byte ${offset + other}`);
      },
    });
    // Both at once: an echo comes while the body is still being sent.
    void sendBody(connection, url, sizeBytes);
    const { head, bodyBytes, complete } = await receiving;
    if (head?.status !== 200) throw new Error(`status ${head?.status}, expected 200`);
    if (!complete || bodyBytes !== sizeBytes) {
      throw new Error(`${bodyBytes} bytes came back, ${sizeBytes} were sent`);
    }
  } finally {
    connection.socket.destroy();
  }
  const count = sizeBytes / 1024 ** 2;
  const rate = (count * 1000) / (performance.now() - startedAt);
  return { count, rate, badStatuses: 0, socketErrors: 0 };
}

async function sendBody(connection: Connection, url: string, sizeBytes: number): Promise<void> {
  await connection.send(formatHead("POST", new URL(url).pathname, sizeBytes));
  for (let sent = 0; sent < sizeBytes && !connection.closed;) {
    const piece = patternFrom(sent, sizeBytes - sent);
    sent += piece.length;
    await connection.send(piece);
  }
}
