import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import type { Duplex } from "node:stream";
import type {
  ExchangeEvents,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamRequest,
  UpstreamServer,
  UpstreamTimeouts,
} from "../../runtime/upstream/exchange.ts";
import { openUpstreamServer } from "../../runtime/upstream/http1-server.ts";
import type {
  UpstreamAddress,
  UpstreamServerOptions,
} from "../../runtime/upstream/server-options.ts";

/** One connection at the upstream's side: bytes as they are. */
export class Peer {
  readonly socket: Socket;
  /** All bytes that came, one character per byte. */
  received = "";
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (bytes: Buffer) => {
      this.received += bytes.toString("latin1");
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => this.#wake());
  }

  /** Resolves once the text has come, and forgets everything up to its end. */
  async until(text: string): Promise<string> {
    for (;;) {
      const at = this.received.indexOf(text);
      if (at !== -1) {
        const before = this.received.slice(0, at + text.length);
        this.received = this.received.slice(at + text.length);
        return before;
      }
      if (this.socket.destroyed)
        throw new Error(`the connection ended before ${JSON.stringify(text)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  send(bytes: string | Buffer): void {
    this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }

  async closed(): Promise<void> {
    if (!this.socket.destroyed) await once(this.socket, "close");
  }
}

/** An upstream that does with each connection as the test says. */
export async function openRawUpstream(
  t: TestContext,
  onPeer: (peer: Peer, index: number) => void | Promise<void>,
  listen: (server: Server) => void = (server) => server.listen(0, "127.0.0.1"),
): Promise<{ port: number; peers: Peer[] }> {
  const peers: Peer[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    const peer = new Peer(socket);
    peers.push(peer);
    // A script that waits for bytes ends with the connection.
    Promise.resolve(onPeer(peer, peers.length - 1)).catch(() => socket.destroy());
  });
  listen(server);
  await once(server, "listening");
  t.after(() => {
    for (const { socket } of peers) socket.destroy();
    server.close();
  });
  const address = server.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0, peers };
}

export const TIMEOUTS: UpstreamTimeouts = {
  connectMs: 60_000,
  firstByteMs: 60_000,
  idleMs: 60_000,
};

/** Opens an upstream server that the test closes. A number is a port of this machine. */
export function openServer(
  t: TestContext,
  place: number | UpstreamAddress,
  options: Partial<Omit<UpstreamServerOptions, "address" | "limits">> & {
    limits?: Partial<UpstreamServerOptions["limits"]>;
  } = {},
): UpstreamServer {
  const server = openUpstreamServer({
    name: "test",
    address: typeof place === "number" ? { kind: "tcp", host: "127.0.0.1", port: place } : place,
    tls: null,
    timeouts: TIMEOUTS,
    onSettled: null,
    ...options,
    limits: {
      headBytes: 65_536,
      fields: 500,
      idleConnections: 8,
      keepAliveMs: 60_000,
      ...options.limits,
    },
  });
  t.after(() => server.destroy());
  return server;
}

export const GET: UpstreamRequest = {
  method: "GET",
  target: "/",
  fields: "host\nexample.com",
  body: null,
  bodyBytes: null,
  upgrade: null,
  timeouts: null,
};

export const UPLOAD: UpstreamRequest = { ...GET, method: "POST", body: "follows" };

/** An exchange, and everything that it told. */
export class Asked {
  readonly exchange: UpstreamExchange;
  /** Names of the events, in their order, without repetitions of `chunk`. */
  readonly events: string[] = [];
  head: UpstreamHead | null = null;
  /** Number of bytes of the body that came. */
  size = 0;
  readonly #pieces: Buffer[] = [];
  failure: UpstreamFailure | null = null;
  tunnel: { socket: Duplex; first: Buffer } | null = null;
  /** Called with each chunk, within the event. */
  onChunk: (bytes: Uint8Array) => void = () => {};
  /** Called within the last event of a response. */
  onEnd: () => void = () => {};
  #wake: () => void = () => {};

  constructor(server: UpstreamServer, request: UpstreamRequest = GET) {
    const note = (event: string): void => {
      if (event !== "chunk" || this.events.at(-1) !== "chunk") this.events.push(event);
      this.#wake();
    };
    const events: ExchangeEvents = {
      onInformational: (status) => note(String(status)),
      onHead: (head) => {
        this.head = head;
        note("head");
      },
      onChunk: (bytes) => {
        this.#pieces.push(Buffer.from(bytes));
        this.size += bytes.length;
        note("chunk");
        this.onChunk(bytes);
      },
      onEnd: () => {
        note("end");
        this.onEnd();
      },
      onUpgraded: (head, socket, first) => {
        this.head = head;
        this.tunnel = { socket, first: Buffer.from(first) };
        note("upgraded");
      },
      onDrain: () => note("drain"),
      onFailed: (failure) => {
        this.failure = failure;
        note("failed");
      },
    };
    this.exchange = server.open(request, events);
  }

  get body(): Buffer {
    return Buffer.concat(this.#pieces);
  }

  async until(event: string): Promise<this> {
    while (!this.events.includes(event)) {
      if (this.failure !== null)
        throw new Error(`instead of ${event}: ${JSON.stringify(this.failure)}`);
      if (this.events.includes("end")) throw new Error(`instead of ${event}: the end`);
      await this.#next();
    }
    return this;
  }

  /** Resolves with the tunnel that the exchange becomes. */
  async upgraded(): Promise<{ socket: Duplex; first: Buffer }> {
    await this.until("upgraded");
    if (this.tunnel === null) throw new Error("an upgrade without its socket");
    return this.tunnel;
  }

  /** Resolves with the failure that the exchange ends with. */
  async failed(): Promise<UpstreamFailure> {
    while (this.failure === null && !this.events.includes("end")) await this.#next();
    if (this.failure === null) throw new Error("the end instead of a failure");
    return this.failure;
  }

  async received(bytes: number): Promise<void> {
    while (this.size < bytes) await this.#next();
  }

  async #next(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}
