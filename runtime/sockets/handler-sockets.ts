import { Act, type SocketAct, type SocketId, type UpgradeMessage } from "../channel/messages.ts";
import type { Client } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import type { LimitName } from "../http/limit-names.ts";
import { CLOSE_CODES } from "../http/web-socket.ts";
import { offeredProtocols, WEB_SOCKET_VERSION } from "../http/web-socket-handshake.ts";
import { toRefusal } from "../http/reply.ts";
import { assertNever } from "../lib/errors.ts";
import { WaitingBytes } from "../lib/waiting-bytes.ts";
import type { Logger } from "../log/log.ts";
import { EventStreams } from "./event-streams.ts";
import { HandlerSocket, type SocketContext } from "./handler-socket.ts";
import type { SocketHome, SocketPlace, SocketRequest } from "./socket-home.ts";
import type { SocketSettings } from "./socket-settings.ts";
import { SocketIsolation } from "./socket-isolation.ts";
import { spreadOut } from "./spread.ts";
import { type Subscriber, TopicMessage } from "./topic-message.ts";
import { Topics } from "./topics.ts";

/** Time between two checks of idle WebSockets. */
const CHECK_MS = 1_000;

/** Reason of the close frame where the worker of a WebSocket retires. */
const RETIRES = "the worker retires";

/** A message for the subscribers of a topic. */
export interface Published {
  readonly site: string;
  readonly topic: string;
  /** Valid during the call only. Text is UTF-8. */
  readonly bytes: Uint8Array;
  readonly isBinary: boolean;
}

export interface HandlerSocketsOptions {
  log: Logger;
  now: () => number;
  /** Most bytes that wait for handlers and for clients, of all WebSockets. */
  mostWaitingBytes: number;
  /** Messages are compressed for clients that ask for it; absent: they are not. */
  compresses?: boolean;
  counters: { limit(name: LimitName, client: Client): void };
  /** Returns the settings of the route of a request. */
  settingsOf: (request: { site: string; url: string }) => SocketSettings;
  /** Finds the handlers that answer for a WebSocket now; `null`: none that takes WebSockets. */
  locate: (socket: { site: string; url: string }) => SocketPlace | null;
  /** Called with each message that a handler of this server publishes. */
  onPublished?: (message: Published) => void;
}

/** All WebSockets of handlers, in all pools and generations. They outlive the workers that accepted them. */
export class HandlerSockets {
  /** Most WebSockets; `null`: no limit. May change at any time. */
  limit: number | null = null;
  readonly #options: HandlerSocketsOptions;
  readonly #sockets = new Map<SocketId, HandlerSocket>();
  readonly #topics = new Topics<Subscriber>();
  /** The event streams whose clients get messages of topics, too. */
  readonly streams: EventStreams;
  /** WebSockets with events that wait for a ready worker. */
  readonly #homeless = new Set<HandlerSocket>();
  /** WebSockets whose home must be told how many bytes wait for the client. */
  readonly #slow = new Set<HandlerSocket>();
  readonly #isolation: SocketIsolation<HandlerSocket>;
  readonly #context: SocketContext;
  /** Closings that are spread over a time. */
  readonly #spreading = new Set<() => void>();
  #checking: NodeJS.Timeout | undefined;
  #state: "open" | "closing" = "open";

