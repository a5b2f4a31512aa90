import { RuntimeError } from "../../lib/errors.ts";
import type { ServedCertificates } from "../engine.ts";
import { cannotListen, type Place } from "../probe-port.ts";
import { type TlsSettings, toSuites } from "../../tls/tls-suites.ts";
import type { Prepared } from "../../lib/prepared.ts";
import type { HttpRequest, HttpResponse, ListenSocket, Uws, UwsApp } from "./uws.ts";

/**
 * The library's default, SO_REUSEPORT: a server of the same user can listen on the port beside this one, and so take its
 * place while it serves. That nobody else does by mistake is up to `probePort`.
 */
const LISTEN_SHARED = 0;

/** @param knownMethod The method, where the router has told it; `null`: it is to be asked for. */
export type OnRequest = (res: HttpResponse, req: HttpRequest, knownMethod: string | null) => void;

export interface AcceptorOptions {
  host: string | null;
  port: number;
  certificates: ServedCertificates;
  tls: TlsSettings;
  onRequest: OnRequest;
  onOpened: (res: HttpResponse) => void;
  onClosed: () => void;
}

/** An application that serves requests, and how many connections it has. */
interface ServingApp {
  readonly app: UwsApp;
  open: number;
}

/**
 * The library's applications behind one bound port.
 *
 * With TLS, the socket belongs to an acceptor that serves nothing: the application with the certificates is its child,
 * so that another one with newer certificates can take its place while connections live (docs/uwebsockets.md section 5).
 */
export class Acceptor {
  readonly port: number;
  readonly #uws: Uws;
  readonly #options: AcceptorOptions;
  /** What listens. With TLS it serves nothing itself. */
  readonly #app: UwsApp;
  #serving: ServingApp;
  /** Those with earlier certificates that still have connections. */
  readonly #retired = new Set<ServingApp>();
  readonly #socket: ListenSocket;

  readonly #suites: string;

  /**
   * @throws RuntimeError `ERR_LISTEN`; `ERR_CONFIG` for suites that the library does not take; what the library throws for a
   *   certificate that it does not take.
   */
  constructor(uws: Uws, options: AcceptorOptions) {
    this.#uws = uws;
    this.#options = options;
    const { certificates, tls } = options;
    this.#suites = toSuites(tls);
    if (certificates !== null) checkSuites(uws, tls.tlsCiphers, this.#suites);
    // Before anything is bound: it throws for a certificate that the library does not take.
    this.#serving = this.#createServing(certificates);
    this.#app =
      certificates === null ? this.#serving.app : uws.SSLApp({ ssl_ciphers: this.#suites });
    if (certificates !== null) this.#app.addChildAppDescriptor(this.#serving.app.getDescriptor());
    this.#socket = this.#listen();
    this.port = uws.us_socket_local_port(this.#socket);
  }

  /** Accepts no more. To be called once. */
  stop(): void {
    this.#uws.us_listen_socket_close(this.#socket);
  }

  /** Closes all connections. */
  close(): void {
    for (const { app } of [...this.#retired, this.#serving]) app.close();
    this.#retired.clear();
    if (this.#app !== this.#serving.app) this.#app.close();
  }

  /**
   * Makes other certificates ready. To be called with ones that were checked, where TLS is served.
   *
   * @throws RuntimeError `ERR_CERTIFICATE` when the library does not take the default one after all. It says nothing of
   *   the others.
   */
  prepareCertificates(certificates: NonNullable<ServedCertificates>): Prepared {
    if (this.#options.certificates === null) {
      throw new TypeError("a plain listener has no certificates");
    }
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
      discard: () => {
        next.app.close();
        return Promise.resolve();
      },
    };
  }

  #serve(next: ServingApp): void {
    const previous = this.#serving;
    // In this order: without a child the acceptor would serve, without a certificate (docs/uwebsockets.md section 5).
    this.#app.addChildAppDescriptor(next.app.getDescriptor());
    this.#app.removeChildAppDescriptor(previous.app.getDescriptor());
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

  #createServing(certificates: ServedCertificates): ServingApp {
    if (certificates === null) return this.#addRoutes(this.#uws.App());
    const [first, ...others] = certificates;
    const suites = { ssl_ciphers: this.#suites };
    const app = this.#uws.SSLApp({
      cert_file_name: first.certPath,
      key_file_name: first.keyPath,
      ...suites,
    });
    const serving = this.#addRoutes(app);
    for (const certificate of others) {
      for (const name of certificate.names) {
        app.addServerName(name, {
          cert_file_name: certificate.certPath,
          key_file_name: certificate.keyPath,
          ...suites,
        });
        // A server name has a router of its own, which is empty. The library prints two lines to standard output here. Node
        // cannot duplicate a descriptor, so there is no safe way to put another one in the place of 1 and back.
        route(app.domain(name), this.#options.onRequest);
      }
    }
    return serving;
  }

  #addRoutes(app: UwsApp): ServingApp {
    const { onRequest, onOpened, onClosed } = this.#options;
    const serving: ServingApp = { app, open: 0 };
    app.filter((res, change) => {
      if (change > 0) {
        serving.open++;
        onOpened(res);
        return;
      }
      serving.open--;
      this.#forgetIfUnused(serving);
      onClosed();
    });
    route(app, onRequest);
    return serving;
  }

  #listen(): ListenSocket {
    const { host, port } = this.#options;
    // `listen` calls back before it returns.
    const bound: (ListenSocket | false)[] = [];
    const onListen = (socket: ListenSocket | false): void => void bound.push(socket);
    if (host === null) this.#app.listen(port, LISTEN_SHARED, onListen);
    else this.#app.listen(host, port, LISTEN_SHARED, onListen);
    const [socket = false] = bound;
    if (socket === false) throw cannotListen(toPlace(this.#options), "it was taken a moment ago");
    return socket;
  }
}

/** Where a listener with these options is bound. */
export function toPlace({
  host,
  port,
  certificates,
}: Pick<AcceptorOptions, "host" | "port" | "certificates">): Place {
  return { scheme: certificates === null ? "http" : "https", host, port };
}

/** OpenSSL knows suites that the library does not, and the library only says that something is wrong. */
function checkSuites(uws: Uws, tlsCiphers: string, suites: string): void {
  try {
    uws.SSLApp({ ssl_ciphers: suites }).close();
  } catch (cause) {
    const message =
      `Cannot use tlsCiphers: found "${tlsCiphers}", of which uWebSockets.js knows no suite, ` +
      "expected suites of TLS 1.2 with ECDHE (BoringSSL has none with DHE)";
    throw new RuntimeError("ERR_CONFIG", message, { cause });
  }
}

/** The library's router knows these by their exact letters: no need to make a string of them for each request. */
function route(app: UwsApp, onRequest: OnRequest): void {
  app.get("/*", (res, req) => onRequest(res, req, "GET"));
  app.post("/*", (res, req) => onRequest(res, req, "POST"));
  app.any("/*", (res, req) => onRequest(res, req, null));
}
