import type { Socket } from "node:net";
import { Duplex } from "node:stream";

/** A pause of this length lets the system ask whether the other side of a silent tunnel still exists. */
const PROBE_AFTER_MS = 60_000;

/** A connection after an upgrade, as a stream: its bytes belong to another protocol. */
export class TunnelSocket extends Duplex {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    super({ allowHalfOpen: false, emitClose: true });
    this.#socket = socket;
    socket.setKeepAlive(true, PROBE_AFTER_MS);
  }

  /** Takes bytes of the socket. They are lent for the call. */
  receive(bytes: Uint8Array): void {
    if (!this.push(Buffer.from(bytes))) this.#socket.pause();
  }

  /** Notes that the upstream sends no more. */
  receiveEnd(): void {
    this.push(null);
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    done: (error?: Error | null) => void,
  ): void {
    this.#socket.write(chunk, done);
  }

  /** Writes all pieces in one call: those of a close frame must not arrive apart from each other. */
  override _writev(
    chunks: { chunk: Buffer; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    this.#socket.cork();
    for (const [at, { chunk }] of chunks.entries())
      this.#socket.write(chunk, at === chunks.length - 1 ? done : undefined);
    this.#socket.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
