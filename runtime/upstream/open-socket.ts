import { connect, isIP, type OnReadOpts, type Socket } from "node:net";
import {
  checkServerIdentity,
  connect as connectTls,
  createSecureContext,
  type SecureContext,
} from "node:tls";
import type { UpstreamServerOptions } from "./server-options.ts";

/** The socket takes this many bytes before it asks the writer to wait. */
const WAITING_BYTES = 65_536;

/**
 * Opens sockets to one upstream server. All of them read into one buffer: the system fills it, and the reader is called
 * before anything else can happen.
 */
export class SocketOpener {
  readonly #options: Pick<UpstreamServerOptions, "address" | "tls">;
  readonly #buffer = Buffer.allocUnsafe(65_536);
  readonly #secureContext: SecureContext | null;
  /** Saves most of the handshake of the next connection (RFC 8446 section 2.2). */
  #session: Buffer | null = null;

  /** @throws Error When a certificate or key cannot be used. */
  constructor(options: Pick<UpstreamServerOptions, "address" | "tls">) {
    this.#options = options;
    this.#secureContext = options.tls === null ? null : toSecureContext(options.tls);
  }

  get isEncrypted(): boolean {
    return this.#secureContext !== null;
  }

  /** Opens a socket. `onRead` borrows the bytes for the call. */
  open(onRead: (bytes: Buffer, size: number) => void): Socket {
    const onread: OnReadOpts = {
      buffer: this.#buffer,
      callback: (size) => {
        onRead(this.#buffer, size);
        return true;
      },
    };
    const { address, tls } = this.#options;
    const place =
      address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
    const common = { ...place, onread, noDelay: true, writableHighWaterMark: WAITING_BYTES };
    if (tls === null || this.#secureContext === null) return connect(common);
    const socket = connectTls({
      ...common,
      secureContext: this.#secureContext,
      rejectUnauthorized: tls.verifies,
      ALPNProtocols: ["http/1.1"],
      // SNI has names only (RFC 6066 section 3).
      ...(isIP(tls.serverName) === 0 ? { servername: tls.serverName } : {}),
      ...(this.#session === null ? {} : { session: this.#session }),
      checkServerIdentity: (_host, certificate) => checkServerIdentity(tls.serverName, certificate),
    });
    socket.on("session", (session) => {
      this.#session = session;
    });
    return socket;
  }
}

function toSecureContext({
  ca,
  certificate,
}: NonNullable<UpstreamServerOptions["tls"]>): SecureContext {
  return createSecureContext({
    ...(ca === null ? {} : { ca }),
    ...(certificate === null ? {} : { cert: certificate.chain, key: certificate.key }),
  });
}
