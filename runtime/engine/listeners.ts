import { closeSync } from "node:fs";
import type {
  Engine,
  Http2Options,
  Listener,
  ListenerChanges,
  ListenerOptions,
  ServedCertificates,
} from "./engine.ts";
import { type Place, probePort } from "./probe-port.ts";
import type { Prepared } from "../lib/prepared.ts";

/** The address and the ports of a server. */
export interface ListenPlaces {
  /** `null`: all addresses, IPv6 and IPv4. */
  host: string | null;
  /** 0: any free port; `null`: not at all. */
  httpPort: number | null;
  httpsPort: number | null;
}

/** A port on which the process that this one replaces listens. */
interface InheritedPort {
  scheme: "http" | "https";
  port: number;
  /** The socket that listens there, if this process has inherited it. */
  descriptor?: number | undefined;
}

/** Options of all listeners. */
export interface ListenersOptions extends Omit<
  ListenerOptions,
  keyof Place | "isShared" | "descriptor" | "http2"
> {
  /** The options of HTTP/2 for each scheme; absent: only HTTP/1. */
  http2?: Record<Listener["scheme"], Http2Options | null>;
}

/** The listeners of a server: one for HTTP, one for HTTPS, or one of the two. They open, change and close together. */
export class Listeners {
  readonly #all: Listener[] = [];
  readonly #inherited: readonly InheritedPort[];

  /**
   * @param inherited Ports that may be shared with the process that this one replaces. If the new port is 0, the
   *   inherited port of the same scheme is taken.
   */
  constructor(inherited: readonly InheritedPort[] = []) {
    this.#inherited = inherited;
  }

  get all(): readonly Listener[] {
    return this.#all;
  }

  /** The port of each scheme; `null`: no listener has it. */
  get ports(): { http: number | null; https: number | null } {
    const portOf = (scheme: Listener["scheme"]): number | null =>
      this.#all.find((listener) => listener.scheme === scheme)?.port ?? null;
    return { http: portOf("http"), https: portOf("https") };
  }

  /**
   * Checks that the ports are free. Skips inherited ports and port 0.
   *
   * @throws RuntimeError `ERR_LISTEN` for a port that cannot be opened.
   */
  async probe(places: ListenPlaces): Promise<void> {
    for (const { isShared, ...place } of this.#toPlaces(places)) {
      if (place.port !== 0 && !isShared) await probePort(place);
    }
  }

  /**
   * Accepts connections at all of these places. Closes inherited sockets that no listener took: they would hold
   * connections that this process never accepts.
   *
   * @throws RuntimeError `ERR_LISTEN`, like `Engine.open`. The caller must close the listeners that this method opened
   *   before.
   */
  async open(engine: Engine, places: ListenPlaces, options: ListenersOptions): Promise<void> {
    for (const { scheme, ...place } of this.#toPlaces(places)) {
      const certificates = scheme === "https" ? options.certificates : null;
      if (scheme === "https" && certificates === null) continue;
      const http2 = options.http2?.[scheme] ?? null;
      this.#all.push(await engine.open({ ...options, ...place, certificates, http2 }));
    }
    this.#closeUnused();
  }

  /** Applies these rules to connections and requests that begin from now on. */
  change(changes: ListenerChanges): void {
    for (const listener of this.#all) listener.change(changes);
  }

  /**
   * Loads other certificates for all TLS listeners. After `commit`, new connections get them; open connections keep
   * theirs.
   *
   * @throws RuntimeError `ERR_CERTIFICATE`, like `Listener.prepareCertificates`. In this case no listener changes.
   */
  async prepareCertificates(certificates: NonNullable<ServedCertificates>): Promise<Prepared> {
    const prepared: Prepared[] = [];
    const discard = async (): Promise<void> => {
      await Promise.all(prepared.map((next) => next.discard()));
    };
    try {
      for (const listener of this.#all) {
        if (listener.secure) prepared.push(listener.prepareCertificates(certificates));
      }
    } catch (error) {
      await discard();
      throw error;
    }
    const commit = (): void => {
      for (const next of prepared) next.commit();
    };
    return { commit, discard };
  }

  /** Accepts no new connections. Each open connection ends with its next response. */
  stopAccepting(): void {
    for (const listener of this.#all) listener.stopAccepting();
  }

  /** Resolves when no request is in flight. */
  async idle(): Promise<void> {
    await Promise.all(this.#all.map((listener) => listener.idle()));
  }

  /** Resolves when no connection is open. */
  async disconnected(): Promise<void> {
    await Promise.all(this.#all.map((listener) => listener.disconnected()));
  }

  /** Closes all listeners, like `Listener.close`. Returns the number of clients that were sending or reading a body. */
  close(options?: Parameters<Listener["close"]>[0]): number {
    let clients = 0;
    for (const listener of this.#all) clients += listener.close(options);
    return clients;
  }

  #closeUnused(): void {
    const taken = new Set(this.#all.map((listener) => listener.descriptor));
    for (const { descriptor } of this.#inherited) {
      if (descriptor !== undefined && !taken.has(descriptor)) closeSync(descriptor);
    }
  }

  #toPlaces({ host, httpPort, httpsPort }: ListenPlaces): (Place & {
    isShared: boolean;
    descriptor: number | undefined;
  })[] {
    const wanted = [
      { scheme: "http", port: httpPort },
      { scheme: "https", port: httpsPort },
    ] as const;
    return wanted.flatMap(({ scheme, port }) => {
      if (port === null) return [];
      const found = this.#inherited.find(
        (inherited) => inherited.scheme === scheme && (port === 0 || inherited.port === port),
      );
      const isShared = found !== undefined;
      return [{ scheme, host, port: found?.port ?? port, isShared, descriptor: found?.descriptor }];
    });
  }
}
