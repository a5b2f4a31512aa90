import type { UpstreamServer, UpstreamTimeouts } from "./exchange.ts";

/** Where an upstream server listens. `host` is a name or an IP address, without brackets. */
export type UpstreamAddress =
  | { kind: "tcp"; host: string; port: number }
  | { kind: "unix"; path: string };

/** How the connections to an upstream server are encrypted. */
export interface UpstreamTls {
  /** Name that the client asks for (SNI) and that the certificate must have; an IP address: checked, but not sent. */
  serverName: string;
  /** PEM text of the trusted authorities; `null`: those of Node. */
  ca: string | null;
  /** PEM text of the client's own certificate chain and key; `null`: none. */
  certificate: { chain: string; key: string } | null;
  /** False: any certificate is accepted. */
  verifies: boolean;
}

/** Bounds for one upstream server. */
export interface UpstreamLimits {
  /** Largest head of a response, with all its lines. */
  headBytes: number;
  /** Most fields of a response. */
  fields: number;
  /** Most connections that wait for a request. */
  idleConnections: number;
  /** Longest time for which a connection waits for a request. `Keep-Alive: timeout` of the upstream shortens it. */
  keepAliveMs: number;
}

export interface UpstreamServerOptions {
  /** The address as config names it. */
  name: string;
  address: UpstreamAddress;
  /** `null`: the connections are not encrypted. */
  tls: UpstreamTls | null;
  limits: UpstreamLimits;
  /** For requests that bring no timeouts of their own. */
  timeouts: UpstreamTimeouts;
  /** Called when `inFlight` has become smaller, also by `abort`; `null`: the caller does not ask. */
  onSettled: (() => void) | null;
}

/** Opens an upstream server: connects with the first request. The caller closes it. */
export type OpenUpstreamServer = (options: UpstreamServerOptions) => UpstreamServer;
