import { once } from "node:events";
import type { ClientHttp2Session, IncomingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { Owner } from "../temporary-folder.ts";
import { type Frame, frame, type FrameParts, readFrame } from "./frames.ts";

/** A valid request for a WebSocket. */
export const HANDSHAKE: readonly string[] = [
  "GET / HTTP/1.1",
  "Host: localhost",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
];

/** A client of WebSockets that sends any bytes, and shows the frames of the server as they come. */
export class FrameClient {
  readonly #stream: Duplex;
  #bytes = Buffer.alloc(0);
  #hasEnded = false;
  #wake: (() => void) | null = null;

  /** Takes a stream whose handshake is done, or will be read with `head`. Cuts it after the test. */
  constructor(t: Owner, stream: Duplex) {
    this.#stream = stream;
    t.after(() => void stream.destroy());
    stream.on("data", (bytes: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      this.#wake?.();
    });
    const end = (): void => {
      this.#hasEnded = true;
      this.#wake?.();
    };
    stream.on("end", end);
    stream.on("close", end);
    // `close` follows.
    stream.on("error", () => {});
  }

  /** Connects to a port of this machine, and sends a head. */
  static connect(t: Owner, port: number, lines: readonly string[] = HANDSHAKE): FrameClient {
    const client = new FrameClient(t, connect({ port, host: "127.0.0.1", noDelay: true }));
    client.write(Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"));
    return client;
  }

  /**
   * Opens a WebSocket over HTTP/1.
   *
   * @param more Lines of the head after those of the handshake.
   */
  static async open(t: Owner, port: number, more: readonly string[] = []): Promise<FrameClient> {
    const client = FrameClient.connect(t, port, [...HANDSHAKE, ...more]);
    const { status } = await client.head();
    if (status !== 101) throw new Error(`status ${status}`);
    return client;
  }

  /** Asks for a WebSocket in a stream of HTTP/2 (RFC 8441). */
  static async openOver(
    t: Owner,
    session: ClientHttp2Session,
    fields: Readonly<Record<string, string>> = {},
  ): Promise<{ client: FrameClient; head: IncomingHttpHeaders }> {
    const stream = session.request(
      {
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":scheme": "http",
        ":path": "/",
        ":authority": "localhost",
        "sec-websocket-version": "13",
        ...fields,
      },
      { endStream: false },
    );
    const answered = once(stream, "response");
    const client = new FrameClient(t, stream);
    const [head] = (await answered) as [IncomingHttpHeaders];
    return { client, head };
  }

  write(bytes: Uint8Array): void {
    this.#stream.write(bytes);
  }

  send(parts: FrameParts): void {
    this.write(frame(parts));
  }

  /** Ends the client's side of the connection. */
  end(): void {
    this.#stream.end();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Reads the head of the answer; status 0: the server closed without one. */
  async head(): Promise<{ status: number; fields: ReadonlyMap<string, string> }> {
    let end = -1;
    for (; (end = this.#bytes.indexOf("\r\n\r\n")) === -1; await this.#more()) {
      if (this.#hasEnded) return { status: 0, fields: new Map() };
    }
    const [line = "", ...lines] = this.#bytes.toString("latin1", 0, end).split("\r\n");
    this.#bytes = this.#bytes.subarray(end + 4);
    const fields = lines.map((text): [string, string] => {
      const colon = text.indexOf(":");
      return [text.slice(0, colon).toLowerCase(), text.slice(colon + 1).trim()];
    });
    return { status: Number(line.split(" ")[1]), fields: new Map(fields) };
  }

  /** Returns the next frame; `null`: the server has closed. */
  async next(): Promise<Frame | null> {
    for (;;) {
      const read = readFrame(this.#bytes);
      if (read !== null) {
        this.#bytes = this.#bytes.subarray(read.size);
        return read.frame;
      }
      if (this.#hasEnded) return null;
      await this.#more();
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
