import type {
  Engine,
  Listener,
  ListenerChanges,
  ListenerOptions,
  ServedCertificates,
} from "./engine.ts";
import { type Place, probePort } from "./probe-port.ts";
import type { Prepared } from "../lib/prepared.ts";

/** Where to listen. */
export interface ListenPlaces {
  /** `null`: all addresses, IPv6 and IPv4. */
  host: string | null;
  /** 0: any free port; `null`: not at all. */
  httpPort: number | null;
  httpsPort: number | null;
}

/** A port that the server whose place this one takes listens on. */
interface InheritedPort {
  scheme: "http" | "https";
  port: number;
}

/** Options of all listeners. */
export type ListenersOptions = Omit<ListenerOptions, keyof Place | "isShared">;

/**
 * All places where a server listens: one for plain HTTP, one for TLS, or either. They open, change and end together.
 */
export class Listeners {
  readonly #all: Listener[] = [];
  readonly #inherited: readonly InheritedPort[];

  /** @param inherited These may be shared, and one stands for "any free". */
  constructor(inherited: readonly InheritedPort[] = []) {
    this.#inherited = inherited;
  }

  get all(): readonly Listener[] {
    return this.#all;
  }

  /** @throws RuntimeError `ERR_LISTEN` for a port that cannot be had. */
  async probe(places: ListenPlaces): Promise<void> {
    for (const { isShared, ...place } of this.#toPlaces(places)) {
      if (place.port !== 0 && !isShared) await probePort(place);
    }
  }

  /**
   * Accepts connections at all of these places.
   *
   * @throws RuntimeError `ERR_LISTEN`, like `Engine.open`. The caller must close the listeners that were opened
   *   before.
   */
  async open(engine: Engine, places: ListenPlaces, options: ListenersOptions): Promise<void> {
    for (const { scheme, ...place } of this.#toPlaces(places)) {
      const certificates = scheme === "https" ? options.certificates : null;
      if (scheme === "https" && certificates === null) continue;
      this.#all.push(await engine.open({ ...options, ...place, certificates }));
    }
  }

  /** Applies other rules to requests from now on. */
  change(changes: ListenerChanges): void {
    for (const listener of this.#all) listener.change(changes);
  }

  /**
   * Makes other certificates ready wherever there is TLS. New connections get them; open connections keep theirs.
   *
   * @throws RuntimeError `ERR_CERTIFICATE`, as `Listener.prepareCertificates`; none is ready then.
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

  /** Accept no more; connections that live end with their next response. */
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

  /** As `Listener.close`. Returns how many clients were sending or reading. */
  close(options?: Parameters<Listener["close"]>[0]): number {
    let clients = 0;
    for (const listener of this.#all) clients += listener.close(options);
    return clients;
  }

  #toPlaces({ host, httpPort, httpsPort }: ListenPlaces): (Place & { isShared: boolean })[] {
    const wanted = [
      { scheme: "http", port: httpPort },
      { scheme: "https", port: httpsPort },
    ] as const;
    return wanted.flatMap(({ scheme, port }) => {
      if (port === null) return [];
      const found = this.#inherited.find(
        (inherited) => inherited.scheme === scheme && (port === 0 || inherited.port === port),
      );
      return [{ scheme, host, port: found?.port ?? port, isShared: found !== undefined }];
    });
  }
}
