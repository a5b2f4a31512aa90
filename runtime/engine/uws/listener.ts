import type { ExchangeId } from "../../http/client.ts";
import type { TurnClock } from "../../lib/turn-clock.ts";
import type { Prepared } from "../../lib/prepared.ts";
import { Waiters } from "../../lib/waiters.ts";
import { Acceptor, type OnRequest, toPlace } from "./acceptor.ts";
import type { Listener, ListenerChanges, ListenerOptions, ServedCertificates } from "../engine.ts";
import type { SavedMasks } from "./body-reading.ts";
import { ConnectionAddresses } from "./client-address.ts";
import { findHeadBreach } from "../../http/head-limits.ts";
import { probePort } from "../probe-port.ts";
import { HeadReader, type HeadRefusal } from "./read-head.ts";
import { refuseHead } from "./refuse-head.ts";
import { ResponseFields } from "../../http/response-fields.ts";
import type { TransferLimits, TransferSetting } from "../../http/transfer-limits.ts";
import { TransferSweep } from "./transfer-sweep.ts";
import { UnreadBytes } from "./unread-bytes.ts";
import { type ListenerContext, UwsClient } from "./uws-client.ts";
import type { HttpResponse, Uws } from "./uws.ts";
import { WriteAllowance } from "./write-allowance.ts";

/** `Retry-After` for a client with too many requests in flight: one of them may be answered at any moment. */
const RETRY_AFTER_SECONDS = 1;

/** The library, with the state that all of its listeners share. */
export interface Library {
  uws: Uws;
  savedMasks: SavedMasks;
}

/**
 * A bound port that accepts connections, with or without TLS. Hands over a client for each request with a valid head.
 */
export class UwsListener implements Listener, ListenerContext {
  readonly fields: ResponseFields = new ResponseFields();
  readonly scheme: "http" | "https";
  readonly secure: boolean;
  readonly port: number;
  readonly unread: UnreadBytes = new UnreadBytes();
  readonly savedMasks: SavedMasks;
  #closing = false;
  #inFlight = 0;
  /** Clients with a request or response body in transfer. */
  readonly #transfers = new TransferSweep<UwsClient>((error) => this.#options.onError(error));
  readonly #writes: WriteAllowance;
  readonly #idleWaiters = new Waiters();
  #open = 0;
  readonly #disconnectedWaiters = new Waiters();
  #options: ListenerOptions;
  readonly #addresses = new ConnectionAddresses();
  readonly #reader: HeadReader;
  readonly #acceptor: Acceptor;

  private constructor({ uws, savedMasks }: Library, options: ListenerOptions) {
    this.savedMasks = savedMasks;
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

  onTransferStart(client: UwsClient): void {
    this.#transfers.add(client);
  }

  onTransferEnd(client: UwsClient): void {
    this.#transfers.delete(client);
  }

  onError(error: unknown): void {
    this.#options.onError(error);
  }

  onCut(client: UwsClient, setting: TransferSetting, value: number): void {
    this.#options.onCut(client, setting, value);
  }

  onFinished(client: UwsClient, status: number, bodyBytes: number): void {
    this.#inFlight--;
    if (client.countsForAddress) this.#options.perAddress.finished(client.head.clientAddress);
    this.#options.onFinished(client, status, bodyBytes);
    if (this.#inFlight === 0) this.#idleWaiters.release();
  }

  idle(): Promise<void> {
    return this.#inFlight === 0 ? Promise.resolve() : this.#idleWaiters.wait();
  }

  disconnected(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : this.#disconnectedWaiters.wait();
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
    this.#acceptor.close();
    return busy.length;
  }

  change(changes: ListenerChanges): void {
    this.#options = { ...this.#options, ...changes };
    this.#reader.trust = this.#options.trust ?? null;
  }

  prepareCertificates(certificates: NonNullable<ServedCertificates>): Prepared {
    return this.#acceptor.prepareCertificates(certificates);
  }

  #onOpened(res: HttpResponse): void {
    const { counters, maxConnections } = this.#options;
    const { connections, limits } = counters;
    connections.open++;
    connections.accepted++;
    this.#open++;
    this.#addresses.opened(res);
    // Without this limit the library would spin when the process runs out of file descriptors (docs/uwebsockets.md
    // section 1).
    if (connections.open <= maxConnections) return;
    limits.maxConnections++;
    this.#options.onConnectionRefused();
    res.close();
  }

  #onClosed(): void {
    this.#options.counters.connections.open--;
    this.#addresses.closed();
    if (--this.#open === 0) this.#disconnectedWaiters.release();
  }

  /** Runs for every request. Must not throw: an exception that reaches the library ends the process. */
  readonly #onRequest: OnRequest = (res, req, knownMethod, certificate) => {
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
      this.#inFlight++;
      if (this.#admits(client)) {
        this.#options.onRequest(client, certificate, this.#reader.ownOrigin);
      }
    } catch (error) {
      this.#options.onError(error);
      if (client !== null) client.refuse(500);
      else res.close();
    }
  };

  /** Returns whether a request is within the limits that concern its head and its address. If not, answers it. */
  #admits(client: UwsClient): boolean {
    const { limits, perAddress, counters, onLimited } = this.#options;
    counters.requests++;
    // Comes first, because `onFinished` counts every request as finished, also a refused one.
    client.countsForAddress = perAddress.most !== null;
    const isAddressFine = !client.countsForAddress || perAddress.started(client.head.clientAddress);
    const breach = findHeadBreach(this.#reader.size, limits);
    if (breach === null && isAddressFine) return true;
    const setting = breach?.setting ?? "maxRequestsPerAddress";
    counters.limit(setting, client);
    onLimited(client, setting);
    if (breach === null) client.refuse(429, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    else client.refuse(breach.status);
    return false;
  }

  /** Answers an invalid head. For such a request only `onHeadRefused` is called. */
  #refuse(res: HttpResponse, refusal: HeadRefusal & { method: string; target: string }): void {
    const { counters, onHeadRefused } = this.#options;
    counters.requests++;
    counters.limits.malformed++;
    const known = {
      ...refusal,
      scheme: this.scheme,
      clientAddress: this.#reader.clientAddress(res),
      id: this.nextId(),
      receivedMs: this.clock.now(),
    };
    this.#inFlight++;
    const { libraryCloses } = this.#reader;
    refuseHead(res, { ...refusal, libraryCloses }, (outcome) => {
      this.#inFlight--;
      onHeadRefused({ ...known, ...outcome });
      if (this.#inFlight === 0) this.#idleWaiters.release();
    });
  }
}
