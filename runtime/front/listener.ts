import { STATUS_CODES } from "node:http";
import type { ExchangeId } from "../dispatch/client-side.ts";
import { RuntimeError } from "../errors.ts";
import { ExchangeTable } from "../exchange-table.ts";
import type { Counters } from "../observe/counters.ts";
import type { TurnClock } from "../turn-clock.ts";
import { Waiters } from "../waiters.ts";
import { ConnectionAddresses } from "./client-address.ts";
import { findHeadBreach, type HeadLimits, type HeadSetting } from "./head-limits.ts";
import { OriginResolver } from "./origin.ts";
import { cannotListen, type Place, probePort } from "./probe-port.ts";
import { HeadReader, type HeadRefusal } from "./read-head.ts";
import { ResponseFields } from "./response-fields.ts";
import type { RequestsPerAddress } from "./requests-per-address.ts";
import type { TransferLimits, TransferSetting } from "./transfer-limits.ts";
import { UnreadBytes } from "./unread-bytes.ts";
import { type Door, UwsClientSide } from "./uws-client-side.ts";
import type { HttpRequest, HttpResponse, ListenSocket, Uws, UwsApp } from "./uws.ts";

/** How often each client that sends or takes a body is looked at. */
const SWEEP_MS = 1_000;

/**
 * They are looked at in so many groups, one after the other. A cut takes 0.1 ms: if thousands of slow clients come at
 * once, and so are cut at once, all others would wait for it (measured: 20 ms each second beside 2,000).
 */
const SWEEP_GROUPS = 20;

/**
 * What is written at once the library keeps in memory until the client takes it. A client that sends thousands of
 * requests in one piece and reads nothing would fill it: beyond this, answers wait for the client, and the library
 * closes a connection on which a request comes while an answer waits.
 */
const WRITES_PER_TURN_BYTES = 4 * 1024 * 1024;

/** Of a client that has too many requests in flight: one of them may be answered any moment. */
const RETRY_AFTER_SECONDS = 1;

/** The library cuts what stands still for 8 to 12 s; half of that is often enough to say that it is ours to decide. */
const SWEEPS_PER_KEEP_ALIVE = 4;

/** A certificate to serve: its files, and the names it is shown for; the default one is shown for all others. */
export interface ServedCertificate {
  certPath: string;
  keyPath: string;
  names: readonly string[];
}

/** What is known of a request whose head could not be trusted. */
export interface RefusedHead {
  /** 499 when the client left before it was told. */
  status: number;
  reason: string;
  /** As they came: anything. */
  method: string;
  target: string;
  scheme: "http" | "https";
  clientAddress: string;
  id: ExchangeId;
  /** `performance.now()` when the head was complete. */
  receivedMs: number;
  /** Of the response. */
  bodyBytes: number;
}

/**
 * The library's default, SO_REUSEPORT: a server of the same user can listen on the port beside this one, and so take its
 * place while it serves. That nobody else does by mistake is up to `probePort`.
 */
const LISTEN_SHARED = 0;

/** What of a listener can change while it is open. */
export type ListenerChanges = Pick<
  ListenerOptions,
  "maxConnections" | "limits" | "countsBytes" | "perAddress"
>;

/** Other certificates, ready to be served. One of the two is to be called, once. */
export interface CertificateSwap {
  /** From now on new connections get them; those that live keep theirs, and stay. */
  commit(): void;
  discard(): void;
}

/** An application that serves requests, and how many connections it has. */
interface ServingApp {
  readonly app: UwsApp;
  open: number;
}

/** For methods that no resource here has: those that one may have (RFC 9110 section 15.5.6). */
const ALLOW = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

export interface ListenerOptions {
  /** `null`: all addresses, IPv6 and IPv4. */
  host: string | null;
  /** 0: any free port. */
  port: number;
  /** A server whose place this one takes listens on it still; it is not looked whether the port is free then. */
  isShared?: boolean;
  /** The first is the default; `null` for plain HTTP. */
  certificates: readonly [ServedCertificate, ...ServedCertificate[]] | null;
  /** Connections beyond this are closed as they come. */
  maxConnections: number;
  /** Counts for all listeners that share it, and so they share the maximum. */
  counters: Counters;
  /** Most requests in flight of one client address; `null`: any number. */
  perAddress: RequestsPerAddress | null;
  clock: TurnClock;
  /** Names each request, among those of all listeners. */
  nextId: () => ExchangeId;
  limits: TransferLimits & HeadLimits;
  /** False: nobody wants to know the size of small bodies; `onFinished` tells 0 then. */
  countsBytes?: boolean;
  /** A request's head is complete. Whoever gets it owes the client an answer. */
  onRequest: (client: UwsClientSide) => void;
  /** Its response is complete, its client left (status 499), or it was broken off (502). Once per request, also for refused ones. */
  onFinished: (client: UwsClientSide, status: number, bodyBytes: number) => void;
  /** A client was cut off for being slow, by this setting; `value` in its unit. */
  onCut: (client: UwsClientSide, setting: TransferSetting, value: number) => void;
  /** A request was refused for what this setting says. It is answered, and is none for `onRequest`. */
  onLimited: (client: UwsClientSide, setting: HeadSetting | "maxRequestsPerAddress") => void;
  /** A head was refused and is answered, or its client left. Such a request is no exchange: nobody else hears of it. */
  onHeadRefused: (refused: RefusedHead) => void;
  /** A bug: the request was answered 500. */
  onError: (error: unknown) => void;
}

