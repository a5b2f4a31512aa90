import { Duplex } from "node:stream";

/** One end of a connection in memory: it delivers the bytes of a client in exactly these parts, and keeps the answers. */
export class MemorySocket extends Duplex {
  readonly remoteAddress = "127.0.0.1";
  readonly localAddress = "127.0.0.1";
  readonly localPort = 80;
  #received = "";

  constructor() {
    super({ allowHalfOpen: true });
    this.on("error", () => {});
  }

  /** All that was written to the client, one character per byte. */
  get received(): string {
    return this.#received;
  }

  destroySoon(): void {
    if (this.writableFinished) this.destroy();
    else this.end(() => this.destroy());
  }

  resetAndDestroy(): void {
    this.destroy();
  }

  setKeepAlive(): void {}

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#received += bytes.toString("latin1");
    done();
  }
}

/** Turns of the event loop without an answer after which none is to come: nothing here waits for a timer. */
const QUIET_TURNS = 4;

/**
 * Sends parts of bytes, each in a turn of its own, then the end of the client's side. Resolves when the connection has
 * closed, or nothing happens any more.
 */
export async function feed(socket: MemorySocket, parts: readonly Buffer[]): Promise<void> {
  for (const part of parts) {
    if (!socket.destroyed) socket.push(part);
    await nextTurn();
  }
  await untilQuiet(socket);
  if (!socket.destroyed) socket.push(null);
  await untilQuiet(socket);
  socket.destroy();
}

async function untilQuiet(socket: MemorySocket): Promise<void> {
  let size = -1;
  for (let turn = 0; turn < QUIET_TURNS && !socket.destroyed; turn++) {
    if (socket.received.length !== size) turn = 0;
    size = socket.received.length;
    await nextTurn();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
