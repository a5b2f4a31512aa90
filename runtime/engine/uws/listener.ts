import type { ExchangeId } from "../../http/client.ts";
import type { TurnClock } from "../../lib/turn-clock.ts";
import type { Prepared } from "../../lib/prepared.ts";
import { Acceptor, type OnRequest, toPlace } from "./acceptor.ts";
import type { Listener, ListenerChanges, ListenerOptions, ServedCertificates } from "../engine.ts";
import type { SavedMasks } from "./body-reading.ts";
import { ConnectionAddresses } from "./client-address.ts";
import { CorkAnchor } from "./cork-anchor.ts";
import { ListenerCounts } from "../listener-counts.ts";
import { probePort } from "../probe-port.ts";
import type { HeadRefusal } from "../head-fields.ts";
import { HeadReader } from "./read-head.ts";
import { refuseHead } from "./refuse-head.ts";
import { type PreparedFields, prepareFields, ResponseFields } from "../../http/response-fields.ts";
import { readHandshake } from "../../http/web-socket-handshake.ts";
import type { TransferLimits, TransferSetting } from "../../http/transfer-limits.ts";
import { TransferSweep } from "../transfer-sweep.ts";
import { UnreadBytes } from "./unread-bytes.ts";
import { type ListenerContext, UwsClient } from "./uws-client.ts";
import type { Upgrade } from "./upgrades.ts";
import type { HttpResponse, Uws } from "./uws.ts";
import type { ClientWebSocket } from "../client-web-socket.ts";
import { WriteAllowance } from "./write-allowance.ts";

/** The library, with the state that all of its listeners share. */
export interface Library {
  uws: Uws;
  savedMasks: SavedMasks;
}

/**
 * A bound port that accepts connections, with or without TLS. Hands over a client for each request with a valid head.
 */
export class UwsListener implements Listener, ListenerContext {
  readonly fields: ResponseFields<PreparedFields> = new ResponseFields(prepareFields);
  readonly scheme: "http" | "https";
  readonly secure: boolean;
  readonly port: number;
  /** The library cannot use a socket of another process. */
  readonly descriptor: null = null;
  readonly handle: null = null;
  readonly unread: UnreadBytes = new UnreadBytes();
  readonly savedMasks: SavedMasks;
  readonly anchor: CorkAnchor;
  #closing = false;
  readonly #counts = new ListenerCounts(() => this.#options);
  /** Clients with a request or response body in transfer. */
  readonly #transfers = new TransferSweep<UwsClient>((error) => this.#options.onError(error));
  /** WebSockets of clients. */
  readonly #sockets = new TransferSweep<ClientWebSocket>((error) => this.#options.onError(error));
  readonly #writes: WriteAllowance;
  #options: ListenerOptions;
  readonly #addresses = new ConnectionAddresses();
  readonly #reader: HeadReader;
  readonly #acceptor: Acceptor;