/**
 * A bound port that accepts connections, with or without TLS.
 *
 * With TLS, the socket belongs to an acceptor that serves nothing: the application with the certificates is its child,
 * so that another one with newer certificates can take its place while connections live (uws-notes section 4).
 */
export class Listener implements Door {
  readonly fields: ResponseFields = new ResponseFields();
  readonly scheme: "http" | "https";
  readonly secure: boolean;
  readonly port: number;
  readonly unread: UnreadBytes = new UnreadBytes();
  #closing = false;
  #inFlight = 0;
  /** Those of which bytes are on their way. */
  readonly #transfers = Array.from(
    { length: SWEEP_GROUPS },
    () => new ExchangeTable<UwsClientSide>(),
  );
  readonly #sweep: NodeJS.Timeout;
  #sweeps = 0;
  /** The turn of the loop in which was written last, and how much was so far. */
  #writtenAtMs = 0;
  #writtenBytes = 0;
  readonly #idleWaiters = new Waiters();
  #open = 0;
  readonly #disconnectedWaiters = new Waiters();
  readonly #uws: Uws;
  #options: ListenerOptions;
  readonly #addresses = new ConnectionAddresses();
  readonly #reader: HeadReader;
  /** What listens. With TLS it serves nothing itself. */
  readonly #acceptor: UwsApp;
  #serving: ServingApp;
  /** Those with earlier certificates that still have connections. */
  readonly #retired = new Set<ServingApp>();
  readonly #socket: ListenSocket;

  private constructor(uws: Uws, options: ListenerOptions) {
    this.#uws = uws;
    this.#options = options;
    this.#sweep = setInterval(() => this.#checkTransfers(), SWEEP_MS / SWEEP_GROUPS);
    this.#sweep.unref();
    this.scheme = options.certificates === null ? "http" : "https";
    this.secure = this.scheme === "https";
    this.#reader = new HeadReader({
      origins: new OriginResolver(this.scheme),
      addresses: this.#addresses,
    });
    const { certificates } = options;
    // Before anything is bound: it throws for a certificate that the library does not take.
    this.#serving = this.#createServing(certificates);
    this.#acceptor = certificates === null ? this.#serving.app : uws.SSLApp({});
    if (certificates !== null) {
      this.#acceptor.addChildAppDescriptor(this.#serving.app.getDescriptor());
    }
    this.#socket = this.#listen();
    this.port = uws.us_socket_local_port(this.#socket);
  }

  /**
   * Binds the port and accepts from then on.
   *
   * @throws RuntimeError `ERR_LISTEN` that says why: the port is in use, needs a privilege, the address is not ours.
   */
  static async open(uws: Uws, options: ListenerOptions): Promise<Listener> {
    // The library tells no reason when it cannot bind, so the reason is looked for first; and a port that another server
    // of the same user has it would share.
    const port = options.isShared === true ? options.port : await probePort(toPlace(options));
    return new Listener(uws, { ...options, port });
  }

  get clock(): TurnClock {
    return this.#options.clock;
  }

  get closing(): boolean {
    return this.#closing;
  }

  admitWrite(bytes: number): boolean {
    const nowMs = this.#options.clock.now();
    if (nowMs !== this.#writtenAtMs) {
      this.#writtenAtMs = nowMs;
      this.#writtenBytes = 0;
    }
    this.#writtenBytes += bytes;
    return this.#writtenBytes <= WRITES_PER_TURN_BYTES;
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

  onTransferStart(client: UwsClientSide): void {
    this.#transfers[client.id % SWEEP_GROUPS]?.add(client);
  }

  onTransferEnd(client: UwsClientSide): void {
    this.#transfers[client.id % SWEEP_GROUPS]?.delete(client.id);
  }

  onCut(client: UwsClientSide, setting: TransferSetting, value: number): void {
    this.#options.onCut(client, setting, value);
  }

  onFinished(client: UwsClientSide, status: number, bodyBytes: number): void {
    this.#inFlight--;
    this.#options.perAddress?.finished(client.head.clientAddress);
    this.#options.onFinished(client, status, bodyBytes);
    if (this.#inFlight === 0) this.#idleWaiters.release();
  }

  #onRefusalFinished(refused: RefusedHead): void {
    this.#inFlight--;
    this.#options.onHeadRefused(refused);
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
    this.#uws.us_listen_socket_close(this.#socket);
  }

  /**
   * Closes all connections at once. Requests in flight see their client leave.
   *
   * @param options.graceIsOver They have had the time that `drainGrace` gives, and their access lines say so.
   * @returns How many clients were sending or reading.
   */
  close({ graceIsOver = false }: { graceIsOver?: boolean } = {}): number {
    this.stopAccepting();
    const busy = this.#transfers.flatMap((group) => [...group.values()]);
    if (graceIsOver) for (const client of busy) this.#options.counters.limit("drainGrace", client);
    clearInterval(this.#sweep);
    for (const { app } of [...this.#retired, this.#serving]) app.close();
    this.#retired.clear();
    if (this.#acceptor !== this.#serving.app) this.#acceptor.close();
    return busy.length;
  }

  /** Other rules for what begins from now on. */
  change(changes: ListenerChanges): void {
    this.#options = { ...this.#options, ...changes };
  }

  /**
   * Makes other certificates ready. To be called with ones that were checked; for a listener with TLS.
   *
   * @throws RuntimeError `ERR_CERTIFICATE` when the library does not take the default one after all. It says nothing of
   *   the others.
   */
  prepareCertificates(
    certificates: readonly [ServedCertificate, ...ServedCertificate[]],
  ): CertificateSwap {
    if (this.scheme === "http") throw new TypeError("a plain listener has no certificates");
    let next: ServingApp;
    try {
      next = this.#createServing(certificates);
    } catch (cause) {
      const { certPath, keyPath } = certificates[0];
      const message = `Cannot use ${certPath} with ${keyPath}: uWebSockets.js does not take them`;
      throw new RuntimeError("ERR_CERTIFICATE", message, { cause });
    }
    return {
      commit: () => this.#serve(next),
      discard: () => void next.app.close(),
    };
  }

  #serve(next: ServingApp): void {
    const previous = this.#serving;
    // In this order: without a child the acceptor would serve, without a certificate (uws-notes section 4).
    this.#acceptor.addChildAppDescriptor(next.app.getDescriptor());
    this.#acceptor.removeChildAppDescriptor(previous.app.getDescriptor());
    this.#serving = next;
    this.#retired.add(previous);
    this.#forgetIfUnused(previous);
  }

  /** An application that takes no new connections ends with its last one. */
  #forgetIfUnused(serving: ServingApp): void {
    if (serving.open > 0 || !this.#retired.delete(serving)) return;
    // Not in a callback of one of its connections.
    setImmediate(() => serving.app.close());
  }

  #checkTransfers(): void {
    const turn = this.#sweeps++;
    const group = this.#transfers[turn % SWEEP_GROUPS];
    if (group === undefined || group.size === 0) return;
    const nowMs = performance.now();
    const keepAlive = Math.floor(turn / SWEEP_GROUPS) % SWEEPS_PER_KEEP_ALIVE === 0;
    for (const client of group.values()) client.check(nowMs, { keepAlive });
  }

  #createServing(certificates: ListenerOptions["certificates"]): ServingApp {
    if (certificates === null) return this.#addRoutes(this.#uws.App());
    const [first, ...others] = certificates;
    const app = this.#uws.SSLApp({ cert_file_name: first.certPath, key_file_name: first.keyPath });
    const serving = this.#addRoutes(app);
    for (const certificate of others) {
      for (const name of certificate.names) {
        app.addServerName(name, {
          cert_file_name: certificate.certPath,
          key_file_name: certificate.keyPath,
        });
        // A server name has a router of its own, which is empty.
        route(app.domain(name), this.#onRequest);
      }
    }
    return serving;
  }

  #addRoutes(app: UwsApp): ServingApp {
    const { connections, limits } = this.#options.counters;
    const serving: ServingApp = { app, open: 0 };
    app.filter((res, change) => {
      if (change < 0) {
        connections.open--;
        serving.open--;
        this.#addresses.closed();
        this.#forgetIfUnused(serving);
        if (--this.#open === 0) this.#disconnectedWaiters.release();
        return;
      }
      connections.open++;
      connections.accepted++;
      serving.open++;
      this.#open++;
      this.#addresses.opened(res);
      // Beyond the limit of file descriptors the library would spin (uws-notes section 5).
      if (connections.open <= this.#options.maxConnections) return;
      limits.maxConnections++;
      res.close();
    });
    route(app, this.#onRequest);
    return serving;
  }

  #listen(): ListenSocket {
    const { host, port } = this.#options;
    // `listen` calls back before it returns.
    const bound: (ListenSocket | false)[] = [];
    const onListen = (socket: ListenSocket | false): void => void bound.push(socket);
    if (host === null) this.#acceptor.listen(port, LISTEN_SHARED, onListen);
    else this.#acceptor.listen(host, port, LISTEN_SHARED, onListen);
    const [socket = false] = bound;
    if (socket === false) throw cannotListen(toPlace(this.#options), "it was taken a moment ago");
    return socket;
  }

  /** Runs for every request; whatever it throws must not reach the library, which would end the process. */
  readonly #onRequest: OnRequest = (res, req, knownMethod) => {
    let client: UwsClientSide | null = null;
    try {
      const head = this.#reader.read(req, res, knownMethod);
      if ("reason" in head) {
        const method = knownMethod ?? req.getCaseSensitiveMethod();
        const query = req.getQuery() as string | undefined;
        const target = query === undefined ? req.getUrl() : `${req.getUrl()}?${query}`;
        this.#refuse(res, { ...head, method, target });
        return;
      }
      client = new UwsClientSide(res, head, { door: this, closes: this.#reader.closes });
      this.#inFlight++;
      if (this.#admits(client)) this.#options.onRequest(client);
    } catch (error) {
      this.#options.onError(error);
      if (client !== null) client.refuse(500);
      else res.close();
    }
  };

  /** Whether a request is within the limits that need no more than its head; if not, it is answered. */
  #admits(client: UwsClientSide): boolean {
    const { limits, perAddress, counters, onLimited } = this.#options;
    counters.requests++;
    // First: whatever becomes of it, it is counted until it is finished.
    const isAddressFine = perAddress === null || perAddress.started(client.head.clientAddress);
    const breach = findHeadBreach(this.#reader.size, limits);
    if (breach === null && isAddressFine) return true;
    const setting = breach?.setting ?? "maxRequestsPerAddress";
    counters.limit(setting, client);
    onLimited(client, setting);
    if (breach === null) client.refuse(429, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    else client.refuse(breach.status);
    return false;
  }

  /**
   * Answers a head whose end, and so the beginning of the next request, cannot be trusted, and closes the connection.
   *
   * Not in this callback: the library would parse what follows in the same read as a request of its own and hand it
   * to a handler, although the response says that the connection ends. While this one is pending it closes the
   * connection instead (uws-notes section 2, pipelining). A microtask would still come before the parser goes on.
   */
  #refuse(res: HttpResponse, refusal: HeadRefusal & { method: string; target: string }): void {
    let settled = false;
    const { counters } = this.#options;
    counters.requests++;
    counters.limits.malformed++;
    const body = `${refusal.reason}\n`;
    const refused: RefusedHead = {
      ...refusal,
      scheme: this.scheme,
      clientAddress: this.#addresses.of(res),
      id: this.nextId(),
      receivedMs: this.clock.now(),
      bodyBytes: body.length,
    };
    this.#inFlight++;
    res.onAborted(() => {
      if (settled) return;
      settled = true;
      this.#onRefusalFinished({ ...refused, status: 499, bodyBytes: 0 });
    });
    setImmediate(() => {
      if (settled) return;
      settled = true;
      res.cork(() => {
        res.writeStatus(`${refusal.status} ${STATUS_CODES[refusal.status]}`);
        res.writeHeader("content-type", "text/plain;charset=UTF-8");
        if (refusal.status === 405) res.writeHeader("allow", ALLOW);
        res.end(body, true);
      });
      this.#onRefusalFinished(refused);
    });
  }
}

/** @param knownMethod The method, where the router has told it; `null`: it is to be asked for. */
type OnRequest = (res: HttpResponse, req: HttpRequest, knownMethod: string | null) => void;

/** The library's router knows these by their exact letters: no need to make a string of them for each request. */
function route(app: UwsApp, onRequest: OnRequest): void {
  app.get("/*", (res, req) => onRequest(res, req, "GET"));
  app.post("/*", (res, req) => onRequest(res, req, "POST"));
  app.any("/*", (res, req) => onRequest(res, req, null));
}

function toPlace({ host, port, certificates }: ListenerOptions): Place {
  return { scheme: certificates === null ? "http" : "https", host, port };
}
