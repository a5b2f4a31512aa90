import { RuntimeError } from "../../lib/errors.ts";
import type { ServedCertificate, ServedCertificates } from "../engine.ts";
import { cannotListen, type Place } from "../probe-port.ts";
import { type TlsSettings, toSuites } from "../../tls/tls-suites.ts";
import type { Prepared } from "../../lib/prepared.ts";
import { LARGEST_MESSAGE_BYTES } from "../../http/web-socket.ts";
import type {
  HttpRequest,
  HttpResponse,
  ListenSocket,
  SocketBehavior,
  Uws,
  UwsApp,
} from "./uws.ts";
import type { ClientWebSocket } from "../client-web-socket.ts";
import { toEnd } from "./library-end.ts";
import { INFLATED_BYTES, type Upgrade, Upgrades } from "./upgrades.ts";

/**
 * The library's default, SO_REUSEPORT: another process of the same user can listen on the port, too, and so replace
 * this one while it serves. `probePort` refuses a port that another server uses by mistake.
 */
const LISTEN_SHARED = 0;

/**
 * Largest message of a client that the library hands over: it cuts the connection for a larger one. Messages between
 * the server's own limit and this one are answered with the close code 1009.
 */
const HANDED_OVER_BYTES = 2 * LARGEST_MESSAGE_BYTES;

/**
 * Seconds after which the library cuts a WebSocket from which it received no byte, its largest value. The server's own
 * limits come first. This one ends connections that the library closes by itself.
 */
const IDLE_SECONDS = 960;

/**
 * @param knownMethod The method, if the router matched it; `null`: the callback must ask `req` for it.
 * @param certificate The certificate of the connection; `null`: it is plain.
 * @param upgrade The library's parts of an upgrade, if the request has a `Sec-WebSocket-Key`; otherwise `null`.
 */
export type OnRequest = (
  res: HttpResponse,
  req: HttpRequest,
  knownMethod: string | null,
  certificate: ServedCertificate | null,
  upgrade: Upgrade | null,
) => void;

/** The data of a WebSocket of the library. */
export interface SocketData {
  readonly side: ClientWebSocket;
}

export interface AcceptorOptions {
  host: string | null;
  port: number;
  certificates: ServedCertificates;
  tls: TlsSettings;
  /** WebSockets may compress their messages. */
  compresses: boolean;
  onRequest: OnRequest;
  onOpened: (res: HttpResponse) => void;
  onClosed: () => void;
}

/** An application that serves requests, with the number of its open connections. */
interface ServingApp {
  readonly app: UwsApp;
  readonly upgrades: Upgrades;
  open: number;
}

/**
 * The library's applications behind one bound port.
 *
 * With TLS, the socket belongs to an acceptor application that serves nothing. The application with the certificates is
 * its child. An application with newer certificates can then replace the child while connections stay open
 * (docs/uwebsockets.md section 5).
 */
export class Acceptor {
  readonly port: number;
  readonly #uws: Uws;
  readonly #options: AcceptorOptions;
  /** The application that listens. With TLS it serves nothing itself. */
  readonly #app: UwsApp;
  #serving: ServingApp;
  /** Applications with earlier certificates that still have open connections. */
  readonly #retired = new Set<ServingApp>();
  readonly #socket: ListenSocket;

  readonly #suites: string;

  /**
   * Loads the certificates, binds the port and accepts connections.
   *
   * @throws RuntimeError `ERR_LISTEN`; `ERR_CONFIG` for suites that the library does not know.
   * @throws Error The library's own, for a default certificate that it refuses.
   */
  constructor(uws: Uws, options: AcceptorOptions) {
    this.#uws = uws;
    this.#options = options;
    const { certificates, tls } = options;
    this.#suites = toSuites(tls);
    if (certificates !== null) checkSuites(uws, tls.tlsCiphers, this.#suites);
    // Comes before the port is bound, because it throws for a certificate that the library refuses.
    this.#serving = this.#createServing(certificates);
    this.#app =
      certificates === null ? this.#serving.app : uws.SSLApp({ ssl_ciphers: this.#suites });
    if (certificates !== null) this.#app.addChildAppDescriptor(this.#serving.app.getDescriptor());
    this.#socket = this.#listen();
    this.port = uws.us_socket_local_port(this.#socket);
  }

  /** Accepts no new connections. Must be called at most once. */
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
   * Loads other certificates. The caller must have checked them, and the listener must use TLS.
   *
   * @throws RuntimeError `ERR_CERTIFICATE` when the library refuses the default certificate. The library does not
   *   report errors in the other ones.
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
      const message = `Cannot use ${certPath} with ${keyPath}: uWebSockets.js refuses them`;
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
    // The order matters: without a child the acceptor itself would serve, without a certificate (docs/uwebsockets.md
    // section 5).
    this.#app.addChildAppDescriptor(next.app.getDescriptor());
    this.#app.removeChildAppDescriptor(previous.app.getDescriptor());
    this.#serving = next;
    this.#retired.add(previous);
    this.#forgetIfUnused(previous);
  }

  /** Closes a retired application when its last connection has closed. */
  #forgetIfUnused(serving: ServingApp): void {
    if (serving.open > 0 || !this.#retired.delete(serving)) return;
    // Deferred, because this may run in a callback of one of its connections.
    setImmediate(() => serving.app.close());
  }

  #createServing(certificates: ServedCertificates): ServingApp {
    if (certificates === null) return this.#addRoutes(this.#uws.App(), null);
    const [first, ...others] = certificates;
    const suites = { ssl_ciphers: this.#suites };
    const { onlyByName = false } = first;
    const pems = { cert_file_name: first.certPath, key_file_name: first.keyPath };
    if (onlyByName) this.#check(pems);
    // Without a certificate the library refuses every handshake whose name it does not know.
    const app = this.#uws.SSLApp({ ...(onlyByName ? {} : pems), ...suites });
    const serving = this.#addRoutes(app, first);
    for (const certificate of onlyByName ? certificates : others) {
      for (const name of certificate.names) {
        app.addServerName(name, {
          cert_file_name: certificate.certPath,
          key_file_name: certificate.keyPath,
          ...suites,
        });
        // Each server name has its own, empty router. `domain` prints two lines to standard output. They cannot be
        // suppressed: Node cannot duplicate a file descriptor, so descriptor 1 cannot be replaced and restored.
        this.#route(app.domain(name), serving, certificate);
      }
    }
    return serving;
  }

  /** Throws the library's own error for a certificate that it refuses: it reports none for those of names. */
  #check(pems: { cert_file_name: string; key_file_name: string }): void {
    this.#uws.SSLApp({ ...pems, ssl_ciphers: this.#suites }).close();
  }

