import { randomBytes } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import {
  createServer as createTlsServer,
  type Server as TlsServer,
  type TLSSocket,
} from "node:tls";
import type { ExchangeId } from "../../http/client.ts";
import { ResponseFields } from "../../http/response-fields.ts";
import type { TransferLimits, TransferSetting } from "../../http/transfer-limits.ts";
import { MessageDeflater } from "./message-deflate.ts";
import { LazyFrames } from "../../http/web-socket-frames.ts";
import { RuntimeError } from "../../lib/errors.ts";
import type { Prepared } from "../../lib/prepared.ts";
import type { SocketHandle } from "../../lib/socket-handle.ts";
import type { TurnClock } from "../../lib/turn-clock.ts";
import type { ClientWebSocket } from "../client-web-socket.ts";
import type {
  Listener,
  ListenerChanges,
  ListenerOptions,
  ServedCertificate,
  ServedCertificates,
} from "../engine.ts";
import { HeadFields } from "../head-fields.ts";
import { ListenerCounts } from "../listener-counts.ts";
import { cannotListen, explainListenError, probePort } from "../probe-port.ts";
import { TransferSweep } from "../transfer-sweep.ts";
import { CertificateTable } from "./certificate-table.ts";
import { ConnectionSweep } from "./connection-sweep.ts";
import { FirstBytes } from "./first-bytes.ts";
import { Http1Connection } from "./http1-connection.ts";
import { Http2Connection } from "./http2-connection.ts";
import type { NodeListenerContext, OpenConnection } from "./listener-context.ts";
import type { NodeClient } from "./node-client.ts";
import { readTls } from "./note-tls.ts";
import { toCanonicalAddress } from "./peer-address.ts";
import { prepareHead } from "./prepared-head.ts";
import type { PreparedHead } from "./transport.ts";

/** Connections that the kernel holds until they are accepted. */
const BACKLOG = 511;

/** Size of the keys for session tickets, as OpenSSL needs it. */
const TICKET_KEYS_BYTES = 48;

const SECOND_MS = 1_000;

/** Whether Node can bind a port that another process has bound for sharing. */
const SHARES_PORTS = sharesPorts(process.versions.node);

/** Tells whether a version of Node has the option `reusePort`: from 22.12 and 23.1 on. */
function sharesPorts(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12);
}

function schemeOf({ certificates }: Pick<ListenerOptions, "certificates">): "http" | "https" {
  return certificates === null ? "http" : "https";
}

