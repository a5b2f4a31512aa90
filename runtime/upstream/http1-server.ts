import { toError } from "../lib/errors.ts";
import { settledWithin } from "../lib/settled-within.ts";
import { Waiters } from "../lib/waiters.ts";
import { type ConnectionOwner, UpstreamConnection } from "./connection.ts";
import { CopyBuffer } from "./copy-buffer.ts";
import type {
  ExchangeEvents,
  UpstreamExchange,
  UpstreamRequest,
  UpstreamServer,
  UpstreamStatus,
  UpstreamTimeouts,
} from "./exchange.ts";
import { failLater } from "./exchange-run.ts";
import { KeepAliveTime } from "./keep-alive.ts";
import { SocketOpener } from "./open-socket.ts";
import { RequestHeads } from "./request-head.ts";
import { FieldNames } from "./response-head.ts";
import type { UpstreamServerOptions } from "./server-options.ts";
import { Sweep } from "./sweep.ts";

/**
 * Opens an upstream server that speaks HTTP/1.1. It connects with the first request. The caller closes it.
 *
 * @throws Error When its certificates or keys cannot be used.
 */
export function openUpstreamServer(options: UpstreamServerOptions): UpstreamServer {
  return new Http1Server(options);
}

class Http1Server implements UpstreamServer, ConnectionOwner {
  readonly name: string;
  readonly names = new FieldNames();
  readonly copies = new CopyBuffer();
  readonly headBytes: number;
  readonly fields: number;
  readonly sweep: Sweep;
  readonly #options: UpstreamServerOptions;
  readonly #sockets: SocketOpener;
  readonly #heads: RequestHeads;
  readonly #keepAlive: KeepAliveTime;
  readonly #connections = new Set<UpstreamConnection>();
  readonly #tunnels = new Set<UpstreamConnection>();
  /** The last one served last: the others may reach their time and close. */
  readonly #idle: UpstreamConnection[] = [];
  readonly #settled = new Waiters();
  /** The timeouts of the last request: most requests share theirs. */
  #fitted: UpstreamTimeouts | null = null;
  #inFlight = 0;
  #isClosing = false;
  #opened = 0;
  #requests = 0;
  #reused = 0;

  constructor(options: UpstreamServerOptions) {
    const { limits, timeouts } = options;
    this.name = options.name;
    this.headBytes = limits.headBytes;
    this.fields = limits.fields;
    this.#options = options;
    this.#sockets = new SocketOpener(options);
    this.#heads = new RequestHeads({ keeps: limits.idleConnections > 0 });
    this.#keepAlive = new KeepAliveTime(limits.keepAliveMs);
    this.sweep = new Sweep((nowMs) => this.#look(nowMs));
    this.#fit(timeouts);
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  open(request: UpstreamRequest, events: ExchangeEvents): UpstreamExchange {
    const timeouts = request.timeouts ?? this.#options.timeouts;
    if (this.#isClosing)
      return failLater(request, { events, timeouts, reason: "the upstream is being removed" });
    let head: string;
    try {
      head = this.#heads.format(request);
    } catch (thrown) {
      return failLater(request, { events, timeouts, reason: toError(thrown).message });
    }
    if (timeouts !== this.#fitted) this.#fit(timeouts);
    if (this.#inFlight === 0) this.sweep.wake();
    this.#inFlight += 1;
    this.#requests += 1;
    const kept = request.isFresh === true ? null : this.#takeIdle();
    return (kept ?? this.#connect()).begin(request, { head, events, timeouts });
  }

  status(): UpstreamStatus {
    const tunnels = this.#tunnels.size;
    const idleConnections = this.#idle.length;
    return {
      name: this.name,
      inFlight: this.#inFlight,
      busyConnections: this.#connections.size - idleConnections - tunnels,
      idleConnections,
      tunnels,
      opened: this.#opened,
      requests: this.#requests,
      reused: this.#reused,
    };
  }

  async close(graceMs: number): Promise<void> {
    this.#isClosing = true;
    // Each one that is destroyed leaves the list.
    for (const connection of this.#idle.slice()) connection.destroy();
    await settledWithin(this.#whenSettled(), graceMs);
    this.destroy();
  }

  destroy(): void {
    this.#isClosing = true;
    for (const connection of this.#connections) connection.fail("the upstream was removed");
    this.sweep.stop();
  }

  onSettled(): void {
    this.#inFlight -= 1;
    this.#options.onSettled?.();
    if (this.#isClosing) this.#settled.release();
  }

  onIdle(connection: UpstreamConnection, keepAlive: string): void {
    const { idleConnections } = this.#options.limits;
    const waitMs = this.#keepAlive.decide(keepAlive);
    if (this.#isClosing || waitMs <= 0 || this.#idle.length >= idleConnections) {
      connection.destroy();
      return;
    }
    connection.expiresMs = this.sweep.nowMs + waitMs;
    this.#idle.push(connection);
  }

  onTunnel(connection: UpstreamConnection): void {
    this.#tunnels.add(connection);
  }

  onClosed(connection: UpstreamConnection): void {
    this.#connections.delete(connection);
    this.#tunnels.delete(connection);
    const at = this.#idle.lastIndexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    if (this.#isClosing) this.#settled.release();
  }

  #takeIdle(): UpstreamConnection | null {
    for (;;) {
      const connection = this.#idle.pop();
      if (connection === undefined) return null;
      if (connection.expiresMs > this.sweep.nowMs) {
        this.#reused += 1;
        return connection;
      }
      connection.destroy();
    }
  }

  #connect(): UpstreamConnection {
    const connection = new UpstreamConnection(this, this.#sockets);
    this.#connections.add(connection);
    this.#opened += 1;
    return connection;
  }

  #fit(timeouts: UpstreamTimeouts): void {
    const { connectMs, firstByteMs, idleMs } = timeouts;
    this.#fitted = timeouts;
    this.sweep.fit(connectMs);
    this.sweep.fit(firstByteMs);
    this.sweep.fit(idleMs);
  }

  #look(nowMs: number): "busy" | "idle" | "done" {
    for (const connection of this.#connections) connection.check(nowMs);
    if (this.#connections.size === 0) return "done";
    return this.#inFlight > 0 ? "busy" : "idle";
  }

  async #whenSettled(): Promise<void> {
    while (this.#inFlight > 0 || this.#tunnels.size > 0) await this.#settled.wait();
  }
}