  #addRoutes(app: UwsApp, certificate: ServedCertificate | null): ServingApp {
    const { onOpened } = this.#options;
    const serving: ServingApp = { app, upgrades: new Upgrades(), open: 0 };
    app.filter((res, change) => {
      if (change < 0) {
        this.#onClosed(serving);
        return;
      }
      serving.open++;
      onOpened(res);
    });
    this.#route(app, serving, certificate);
    return serving;
  }

  #onClosed(serving: ServingApp): void {
    serving.open--;
    this.#forgetIfUnused(serving);
    this.#options.onClosed();
  }

  /**
   * Registers the methods that the library's router can match. For these, no string has to be made from the request
   * line.
   */
  #route(app: UwsApp, serving: ServingApp, certificate: ServedCertificate | null): void {
    const { onRequest } = this.#options;
    if (this.#options.compresses) this.#routeInflating(app, serving);
    app.ws<SocketData>("/*", {
      ...this.#behavior(serving),
      maxPayloadLength: HANDED_OVER_BYTES,
      upgrade: (res, req, context) =>
        onRequest(res, req, "GET", certificate, serving.upgrades.of(context)),
    });
    app.get("/*", (res, req) => onRequest(res, req, "GET", certificate, null));
    app.post("/*", (res, req) => onRequest(res, req, "POST", certificate, null));
    app.any("/*", (res, req) => onRequest(res, req, null, certificate, null));
  }

  /**
   * Registers the contexts of WebSockets with compression. Their routes match all paths, because the library takes each
   * segment with a star at its start for a wildcard. They only note the context, and leave the request to `/*`.
   */
  #routeInflating(app: UwsApp, serving: ServingApp): void {
    for (const bytes of INFLATED_BYTES) {
      app.ws<SocketData>(`/*${bytes}`, {
        ...this.#behavior(serving),
        maxPayloadLength: bytes,
        // Both keep no window between messages, and share their memory with all WebSockets of the process.
        compression: this.#uws.SHARED_COMPRESSOR | this.#uws.SHARED_DECOMPRESSOR,
        upgrade: (_res, req, context) => {
          serving.upgrades.note(bytes, context);
          req.setYield(true);
        },
      });
    }
  }

  #behavior(serving: ServingApp): Omit<SocketBehavior<SocketData>, "maxPayloadLength" | "upgrade"> {
    return {
      maxBackpressure: 0,
      idleTimeout: IDLE_SECONDS,
      sendPingsAutomatically: false,
      resetIdleTimeoutOnSend: true,
      open: (socket) => socket.getUserData().side.opened(socket),
      message: (socket, bytes, isBinary) =>
        socket.getUserData().side.onMessage(new Uint8Array(bytes), isBinary),
      drain: (socket) => socket.getUserData().side.onDrain(),
      ping: (socket, bytes) => socket.getUserData().side.onPing(new Uint8Array(bytes)),
      pong: (socket, bytes) => socket.getUserData().side.onPong(new Uint8Array(bytes)),
      close: (socket, code, reason) => {
        // The library does not call the filter for a connection that has become a WebSocket.
        this.#onClosed(serving);
        socket.getUserData().side.onClosed(toEnd(code, Buffer.from(reason).toString()));
      },
    };
  }

  #listen(): ListenSocket {
    const { host, port } = this.#options;
    // `listen` calls back before it returns.
    const bound: (ListenSocket | false)[] = [];
    const onListen = (socket: ListenSocket | false): void => void bound.push(socket);
    if (host === null) this.#app.listen(port, LISTEN_SHARED, onListen);
    else this.#app.listen(host, port, LISTEN_SHARED, onListen);
    const [socket = false] = bound;
    if (socket === false)
      throw cannotListen(toPlace(this.#options), "another program took the port a moment ago");
    return socket;
  }
}

/** Returns the address and port to which a listener with these options is bound. */
export function toPlace({
  host,
  port,
  certificates,
}: Pick<AcceptorOptions, "host" | "port" | "certificates">): Place {
  return { scheme: certificates === null ? "http" : "https", host, port };
}

/**
 * Throws an error that names the setting. OpenSSL, which checks the setting first, knows suites that the library lacks,
 * and the library's own error gives no reason.
 */
function checkSuites(uws: Uws, tlsCiphers: string, suites: string): void {
  try {
    uws.SSLApp({ ssl_ciphers: suites }).close();
  } catch (cause) {
    const message =
      `Cannot use tlsCiphers: found "${tlsCiphers}", which names no suite of uWebSockets.js, ` +
      "expected suites of TLS 1.2 with ECDHE (BoringSSL has none with DHE)";
    throw new RuntimeError("ERR_CONFIG", message, { cause });
  }
}
