import type { Client, ExchangeId, RefusedHead } from "../http/client.ts";
import { findHeadBreach, type HeadSize } from "../http/head-limits.ts";
import { Waiters } from "../lib/waiters.ts";
import type { ListenerOptions } from "./engine.ts";

/** `Retry-After` for a client with too many requests in flight: one of them may be answered at any moment. */
const RETRY_AFTER_SECONDS = 1;

/** A client that a listener counts. */
export interface CountedClient extends Client {
  /** The listener counted the request for its address (`RequestsPerAddress`). */
  countsForAddress: boolean;
}

/** Returns the present options of a listener. */
type Options = () => ListenerOptions;

/**
 * Counts the connections and the requests of one listener, and applies the limits that hold before a stage sees a
 * request. All engines share these rules.
 */
export class ListenerCounts {
  readonly #options: Options;
  #open = 0;
  #inFlight = 0;
  readonly #idleWaiters = new Waiters();
  readonly #disconnectedWaiters = new Waiters();

  constructor(options: Options) {
    this.#options = options;
  }

  /** Counts a connection. Returns false if there are too many: the caller must close it, which `closed` counts. */
  opened(): boolean {
    const { counters, maxConnections, onConnectionRefused } = this.#options();
    const { connections, limits } = counters;
    connections.open++;
    connections.accepted++;
    const scheme = this.#ofScheme();
    scheme.open++;
    scheme.accepted++;
    this.#open++;
    if (connections.open <= maxConnections) return true;
    limits.maxConnections++;
    onConnectionRefused();
    return false;
  }

  closed(): void {
    this.#options().counters.connections.open--;
    this.#ofScheme().open--;
    if (--this.#open === 0) this.#disconnectedWaiters.release();
  }

  /**
   * Counts a request, and checks the limits that concern its head and its address. If it breaks one, answers it.
   *
   * @returns Whether the request may go on.
   */
  begin(client: CountedClient, size: HeadSize): boolean {
    const { limits, perAddress, counters, onLimited } = this.#options();
    this.#inFlight++;
    counters.requests++;
    // Comes first, because `finished` counts every request as finished, also a refused one.
    client.countsForAddress = perAddress.most !== null;
    const isAddressFine = !client.countsForAddress || perAddress.started(client.head.clientAddress);
    const breach = findHeadBreach(size, limits);
    if (breach === null && isAddressFine) return true;
    const setting = breach?.setting ?? "maxRequestsPerAddress";
    counters.limit(setting, client);
    onLimited(client, setting);
    if (breach === null) client.refuse(429, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    else client.refuse(breach.status);
    return false;
  }

  /** Counts bytes of a request body. */
  received(bytes: number): void {
    this.#options().counters.receivedBodyBytes += bytes;
  }

  finished(client: CountedClient, status: number, bodyBytes: number): void {
    const { perAddress, onFinished } = this.#options();
    this.#inFlight--;
    if (client.countsForAddress) perAddress.finished(client.head.clientAddress);
    onFinished(client, status, bodyBytes);
    if (this.#inFlight === 0) this.#idleWaiters.release();
  }

  /**
   * Counts a request with an invalid head, which has no `Client`.
   *
   * @returns A function that must be called once: the head was answered, or its client left first (status 499).
   */
  beginRefusal(
    head: Omit<RefusedHead, "id" | "receivedMs" | "status" | "bodyBytes">,
  ): (outcome: { status: number; bodyBytes: number }) => void {
    const { counters, onHeadRefused, clock } = this.#options();
    counters.requests++;
    counters.limits.malformed++;
    const known = { ...head, id: this.nextId(), receivedMs: clock.now() };
    this.#inFlight++;
    return (outcome) => {
      this.#inFlight--;
      onHeadRefused({ ...known, ...outcome });
      if (this.#inFlight === 0) this.#idleWaiters.release();
    };
  }

  nextId(): ExchangeId {
    return this.#options().nextId();
  }

  /** Resolves when no request is in flight. */
  idle(): Promise<void> {
    return this.#inFlight === 0 ? Promise.resolve() : this.#idleWaiters.wait();
  }

  /** Resolves when no connection is open. */
  disconnected(): Promise<void> {
    return this.#open === 0 ? Promise.resolve() : this.#disconnectedWaiters.wait();
  }

  #ofScheme(): { open: number; accepted: number } {
    const { certificates, counters } = this.#options();
    return counters.schemes[certificates === null ? "http" : "https"];
  }
}
