import type { ExchangeId } from "../../http/client.ts";
import type { TurnClock } from "../../lib/turn-clock.ts";
import type { Prepared } from "../../lib/prepared.ts";
import { Waiters } from "../../lib/waiters.ts";
import { Acceptor, type OnRequest, toPlace } from "./acceptor.ts";
import type { Listener, ListenerChanges, ListenerOptions, ServedCertificates } from "../engine.ts";
import type { SavedMasks } from "./body-reading.ts";
import { ConnectionAddresses } from "./client-address.ts";
import { findHeadBreach } from "../../http/head-limits.ts";
import { OriginResolver } from "../../http/origin.ts";
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

/** Of a client that has too many requests in flight: one of them may be answered any moment. */
const RETRY_AFTER_SECONDS = 1;

/** The library, and what it keeps for all of its listeners. */
export interface Library {
  uws: Uws;
  savedMasks: SavedMasks;
}

/** A bound port that accepts connections, with or without TLS, and makes a client of each request whose head may pass. */
export class UwsListener implements Listener, ListenerContext {
  readonly fields: ResponseFields = new ResponseFields();
  readonly scheme: "http" | "https";
  readonly secure: boolean;
  readonly port: number;
  readonly unread: UnreadBytes = new UnreadBytes();
  readonly savedMasks: SavedMasks;
  #closing = false;
  #inFlight = 0;
  /** Clients whose request or response has bytes on their way. */
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
      origins: new OriginResolver(this.scheme),
      addresses: this.#addresses,
      ...(options.onNewField === undefined ? {} : { onNewName: options.onNewField }),
    });
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
   * Binds the port and accepts from then on.
   *
   * @throws RuntimeError `ERR_LISTEN` that says why: the port is in use, needs a privilege, the address is not ours.
   */
  static async open(library: Library, options: ListenerOptions): Promise<UwsListener> {
    // The library tells no reason when it cannot bind, so the reason is looked for first; and a port that another server
    // of the same user has it would share.
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
    this.#options.perAddress.finished(client.head.clientAddress);
    this.#options.onFinished(client, status, bodyBytes);
    if (this.#inFlight === 0) this.#idleWaiters.release();
  }

  /** Resolves when no request is in flight; once it stopped accepting, none may follow. */
  idle(): Promise<void> {
    return this.#inFlight === 0 ? Promise.resolve() : this.#idleWaiters.wait();
  }

  /** Resolves when no connection is open; once it stopped accepting, that is within seconds for those with nothing to do. */
  disconnected(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : this.#disconnectedWaiters.wait();
  }

  /** Accepts no more; connections that live end with their next response. */
  stopAccepting(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#acceptor.stop();
  }

  /**
   * Closes all connections at once. Requests in flight see their client leave.
   *
   * @param options.graceIsOver They have had the time that `drainGrace` gives, and their access lines say so.
   * @returns How many clients were sending or reading.
   */
  close({ graceIsOver = false }: { graceIsOver?: boolean } = {}): number {
    this.stopAccepting();
    // `drainGrace` has already counted the clients that it answered 503 and that still send.
    const busy = this.#transfers.stop().filter(({ limit }) => limit !== "drainGrace");
    if (graceIsOver) for (const client of busy) this.#options.counters.limit("drainGrace", client);
    this.#acceptor.close();
    return busy.length;
  }

  /** Other rules for what begins from now on. */
  change(changes: ListenerChanges): void {
    this.#options = { ...this.#options, ...changes };
  }

  /** @see Acceptor.prepareCertificates */
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
    // Beyond the limit of file descriptors the library would spin (docs/uwebsockets.md section 1).
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

  /** Runs for every request; whatever it throws must not reach the library, which would end the process. */
  readonly #onRequest: OnRequest = (res, req, knownMethod) => {
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
      if (this.#admits(client)) this.#options.onRequest(client);
    } catch (error) {
      this.#options.onError(error);
      if (client !== null) client.refuse(500);
      else res.close();
    }
  };

  /** Whether a request is within the limits that need no more than its head; if not, it is answered. */
  #admits(client: UwsClient): boolean {
    const { limits, perAddress, counters, onLimited } = this.#options;
    counters.requests++;
    // First: a request counts until it is finished, also when it is refused.
    const isAddressFine = perAddress.started(client.head.clientAddress);
    const breach = findHeadBreach(this.#reader.size, limits);
    if (breach === null && isAddressFine) return true;
    const setting = breach?.setting ?? "maxRequestsPerAddress";
    counters.limit(setting, client);
    onLimited(client, setting);
    if (breach === null) client.refuse(429, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    else client.refuse(breach.status);
    return false;
  }

  /** Answers a head that cannot be trusted. Only `onHeadRefused` learns of such a request. */
  #refuse(res: HttpResponse, refusal: HeadRefusal & { method: string; target: string }): void {
    const { counters, onHeadRefused } = this.#options;
    counters.requests++;
    counters.limits.malformed++;
    const known = {
      ...refusal,
      scheme: this.scheme,
      clientAddress: this.#addresses.of(res),
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