  constructor(options: HandlerSocketsOptions) {
    const { log, counters, now, locate, mostWaitingBytes } = options;
    this.#options = options;
    const waiting = new WaitingBytes(mostWaitingBytes);
    this.streams = new EventStreams({ topics: this.#topics, waiting, counters });
    const isolation = new SocketIsolation<HandlerSocket>({
      now,
      locate,
      onKept: (home) => {
        for (const socket of this.#sockets.values()) {
          if (socket.home === home) socket.makeRoom(home);
        }
      },
      onOpen: () => this.#placeHomeless(),
    });
    this.#isolation = isolation;
    this.#context = {
      topics: this.#topics,
      waiting,
      now,
      locate,
      onHomeless: (socket) => this.#homeless.add(socket),
      onSlow: (socket) => this.#noteSlow(socket),
      onLimit: ({ client }, limit) => counters.limit(limit, client),
      onSuspect: (socket, place) => isolation.add(socket, place),
      onLeft: (socket, home) => isolation.finish(home, socket),
      onPoison: ({ url, client }) => {
        const fields = { exchangeId: client.id, path: new URL(url).pathname };
        log.error(fields, "WebSocket closed: its message makes workers crash");
      },
      onOver: (socket) => this.#forget(socket),
    };
  }

  /** Number of WebSockets, and of those whose handlers have a state in a worker. */
  get count(): { open: number; awake: number } {
    let awake = 0;
    for (const { home } of this.#sockets.values()) if (home !== null) awake++;
    return { open: this.#sockets.size, awake };
  }

  /** Tells whether one more WebSocket may be opened. If not, answers the request with 503. */
  admits(client: Client): boolean {
    if (this.#state === "closing") {
      client.refuse(503, { retryAfterSeconds: 1 });
      return false;
    }
    if (this.limit === null || this.#sockets.size < this.limit) return true;
    this.#options.counters.limit("maxWebSockets", client);
    client.refuse(503, { retryAfterSeconds: 1 });
    return false;
  }

  /** Makes a WebSocket of a request, as its handler asks for. */
  accept(client: Client, request: SocketRequest, message: UpgradeMessage): void {
    const [, , fields, isBound, acts, isPaced = false] = message;
    const { home } = request;
    const settings = this.#options.settingsOf(request);
    const own = { isBound, isPaced, settings, context: this.#context };
    // While the handler ran, others may have been opened, or the server begun to stop.
    const isAdmitted = this.admits(client);
    const socket = new HandlerSocket(client, request, own);
    this.#sockets.set(socket.id, socket);
    if (!isAdmitted) {
      socket.refuse();
      return;
    }
    const offer = client.webSocket ?? null;
    if (offer === null || !offer.isCurrent) {
      const version = `sec-websocket-version\n${WEB_SOCKET_VERSION}`;
      const refusal = toRefusal(426);
      client.reply({ ...refusal, fields: `${refusal.fields}\n${version}` });
      socket.refuse();
      return;
    }
    socket.protocol = pickProtocol(fields, client.head.fields) ?? "";
    const answer = {
      protocol: socket.protocol === "" ? null : socket.protocol,
      fields: withoutHandshake(fields),
      silence: {
        pingAfterMs: settings.webSocketPingMs,
        largestBytes: settings.webSocketMessageLimitBytes,
      },
      compresses: this.#options.compresses ?? false,
    };
    const side = offer.accept(answer, socket);
    if (side === null) {
      socket.abandon();
      return;
    }
    socket.opened(side);
    if (settings.webSocketIdleTimeoutMs > 0) this.#startChecks();
    this.take(home, request.site, acts);
    // The worker began to retire while the handler ran. The others that are bound to it are closed already.
    if (isBound && home.isRetired) socket.close(CLOSE_CODES.restart, RETIRES);
  }

  /** Returns how many bytes may wait for a slow client of a route. */
  bufferBytesOf(request: { site: string; url: string }): number {
    return this.#options.settingsOf(request).webSocketBufferBytes;
  }

  /** Sends a message of another server to all subscribers of a topic here. */
  announce({ site, topic, bytes, isBinary }: Published): void {
    this.#publish(site, topic, { bytes, isBinary, except: null });
  }

  /** Carries out the acts of handlers in one worker, all in one turn of the event loop. */
  take(
    home: SocketHome,
    site: string | ((route: number) => string),
    acts: readonly SocketAct[],
  ): void {
    for (const act of acts) {
      if (act[0] === Act.announce) {
        const own = typeof site === "string" ? site : site(act[1]);
        this.#publish(own, act[2], { bytes: act[3], isBinary: act[4], except: null });
        this.#options.onPublished?.({ site: own, topic: act[2], bytes: act[3], isBinary: act[4] });
        continue;
      }
      const socket = this.#sockets.get(act[1]);
      if (socket !== undefined) this.#carryOut(socket, home, act);
    }
    if (this.#isolation.isActive) this.#isolation.step();
  }

  #carryOut(
    socket: HandlerSocket,
    home: SocketHome,
    act: Exclude<SocketAct, readonly [typeof Act.announce, ...unknown[]]>,
  ): void {
    switch (act[0]) {
      case Act.send:
        // The channel lends the bytes, and the engine keeps them.
        socket.send(Uint8Array.from(act[2]), act[3]);
        return;
      case Act.publish: {
        const [, , topic, bytes, isBinary] = act;
        this.#publish(socket.site, topic, { bytes, isBinary, except: socket });
        this.#options.onPublished?.({ site: socket.site, topic, bytes, isBinary });
        return;
      }
      case Act.close:
        socket.close(act[2], act[3]);
        return;
      case Act.confirm:
        socket.confirm(home.workerId, act[2]);
        return;
      case Act.flush:
        if (socket.isHome(home)) socket.flush(act[2]);
        return;
      case Act.attach:
        // A former home must not overwrite the state of the present one.
        if (socket.isHome(home)) socket.attach(act[2]);
        return;
      case Act.subscribe:
        if (socket.isHome(home)) socket.subscribe(act[2]);
        return;
      case Act.unsubscribe:
        if (socket.isHome(home)) socket.unsubscribe(act[2]);
        return;
      default:
        assertNever(act);
    }
  }

  /** A worker is ready: it may get WebSockets whose events wait. */
  ready(): void {
    this.#placeHomeless();
    this.#isolation.step();
  }

  /**
   * A worker is lost. Its WebSockets move, and those with closures end.
   *
   * @param options.isSuspect Its own work may be the cause.
   * @param options.hasOtherWork It answered requests, too.
   */
  lose(home: SocketHome, options: { isSuspect: boolean; hasOtherWork: boolean }): void {
    const { isSuspect, hasOtherWork } = options;
    const isAlone = home.busy === 1 && !hasOtherWork;
    this.#isolation.detach(home);
    for (const socket of this.#sockets.values()) {
      if (socket.home === home) socket.lose(home, { isSuspect, isAlone });
    }
    this.#isolation.step();
  }

  /**
   * A worker takes nothing new. Its WebSockets leave it between two messages; those with closures are closed, spread over
   * a time.
   */
  retire(home: SocketHome, graceMs: number): void {
    const bound: HandlerSocket[] = [];
    home.isRetired = true;
    this.#isolation.detach(home);
    for (const socket of this.#sockets.values()) {
      if (socket.home !== home) continue;
      if (socket.isBound) bound.push(socket);
      else socket.leave(home);
    }
    this.#closeAll(bound, graceMs, { code: CLOSE_CODES.restart, reason: RETIRES });
    this.#isolation.step();
  }

  /** Closes the WebSockets whose routes are gone, or take none any more, spread over a time. */
  closeStrays(graceMs: number): void {
    const strays = [...this.#sockets.values()].filter(
      (socket) => !socket.isBound && this.#options.locate(socket) === null,
    );
    this.#closeAll(strays, graceMs, {
      code: CLOSE_CODES.restart,
      reason: "the route is gone",
      // Another reload may have brought the route back meanwhile.
      isDue: (socket) => this.#options.locate(socket) === null,
    });
  }

  /** Closes all WebSockets, spread over a time. Resolves when all are closed and their handlers know. */
  async close(graceMs: number): Promise<void> {
    this.#state = "closing";
    clearInterval(this.#checking);
    this.streams.close(graceMs);
    const all = [...this.#sockets.values()];
    this.#closeAll(all, graceMs, { code: CLOSE_CODES.goingAway, reason: "the server stops" });
    while (this.#sockets.size > 0)
      await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  /** Forgets all. Their connections are closed already. */
  destroy(): void {
    clearInterval(this.#checking);
    this.streams.destroy();
    for (const stop of this.#spreading) stop();
    this.#spreading.clear();
    this.#sockets.clear();
    this.#homeless.clear();
    this.#isolation.destroy();
    this.#releaseIfEmpty();
  }

  /** Gathers the slow clients of one turn of the event loop: a home needs only the last number of each. */
  #noteSlow(socket: HandlerSocket): void {
    this.#slow.add(socket);
    if (this.#slow.size > 1) return;
    setImmediate(() => {
      const told = [...this.#slow];
      this.#slow.clear();
      for (const slow of told) slow.tellBuffered();
    });
  }

  #placeHomeless(): void {
    const waiting = [...this.#homeless];
    this.#homeless.clear();
    for (const socket of waiting) socket.onReady();
  }

  readonly #onEmpty: (() => void)[] = [];

  #publish(
    site: string,
    topic: string,
    message: { bytes: Uint8Array; isBinary: boolean; except: HandlerSocket | null },
  ): void {
    const { isBinary, except } = message;
    // One copy for all: the channel lends the bytes, and engines keep them.
    let copy: TopicMessage | null = null;
    for (const subscriber of this.#topics.of(site, topic)) {
      if (subscriber === except) continue;
      copy ??= new TopicMessage(Uint8Array.from(message.bytes), isBinary);
      subscriber.deliver(copy);
    }
  }

  #closeAll(
    sockets: readonly HandlerSocket[],
    overMs: number,
    {
      code,
      reason,
      isDue = () => true,
    }: { code: number; reason: string; isDue?: (socket: HandlerSocket) => boolean },
  ): void {
    if (sockets.length === 0) return;
    const call = (socket: HandlerSocket): void => {
      if (isDue(socket)) socket.close(code, reason);
    };
    const stop = spreadOut(sockets, { overMs, call });
    this.#spreading.add(stop);
    setTimeout(() => this.#spreading.delete(stop), overMs).unref();
  }

  #forget(socket: HandlerSocket): void {
    this.#sockets.delete(socket.id);
    this.#homeless.delete(socket);
    this.#isolation.remove(socket);
    this.#releaseIfEmpty();
  }

  #releaseIfEmpty(): void {
    if (this.#sockets.size > 0) return;
    clearInterval(this.#checking);
    this.#checking = undefined;
    for (const resolve of this.#onEmpty.splice(0)) resolve();
  }

  #startChecks(): void {
    this.#checking ??= setInterval(() => {
      const nowMs = this.#options.now();
      for (const socket of this.#sockets.values()) socket.check(nowMs);
    }, CHECK_MS).unref();
  }
}

/** Returns the subprotocol that the handler chose, if the client offers it. */
function pickProtocol(fields: string, requestFields: string): string | null {
  const chosen = findField(fields, "sec-websocket-protocol");
  return chosen !== undefined && offeredProtocols(requestFields).includes(chosen) ? chosen : null;
}

const HANDSHAKE: ReadonlySet<string> = new Set([
  "connection",
  "upgrade",
  "sec-websocket-accept",
  "sec-websocket-extensions",
  "sec-websocket-protocol",
  "content-type",
  "content-length",
]);

function withoutHandshake(block: string): string {
  if (block === "") return "";
  const parts = block.split("\n");
  const kept: string[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [name = "", value = ""] = [parts[at], parts[at + 1]];
    if (!HANDSHAKE.has(name.toLowerCase())) kept.push(name, value);
  }
  return kept.join("\n");
}