/** A bound port on Node's own sockets, with or without TLS. */
export class NodeListener implements Listener, NodeListenerContext {
  readonly fields: ResponseFields<PreparedHead> = new ResponseFields(prepareHead);
  readonly scheme: "http" | "https";
  readonly secure: boolean;
  readonly heads: HeadFields;
  readonly counts: ListenerCounts;
  readonly frames: LazyFrames = new LazyFrames();
  readonly deflater: MessageDeflater = new MessageDeflater();
  readonly #server: Server;
  readonly #tlsServer: TlsServer | null;
  #certificates: CertificateTable | null;
  /** Keys of session tickets. They outlive the certificates, so that clients resume sessions after a change. */
  readonly #ticketKeys = randomBytes(TICKET_KEYS_BYTES);
  #options: ListenerOptions;
  #port = 0;
  #closing = false;
  readonly #transfers = new TransferSweep<NodeClient>((error) => this.#options.onError(error));
  /** WebSockets of clients. */
  readonly #webSockets = new TransferSweep<ClientWebSocket>((error) =>
    this.#options.onError(error),
  );
  readonly #connections = new ConnectionSweep<OpenConnection>((error) =>
    this.#options.onError(error),
  );
  readonly #sockets = new Set<Socket>();
  #date = "";
  #dateMs = -Infinity;

  private constructor(options: ListenerOptions) {
    this.#options = options;
    this.scheme = schemeOf(options);
    this.secure = this.scheme === "https";
    this.counts = new ListenerCounts(() => this.#options);
    this.heads = new HeadFields({
      scheme: this.scheme,
      onNewName: (name) => this.#options.onNewField?.(name),
      onDropped: (name, peer) => this.#options.onForwardingDropped?.(name, peer),
    });
    this.heads.trust = options.trust ?? null;
    const { certificates, tls } = options;
    this.#certificates = certificates === null ? null : new CertificateTable(certificates, tls);
    this.#tlsServer = this.#certificates === null ? null : this.#createTls(this.#certificates);
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
      this.#onConnection(socket),
    );
  }

  /**
   * Binds the port and accepts connections from then on.
   *
   * @throws RuntimeError `ERR_LISTEN` with the reason: the port is in use or needs a privilege, or the address is not
   *   one of this machine.
   */
  static async open(options: ListenerOptions): Promise<NodeListener> {
    // A port that several processes may share is bound without an error even if another server uses it.
    const isProbed = SHARES_PORTS && options.isShared !== true;
    const place = { scheme: schemeOf(options), host: options.host, port: options.port };
    const port = isProbed ? await probePort(place) : options.port;
    const listener = new NodeListener({ ...options, port });
    await listener.#listen();
    return listener;
  }

  get port(): number {
    return this.#port;
  }

  get descriptor(): number | null {
    return this.handle?.fd ?? null;
  }

  get handle(): SocketHandle | null {
    // Node has no public way to ask for the handle and the descriptor of a server.
    const { _handle: handle } = this.#server as { _handle?: SocketHandle | null };
    return handle !== undefined && handle !== null && handle.fd >= 0 ? handle : null;
  }

  get clock(): TurnClock {
    return this.#options.clock;
  }

  get limits(): TransferLimits {
    return this.#options.limits;
  }

  get headerLimitBytes(): number {
    return this.#options.limits.headerLimitBytes;
  }

  get keepAliveTimeoutMs(): number {
    return this.#options.timeouts.keepAliveTimeoutMs;
  }

  get headerCountLimit(): number {
    return this.#options.limits.headerCountLimit;
  }

  get maxConcurrentStreams(): number {
    return this.#options.http2?.maxConcurrentStreams ?? 0;
  }

  get headTimeoutMs(): number {
    return this.#options.timeouts.headTimeoutMs;
  }

  get keepAliveLine(): string {
    return `Keep-Alive: timeout=${Math.max(1, Math.floor(this.keepAliveTimeoutMs / SECOND_MS) - 1)}\r\n`;
  }

  get closing(): boolean {
    return this.#closing;
  }

  get countsBytes(): boolean {
    return this.#options.countsBytes ?? true;
  }

  get onRequest(): ListenerOptions["onRequest"] {
    return this.#options.onRequest;
  }

  nextId(): ExchangeId {
    return this.#options.nextId();
  }

  date(): string {
    const nowMs = this.clock.now();
    if (nowMs - this.#dateMs >= SECOND_MS) {
      const wallMs = Date.now();
      this.#date = new Date(wallMs).toUTCString();
      // The text is right until the second ends.
      this.#dateMs = nowMs - (wallMs % SECOND_MS);
    }
    return this.#date;
  }

  reset(socket: Socket): void {
    // A TLS socket cannot be reset. Its client sees that the end of the session is missing.
    if (this.secure) socket.destroy();
    else socket.resetAndDestroy();
  }

  onConnectionClosed(connection: OpenConnection): void {
    this.#connections.delete(connection);
  }

  onBodyBytes(bytes: number): void {
    this.counts.received(bytes);
  }

  onTransferStart(client: NodeClient): void {
    this.#transfers.add(client);
  }

  onTransferEnd(client: NodeClient): void {
    this.#transfers.delete(client);
  }

  onWebSocket(side: ClientWebSocket): void {
    this.#webSockets.add(side);
  }

  onWebSocketEnd(side: ClientWebSocket): void {
    this.#webSockets.delete(side);
  }

  onCut(client: NodeClient, setting: TransferSetting, value: number): void {
    this.#options.onCut(client, setting, value);
  }

  onMalformed(client: NodeClient): void {
    this.#options.counters.limit("malformed", client);
  }

  onError(error: unknown): void {
    this.#options.onError(error);
  }

  onFinished(client: NodeClient, status: number, bodyBytes: number): void {
    this.counts.finished(client, status, bodyBytes);
  }

  idle(): Promise<void> {
    return this.counts.idle();
  }

  disconnected(): Promise<void> {
    return this.counts.disconnected();
  }

  stopAccepting(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#server.close();
    this.#connections.drain();
  }

  close({ graceIsOver = false }: { graceIsOver?: boolean } = {}): number {
    this.stopAccepting();
    // `drainGrace` has already counted the clients that it answered 503 and that still send.
    const busy = this.#transfers.stop().filter(({ limitedBy }) => limitedBy !== "drainGrace");
    if (graceIsOver) for (const client of busy) this.#options.counters.limit("drainGrace", client);
    const webSockets = this.#webSockets.stop();
    for (const side of webSockets) {
      if (graceIsOver) this.#options.counters.limit("drainGrace", side.request);
      side.dismiss();
    }
    this.#connections.stop();
    const cut = (): void => {
      for (const socket of this.#sockets) socket.destroy();
    };
    // Close frames in HTTP/2 leave in a later turn of the event loop.
    if (webSockets.length > 0) setImmediate(cut);
    else cut();
    return busy.length + webSockets.length;
  }

  change(changes: ListenerChanges): void {
    this.#options = { ...this.#options, ...changes };
    this.heads.trust = this.#options.trust ?? null;
  }

  prepareCertificates(certificates: NonNullable<ServedCertificates>): Prepared {
    const server = this.#tlsServer;
    if (server === null) throw new TypeError("a plain listener has no certificates");
    let next: CertificateTable;
    try {
      next = new CertificateTable(certificates, this.#options.tls);
    } catch (cause) {
      const { certPath, keyPath } = certificates[0];
      const message = `Cannot use ${certPath} with ${keyPath}: OpenSSL refuses them`;
      throw new RuntimeError("ERR_CERTIFICATE", message, { cause });
    }
    return {
      commit: () => {
        this.#certificates = next;
        server.setSecureContext({ ...next.defaults, ticketKeys: this.#ticketKeys });
      },
      discard: () => Promise.resolve(),
    };
  }

  #createTls({ defaults }: CertificateTable): TlsServer {
    const server = createTlsServer({
      ...defaults,
      allowHalfOpen: true,
      ticketKeys: this.#ticketKeys,
      handshakeTimeout: this.headTimeoutMs,
      ALPNProtocols: this.#hasHttp2 ? ["h2", "http/1.1"] : ["http/1.1"],
      SNICallback: (name, done) => {
        const table = this.#certificates;
        const context = table?.find(name);
        if (context === undefined && table?.onlyByName === true) done(new Error("unknown name"));
        else done(null, context);
      },
    });
    server.on("secureConnection", (socket) => this.#onSecure(socket));
    // The socket closes by itself.
    server.on("tlsClientError", () => {});
    return server;
  }

  #listen(): Promise<void> {
    const { host, port, descriptor } = this.#options;
    return new Promise((resolve, reject) => {
      const onListenError = (error: Error): void => {
        reject(
          cannotListen({ scheme: this.scheme, host, port }, explainListenError(error, port), error),
        );
      };
      this.#server.once("error", onListenError);
      // `exclusive` keeps node:cluster from sharing the socket.
      const place = { port, exclusive: true, backlog: BACKLOG, ...(host === null ? {} : { host }) };
      const shared = SHARES_PORTS ? { ...place, reusePort: true } : place;
      this.#server.listen(descriptor === undefined ? shared : { fd: descriptor }, () => {
        const address = this.#server.address();
        this.#port = typeof address === "object" && address !== null ? address.port : 0;
        // From now on an error means that the kernel could not accept a connection.
        this.#server.off("error", onListenError);
        this.#server.on("error", (error) => this.onError(error));
        resolve();
      });
    });
  }

  #onConnection(socket: Socket): void {
    const isAdmitted = this.counts.opened();
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.counts.closed();
    });
    if (!isAdmitted) socket.destroy();
    else if (this.#tlsServer === null) this.#serve(socket, null);
    else this.#tlsServer.emit("connection", socket);
  }

  #onSecure(socket: TLSSocket): void {
    this.#serve(socket, this.#certificateOf(socket));
  }

  /** Returns the certificate of a connection; `null`: it is unknown, or none of the present ones. */
  #certificateOf(socket: TLSSocket): ServedCertificate | null {
    const table = this.#certificates;
    if (socket.isSessionReused()) {
      // OpenSSL does not call `SNICallback` for a resumed session, and the socket has the default certificate. With TLS
      // 1.2 it has no name either.
      const { servername: name } = socket;
      return typeof name === "string" ? (table?.findNamed(name) ?? null) : null;
    }
    const certificate = socket.getX509Certificate();
    return certificate === undefined ? null : (table?.findServed(certificate.raw) ?? null);
  }

  #serve(socket: Socket, certificate: ServedCertificate | null): void {
    if (this.secure || !this.#hasHttp2) {
      const isHttp2 = "alpnProtocol" in socket && socket.alpnProtocol === "h2";
      this.#connect(isHttp2 ? Http2Connection : Http1Connection, socket, certificate);
    } else {
      // Without TLS the first bytes tell the protocol.
      const waiting = new FirstBytes(socket, {
        timeoutMs: this.headTimeoutMs,
        onProtocol: (isHttp2) => {
          this.#connections.delete(waiting);
          this.#connect(isHttp2 ? Http2Connection : Http1Connection, socket, null);
        },
        onClosed: () => this.#connections.delete(waiting),
      });
      this.#connections.add(waiting);
    }
  }

  #connect(
    Connection: typeof Http1Connection | typeof Http2Connection,
    socket: Socket,
    certificate: ServedCertificate | null,
  ): void {
    const peer = toCanonicalAddress(socket.remoteAddress ?? "");
    const tls = this.secure ? readTls(socket) : 0;
    this.#connections.add(new Connection(socket, { context: this, certificate, peer, tls }));
  }

  get #hasHttp2(): boolean {
    return (this.#options.http2 ?? null) !== null;
  }
}
