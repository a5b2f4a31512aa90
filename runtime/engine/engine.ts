import type { Client, ExchangeId, RefusedHead } from "../http/client.ts";
import type { Trust } from "../http/forwarding.ts";
import type { HeadLimits, HeadSetting } from "../http/head-limits.ts";
import type { RequestsPerAddress } from "../http/requests-per-address.ts";
import type { TransferLimits, TransferSetting } from "../http/transfer-limits.ts";
import type { Prepared } from "../lib/prepared.ts";
import type { SocketHandle } from "../lib/socket-handle.ts";
import type { TurnClock } from "../lib/turn-clock.ts";
import type { Counters } from "../observe/counters.ts";
import type { TlsSettings } from "../tls/tls-suites.ts";

/** Opens ports and hands over a `Client` for each request. */
export interface Engine {
  /** `both`: the ports have different ones. */
  readonly kind: "uws" | "node" | "both";
  /** The package with its version: `uws-pack 20.0.8`, or Node with its version. */
  readonly label: string;
  /** True when Edgicorn chose the package, false when the operator did. */
  readonly isUsual: boolean;
  /** It serves because no binary of uWebSockets.js loads. */
  readonly isInstead?: true;
  /**
   * Binds the port and accepts connections from then on.
   *
   * @throws RuntimeError `ERR_LISTEN` with the reason: the port is in use or needs a privilege, or the address is not
   *   one of this machine.
   */
  open(options: ListenerOptions): Promise<Listener>;
}

/** A bound port that accepts connections, with or without TLS. */
export interface Listener {
  readonly scheme: "http" | "https";
  /** True if the connections use TLS. */
  readonly secure: boolean;
  readonly port: number;
  /** The socket that listens, for a process that inherits it; `null`: that process binds the port itself. */
  readonly descriptor: number | null;
  /** The same socket in the form in which Node sends it to another process. */
  readonly handle: SocketHandle | null;
  /** Resolves when no request is in flight. Open connections may still send requests, even after `stopAccepting`. */
  idle(): Promise<void>;
  /** Resolves when no connection is open. After `stopAccepting` idle connections end within seconds. */
  disconnected(): Promise<void>;
  /** Accepts no new connections. Each open connection ends with its next response. */
  stopAccepting(): void;
  /**
   * Closes all connections at once. For requests in flight, this is the same as a client that leaves.
   *
   * @param options.graceIsOver The clients had the time of `drainGrace` to finish. Their access lines name this
   *   setting.
   * @returns The number of clients that were sending or reading a body.
   */
  close(options?: { graceIsOver?: boolean }): number;
  /** Applies these rules to connections and requests that begin from now on. */
  change(changes: ListenerChanges): void;
  /**
   * Loads other certificates. After `commit`, new connections get them; open connections keep theirs.
   *
   * @throws RuntimeError `ERR_CERTIFICATE` when the engine refuses the default certificate.
   */
  prepareCertificates(certificates: NonNullable<ServedCertificates>): Prepared;
}

/**
 * A certificate to serve: its files, and the host names that select it. The default certificate serves all other names.
 */
export interface ServedCertificate {
  certPath: string;
  keyPath: string;
  names: readonly string[];
  /** All names that it has, also those for which another certificate is served. */
  covers: readonly string[];
  /** Set for the first certificate only: it serves its own names, and clients that name no known host are refused. */
  onlyByName?: boolean;
}

/** The certificates of a listener, the default one first; `null`: plain HTTP. */
export type ServedCertificates = readonly [ServedCertificate, ...ServedCertificate[]] | null;

/** Timeouts of connections. */
export interface ConnectionTimeouts {
  /** Longest time for a head, and for a TLS handshake. */
  headTimeoutMs: number;
  /** Longest time without a request. */
  keepAliveTimeoutMs: number;
}

/** Options that can change while the listener is open. */
export type ListenerChanges = Pick<
  ListenerOptions,
  "maxConnections" | "limits" | "timeouts" | "countsBytes" | "trust"
>;

/** Settings of HTTP/2. */
export interface Http2Options {
  /** Most streams of a connection at a time. */
  maxConcurrentStreams: number;
}

export interface ListenerOptions {
  /** `null`: all addresses, IPv6 and IPv4. */
  host: string | null;
  /** 0: any free port. */
  port: number;
  /**
   * The process that this one replaces still listens on the port. The engine then does not check that the port is free.
   */
  isShared?: boolean;
  /** A socket that listens on the port, inherited from that process. An engine that cannot use it binds the port. */
  descriptor?: number | undefined;
  /** Certificates, the default one first; `null`: plain HTTP. */
  certificates: ServedCertificates;
  /** TLS settings for all certificates. */
  tls: TlsSettings;
  /**
   * Most open connections of all listeners that share `counters`. The engine closes further ones as soon as it accepts
   * them.
   */
  maxConnections: number;
  /**
   * Speaks HTTP/2, too: with TLS to clients that ask for it by ALPN, without TLS to those that begin with it (RFC 9113
   * section 3.3). Absent or `null`: only HTTP/1. The engine `uws` has no HTTP/2.
   */
  http2?: Http2Options | null;
  /** WebSockets may compress their messages, where a responder asks for it. Absent: they do not. */
  compressesWebSockets?: boolean;
  /** Counters that several listeners may share: the listener counts connections, heads, and bytes of request bodies. */
  counters: Counters;
  /** Bounds the requests in flight of one client address. */
  perAddress: RequestsPerAddress;
  clock: TurnClock;
  /** Returns an id that is unique among the requests of all listeners. */
  nextId: () => ExchangeId;
  limits: TransferLimits & HeadLimits;
  /** uWebSockets.js has its own, which cannot change. */
  timeouts: ConnectionTimeouts;
  /** False: `onFinished` gets 0 as the size of small bodies. */
  countsBytes?: boolean;
  /**
   * A request's head is complete. The callee must answer the client.
   *
   * @param certificate The certificate that the connection was opened with; `null`: it is plain, or the
   *   certificate is unknown (a resumed session without a name) or no longer served.
   * @param ownOrigin The origin that the client itself names; a trusted proxy may name another one in the head.
   */
  onRequest: (client: Client, certificate: ServedCertificate | null, ownOrigin: string) => void;
  /**
   * A request ended: its response is complete, its client left (status 499), or the server broke it off (502). Called
   * once for each request that had a `Client`, also for those refused by a limit.
   */
  onFinished: (client: Client, status: number, bodyBytes: number) => void;
  /** The engine cut off a slow client because of this setting; `value` is in the setting's unit. */
  onCut: (client: Client, setting: TransferSetting, value: number) => void;
  /** The engine refused a request because of this setting, and answered it. `onRequest` is not called for it. */
  onLimited: (client: Client, setting: HeadSetting | "maxRequestsPerAddress") => void;
  /** The engine closed a new connection because `maxConnections` were open. */
  onConnectionRefused: () => void;
  /**
   * The engine refused an invalid head and answered it, or the client left first. Such a request has no `Client` and no
   * other callback.
   */
  onHeadRefused: (refused: RefusedHead) => void;
  /** The proxies whose forwarding fields count; absent or `null`: none. */
  trust?: Trust | null;
  /** The engine left out a forwarding field, because its sender is no trusted proxy. */
  onForwardingDropped?: (field: string, peer: string) => void;
  /** A request has a field name, in lower case, that the engine has not seen before or no longer remembers. */
  onNewField?: (name: string) => void;
  /**
   * A bug in Edgicorn: the engine answered the request with 500, or cut off its client. Or the kernel could not accept a
   * connection.
   */
  onError: (error: unknown) => void;
}