  private constructor({ uws, savedMasks }: Library, options: ListenerOptions) {
    this.savedMasks = savedMasks;
    this.anchor = new CorkAnchor(uws);
    this.#options = options;
    this.scheme = options.certificates === null ? "http" : "https";
    this.secure = this.scheme === "https";
    this.#writes = new WriteAllowance(options.clock);
    this.#reader = new HeadReader({
      scheme: this.scheme,
      addresses: this.#addresses,
      onDropped: (name, peer) => this.#options.onForwardingDropped?.(name, peer),
      ...(options.onNewField === undefined ? {} : { onNewName: options.onNewField }),
    });
    this.#reader.trust = options.trust ?? null;
    const { host, port, certificates, tls } = options;
    this.#acceptor = new Acceptor(uws, {
      host,
      port,
      certificates,
      tls,
      compresses: options.compressesWebSockets ?? false,
      onRequest: this.#onRequest,
      onOpened: (res) => this.#onOpened(res),
      onClosed: () => this.#onClosed(),
    });
    this.port = this.#acceptor.port;
  }

  /**
   * Binds the port and accepts connections from then on.
   *
   * @throws RuntimeError `ERR_LISTEN` with the reason: the port is in use or needs a privilege, or the address is not
   *   one of this machine.
   */
  static async open(library: Library, options: ListenerOptions): Promise<UwsListener> {
    // The library gives no reason when it cannot bind, so the probe looks for one first. The library would also share a
    // port with another server of the same user.
    const port = options.isShared === true ? options.port : await probePort(toPlace(options));
    return new UwsListener(library, { ...options, port });
  }

  get clock(): TurnClock {
    return this.#options.clock;
  }

  get closing(): boolean {
    return this.#closing;
  }

  admitWrite(bytes: number): boolean {
    return this.#writes.admit(bytes);
  }

  nextId(): ExchangeId {
    return this.#options.nextId();
  }

  get countsBytes(): boolean {
    return this.#options.countsBytes ?? true;
  }

  get limits(): TransferLimits {
    return this.#options.limits;
  }

  onBodyBytes(bytes: number): void {
    this.#counts.received(bytes);
  }

  onTransferStart(client: UwsClient): void {
    this.#transfers.add(client);
  }

  onTransferEnd(client: UwsClient): void {
    this.#transfers.delete(client);
  }

  onWebSocket(side: ClientWebSocket): void {
    this.#sockets.add(side);
  }

  onWebSocketEnd(side: ClientWebSocket): void {
    this.#sockets.delete(side);
  }

  onError(error: unknown): void {
    this.#options.onError(error);
  }

  onCut(client: UwsClient, setting: TransferSetting, value: number): void {
    this.#options.onCut(client, setting, value);
  }

  onFinished(client: UwsClient, status: number, bodyBytes: number): void {
    this.#counts.finished(client, status, bodyBytes);
  }

  idle(): Promise<void> {
    return this.#counts.idle();
  }

  disconnected(): Promise<void> {
    return this.#counts.disconnected();
  }

  stopAccepting(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#acceptor.stop();
  }

  close({ graceIsOver = false }: { graceIsOver?: boolean } = {}): number {
    this.stopAccepting();
    // `drainGrace` has already counted the clients that it answered 503 and that still send.
    const busy = this.#transfers.stop().filter(({ limitedBy }) => limitedBy !== "drainGrace");
    if (graceIsOver) for (const client of busy) this.#options.counters.limit("drainGrace", client);
    const sockets = this.#sockets.stop();
    for (const side of sockets) {
      if (graceIsOver) this.#options.counters.limit("drainGrace", side.request);
      side.dismiss();
    }
    this.#acceptor.close();
    this.anchor.close();
    return busy.length + sockets.length;
  }

  change(changes: ListenerChanges): void {
    this.#options = { ...this.#options, ...changes };
    this.#reader.trust = this.#options.trust ?? null;
  }

  prepareCertificates(certificates: NonNullable<ServedCertificates>): Prepared {
    return this.#acceptor.prepareCertificates(certificates);
  }

  #onOpened(res: HttpResponse): void {
    this.#addresses.opened(res);
    // Without this limit the library would spin when the process runs out of file descriptors (docs/uwebsockets.md
    // section 1).
    if (!this.#counts.opened()) res.close();
  }

  #onClosed(): void {
    this.#addresses.closed();
    this.#counts.closed();
  }

  /** Runs for every request. Must not throw: an exception that reaches the library ends the process. */
  readonly #onRequest: OnRequest = (res, req, knownMethod, certificate, upgrade) => {
    let client: UwsClient | null = null;
    try {
      const head = this.#reader.read(req, res, knownMethod);
      if ("reason" in head) {
        const method = knownMethod ?? req.getCaseSensitiveMethod();
        const query = req.getQuery() as string | undefined;
        const target = query === undefined ? req.getUrl() : `${req.getUrl()}?${query}`;
        this.#refuse(res, { ...head, method, target });
        return;
      }
      const { isLast, libraryCloses } = this.#reader;
      client = new UwsClient(res, head, { context: this, isLast, libraryCloses });
      if (upgrade !== null) this.#offerWebSocket(client, upgrade);
      if (this.#counts.begin(client, this.#reader.size)) {
        this.#options.onRequest(client, certificate, this.#reader.ownOrigin);
      }
    } catch (error) {
      this.#options.onError(error);
      if (client !== null) client.refuse(500);
      else res.close();
    }
  };

  /** Lets the responder accept a WebSocket, if the client asks for one and the rest of its head allows it. */
  #offerWebSocket(client: UwsClient, upgrade: Upgrade): void {
    const { head } = client;
    if (this.#reader.isLast || head.bodyBytes !== 0 || !this.#reader.asksForUpgrade) return;
    const handshake = readHandshake(head.fields);
    if (handshake !== null) client.offerWebSocket(handshake, upgrade);
  }

  /** Answers an invalid head. For such a request only `onHeadRefused` is called. */
  #refuse(res: HttpResponse, refusal: HeadRefusal & { method: string; target: string }): void {
    const { method, target, reason } = refusal;
    const clientAddress = this.#reader.clientAddress(res);
    const onFinished = this.#counts.beginRefusal({
      method,
      target,
      reason,
      scheme: this.scheme,
      clientAddress,
    });
    const { libraryCloses } = this.#reader;
    refuseHead(res, { ...refusal, libraryCloses }, onFinished);
  }
}
