import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { decodeResponseFields } from "./fields.ts";
import {
  ERROR_NAMES,
  FLAG,
  type Frame,
  frame,
  PREFACE,
  ping,
  readFrames,
  SETTING,
  settings,
  TYPE,
} from "./frames.ts";

/** A response on one stream. */
export interface StreamResponse {
  status: number;
  fields: [name: string, value: string][];
  body: Buffer;
  /** The name of the error code of a RST_STREAM frame that followed; `null`: none did. */
  reset: string | null;
}

const NOTHING = new Uint8Array(0);

/** A client's end of an HTTP/2 connection: sends frames as they are, and keeps all frames of the server. */
export class FrameConnection {
  /** All frames that the server has sent. */
  readonly frames: Frame[] = [];
  readonly socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #closed = false;
  #wakes: (() => void)[] = [];

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      const { frames, rest } = readFrames(Buffer.concat([this.#rest, bytes]));
      this.#rest = rest;
      for (const received of frames) this.#onFrame(received);
      this.#wake();
    });
    socket.on("error", () => {});
    socket.once("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  /**
   * Connects, without a preface.
   *
   * @param options.secure Uses TLS, and asks for HTTP/2 by ALPN.
   */
  static async connect(port: number, options: { secure?: boolean } = {}): Promise<FrameConnection> {
    if (options.secure !== true) {
      const socket = connect({ port, host: "127.0.0.1", noDelay: true });
      await once(socket, "connect");
      return new FrameConnection(socket);
    }
    const socket = connectTls({
      port,
      host: "127.0.0.1",
      servername: "localhost",
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
    });
    await once(socket, "secureConnect");
    assert.equal(socket.alpnProtocol, "h2", "the server speaks HTTP/2");
    return new FrameConnection(socket);
  }

  /**
   * Connects, sends the preface and SETTINGS, and acknowledges the settings of the server. The server may use no
   * dynamic table.
   *
   * @param options.parameters More parameters of SETTINGS.
   */
  static async open(
    port: number,
    options: { secure?: boolean; parameters?: readonly (readonly [number, number])[] } = {},
  ): Promise<FrameConnection> {
    const connection = await FrameConnection.connect(port, options);
    const parameters = options.parameters ?? [];
    connection.send(PREFACE, settings([SETTING.headerTableSize, 0], ...parameters));
    await connection.frame(({ type, flags }) => type === TYPE.settings && flags === 0);
    return connection;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The names of the error codes of all GOAWAY frames. */
  get goaways(): string[] {
    const frames = this.frames.filter(({ type }) => type === TYPE.goaway);
    return frames.map(({ payload }) => errorName(payload.readUInt32BE(4)));
  }

  /** The name of the error code of the server's last GOAWAY frame; `null`: it has sent none. */
  get goaway(): string | null {
    return this.goaways.at(-1) ?? null;
  }

  /** Sends bytes, frames or not, in one write. */
  send(...bytes: readonly Uint8Array[]): void {
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(bytes));
  }

  /**
   * Waits for a frame; those that have come already count.
   *
   * @throws AssertionError When the connection ends without it.
   */
  async frame(isWanted: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const found = this.frames.find(isWanted);
      if (found !== undefined) return found;
      assert.ok(!this.#closed, `the server closed the connection (GOAWAY ${this.goaway})`);
      await this.change();
    }
  }

  /** Resolves when a frame came or the connection has ended. */
  change(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => this.#wakes.push(resolve));
  }

  /** Resolves when the server has closed the connection. */
  async untilClosed(): Promise<void> {
    while (!this.#closed) await this.change();
  }

  /** Resolves when the server has read all that was sent: it answers PING frames in their order. */
  async untilRead(text = "untilrea"): Promise<void> {
    const isAnswer = ({ type, flags, payload }: Frame): boolean =>
      type === TYPE.ping && flags === FLAG.ack && payload.toString() === text;
    const seen = this.frames.filter(isAnswer).length;
    this.send(ping(text));
    for (;;) {
      if (this.frames.filter(isAnswer).length > seen) return;
      assert.ok(!this.#closed, `the server closed the connection (GOAWAY ${this.goaway})`);
      await this.change();
    }
  }

  /** Returns the name of the error code of the RST_STREAM frame for a stream; `null`: none came. */
  resetOf(stream: number): string | null {
    const reset = this.frames.find(
      (candidate) => candidate.type === TYPE.rstStream && candidate.stream === stream,
    );
    return reset === undefined ? null : errorName(reset.payload.readUInt32BE(0));
  }

  /**
   * Waits for the whole response on a stream.
   *
   * @throws AssertionError When the stream or the connection ends without a complete response.
   */
  async response(stream: number): Promise<StreamResponse> {
    const isLast = ({ stream: id, type, flags }: Frame): boolean =>
      id === stream &&
      (type === TYPE.rstStream ||
        ((type === TYPE.data || type === TYPE.headers) && (flags & FLAG.endStream) !== 0));
    const last = await this.frame(isLast);
    assert.notEqual(last.type, TYPE.rstStream, `stream ${stream} reset: ${this.resetOf(stream)}`);
    const own = this.frames.filter((candidate) => candidate.stream === stream);
    const all = await this.#head(own);
    return {
      status: Number(all.find(([name]) => name === ":status")?.[1]),
      fields: all.filter(([name]) => !name.startsWith(":")),
      body: Buffer.concat(own.filter(({ type }) => type === TYPE.data).map(toContent)),
      reset: this.resetOf(stream),
    };
  }

  /** Leaves without a word. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Returns the fields of the response, without those of interim responses. */
  async #head(frames: readonly Frame[]): Promise<[string, string][]> {
    for (const { type, payload } of frames) {
      if (type !== TYPE.headers) continue;
      const fields = await decodeResponseFields(payload);
      if (!/^1\d\d$/.test(fields.find(([name]) => name === ":status")?.[1] ?? "")) return fields;
    }
    assert.fail("a response begins with HEADERS");
  }

  #onFrame(received: Frame): void {
    this.frames.push(received);
    const isSettings = received.type === TYPE.settings && received.flags === 0;
    if (isSettings) this.send(frame(TYPE.settings, FLAG.ack, 0, NOTHING));
    // On a busy machine, the server would take a client that does not answer for one that has left.
    const isPing = received.type === TYPE.ping && received.flags === 0;
    if (isPing) this.send(frame(TYPE.ping, FLAG.ack, 0, received.payload));
  }

  #wake(): void {
    const wakes = this.#wakes;
    this.#wakes = [];
    for (const wake of wakes) wake();
  }
}

/** Returns the content of a DATA frame without its padding. */
function toContent({ flags, payload }: Frame): Buffer {
  if ((flags & FLAG.padded) === 0) return payload;
  return payload.subarray(1, payload.length - payload.readUInt8(0));
}

function errorName(code: number): string {
  return ERROR_NAMES[code] ?? String(code);
}
