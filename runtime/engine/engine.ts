import type { Client, ExchangeId, RefusedHead } from "../http/client.ts";
import type { HeadLimits, HeadSetting } from "../http/head-limits.ts";
import type { RequestsPerAddress } from "../http/requests-per-address.ts";
import type { TransferLimits, TransferSetting } from "../http/transfer-limits.ts";
import type { Prepared } from "../lib/prepared.ts";
import type { TurnClock } from "../lib/turn-clock.ts";
import type { Counters } from "../observe/counters.ts";
import type { TlsSettings } from "../tls/tls-suites.ts";

/** Opens ports, and makes a client of each request. */
export interface Engine {
  /** The package with its version: `uws-pack 20.0.8`. */
  readonly label: string;
  /** Edgicorn chose the package, and no operator did. */
  readonly isUsual: boolean;
  /**
   * Binds the port and accepts from then on.
   *
   * @throws RuntimeError `ERR_LISTEN` that says why: the port is in use, needs a privilege, the address is not ours.
   */
  open(options: ListenerOptions): Promise<Listener>;
}

/** A bound port that accepts connections, with or without TLS. */
export interface Listener {
  readonly scheme: "http" | "https";
  /** Its connections use TLS. */
  readonly secure: boolean;
  readonly port: number;
  /** Resolves when no request is in flight. After `stopAccepting` none follows. */
  idle(): Promise<void>;
  /** Resolves when no connection is open. After `stopAccepting` idle connections end within seconds. */
  disconnected(): Promise<void>;
  /** Accepts no more. Open connections end with their next response. */
  stopAccepting(): void;
  /**
   * Closes all connections at once. Requests in flight see their client leave.
   *
   * @param options.graceIsOver The clients have had the time that `drainGrace` gives, and their access lines say so.
   * @returns The number of clients that were sending or reading.
   */
  close(options?: { graceIsOver?: boolean }): number;
  /** Applies other rules to requests from now on. */
  change(changes: ListenerChanges): void;
  /**
   * Makes other certificates ready. New connections get them; open connections keep theirs.
   *
   * @throws RuntimeError `ERR_CERTIFICATE` when the engine does not take the default certificate.
   */
  prepareCertificates(certificates: NonNullable<ServedCertificates>): Prepared;
}

/** A certificate to serve: its files, and the names it is shown for; the default one is shown for all others. */
export interface ServedCertificate {
  certPath: string;
  keyPath: string;
  names: readonly string[];
}

/** The first is the default; `null` for plain HTTP. */
export type ServedCertificates = readonly [ServedCertificate, ...ServedCertificate[]] | null;

/** Options that can change while the listener is open. */
export type ListenerChanges = Pick<ListenerOptions, "maxConnections" | "limits" | "countsBytes">;

export interface ListenerOptions {
  /** `null`: all addresses, IPv6 and IPv4. */
  host: string | null;
  /** 0: any free port. */
  port: number;
  /** A server whose place this one takes listens on it still; it is not looked whether the port is free then. */
  isShared?: boolean;
  /** The first is the default; `null` for plain HTTP. */
  certificates: ServedCertificates;
  /** Of all certificates. */
  tls: TlsSettings;
  /** Connections beyond this are closed as they come. */
  maxConnections: number;
  /** Counts for all listeners that share it, and so they share the maximum. */
  counters: Counters;
  /** Bounds the requests in flight of one client address. */
  perAddress: RequestsPerAddress;
  clock: TurnClock;
  /** Names each request, among those of all listeners. */
  nextId: () => ExchangeId;
  limits: TransferLimits & HeadLimits;
  /** False: `onFinished` gets 0 as the size of small bodies. */
  countsBytes?: boolean;
  /** A request's head is complete. The callee must answer the client. */
  onRequest: (client: Client) => void;
  /** Its response is complete, its client left (status 499), or it was broken off (502). Once per request, also for refused ones. */
  onFinished: (client: Client, status: number, bodyBytes: number) => void;
  /** A client was cut off for being slow, by this setting; `value` in its unit. */
  onCut: (client: Client, setting: TransferSetting, value: number) => void;
  /** A request was refused for what this setting says. It is answered, and is none for `onRequest`. */
  onLimited: (client: Client, setting: HeadSetting | "maxRequestsPerAddress") => void;
  /** A connection was closed as it came: too many are open. */
  onConnectionRefused: () => void;
  /** A head was refused and is answered, or its client left. Such a request is no exchange, and has no other callback. */
  onHeadRefused: (refused: RefusedHead) => void;
  /** A request has a field of a name, in lower case, that was not seen before, or not lately. */
  onNewField?: (name: string) => void;
  /** A bug: the request was answered 500, or its client was cut off. */
  onError: (error: unknown) => void;
}
