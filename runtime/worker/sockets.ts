import type { AsyncLocalStorage } from "node:async_hooks";
import type { Context } from "../api.ts";
import type { Channel } from "../channel/channel.ts";
import {
  Act,
  Kind,
  MAX_ATTACHMENT_BYTES,
  MAX_SOCKET_MESSAGE_BYTES,
  MAX_TOPIC_LENGTH,
  MAX_TOPICS,
  type RouteNumber,
  type SocketEventNumber,
  type SocketId,
  type SocketMessage,
  type SocketState,
  type ToPrimary,
  type ToWorker,
} from "../channel/messages.ts";
import { RuntimeError } from "../lib/errors.ts";
import { listTokens } from "../lib/list-tokens.ts";
import { settledWithin } from "../lib/settled-within.ts";
import { Waiters } from "../lib/waiters.ts";
import { parseFields } from "../web/fields.ts";
import { checkTopic, ServerSocket, toBytes, toMessage } from "../web/server-socket.ts";
import { SocketErrorEvent } from "../web/socket-events.ts";
import type { SocketBounds, SocketLink } from "../web/socket-link.ts";
import { createPairClass } from "../web/web-socket-pair.ts";
import { ExchangeContext, type WorkerScope } from "./context.ts";
import type { Running } from "./running.ts";
import type { LoadedGeneration } from "./load-handlers.ts";
import type { SocketHooks } from "./socket-hooks.ts";
import { isThenable } from "./route-table.ts";
import { ACT_BYTES, SocketOutbox } from "./socket-outbox.ts";
import { NEVER_OPENED } from "./unopened-socket.ts";

/** Most bytes that a handler sends before its answer, which carries them all in one message. */
const MOST_FIRST_BYTES = 4 * 1024 * 1024;

const BOUNDS: SocketBounds = {
  messageBytes: MAX_SOCKET_MESSAGE_BYTES,
  attachmentBytes: MAX_ATTACHMENT_BYTES,
  topics: MAX_TOPICS,
  topicLength: MAX_TOPIC_LENGTH,
};

const PROTOCOL = "sec-websocket-protocol";

/** An event of a WebSocket for its handler. */
type Event =
  | { readonly kind: "message"; readonly data: string | ArrayBuffer }
  | {
      readonly kind: "close";
      readonly code: number;
      readonly reason: string;
      readonly wasClean: boolean;
    };

/** A WebSocket of which this worker is the home. */
interface Seat {
  readonly id: SocketId;
  readonly socket: ServerSocket;
  readonly context: Context;
  /** The functions of its module; `null`: listeners of the socket receive its events. */
  readonly hooks: SocketHooks | null;
  readonly waiting: { readonly number: SocketEventNumber; readonly event: Event }[];
  /** A handler runs that has returned a promise. */
  isBusy: boolean;
  /** Longest time for the handler of one event, in ms; 0: no limit. */
  timeoutMs: number;
}

/** A handler that has returned a promise. */
interface Run {
  /** Never rejects. */
  readonly done: Promise<void>;
  /** The next events no longer wait for it. */
  isLate: boolean;
}

/** The request that a handler accepts as a WebSocket. */
export interface AcceptedSocket {
  readonly id: SocketId;
  readonly socket: ServerSocket;
  readonly context: Context;
  readonly hooks: SocketHooks | null;
  readonly url: string;
  /** Field block of the request. */
  readonly requestFields: string;
  /** Field block of the answer. */
  readonly fields: string;
}

/**
 * The WebSockets whose home is this worker. The primary has their connections, and sends their events; this worker
 * confirms each event when its handler has ended. The events of one WebSocket run one after the other.
 */
export class WorkerSockets {
  readonly #channel: Channel<ToWorker, ToPrimary>;
  readonly #outbox: SocketOutbox;
  readonly #seats = new Map<SocketId, Seat>();
  readonly #idleWaiters = new Waiters();
  #generation: LoadedGeneration | null = null;
  #scopeOf: ((route: RouteNumber) => WorkerScope) | null = null;
  #running: AsyncLocalStorage<Running> | null = null;
  /** WebSockets that cannot move, and handlers that run. */
  #busy = 0;

  constructor(channel: Channel<ToWorker, ToPrimary>) {
    this.#channel = channel;
    this.#outbox = new SocketOutbox(channel);
  }

  /** Defines the global `WebSocketPair`. The class is created by the first use. */
  install(): void {
    Object.defineProperty(globalThis, "WebSocketPair", {
      get: () => {
        const value = createPairClass(BOUNDS);
        definePair(value);
        return value;
      },
      set: definePair,
      enumerable: false,
      configurable: true,
    });
  }

  /**
   * The worker serves from now on.
   *
   * @param running Gets the WebSocket whose handler runs; `null`: no code asks for it.
   */
  serve(
    generation: LoadedGeneration,
    scopeOf: (route: RouteNumber) => WorkerScope,
    running: AsyncLocalStorage<Running> | null = null,
  ): void {
    this.#generation = generation;
    this.#scopeOf = scopeOf;
    this.#running = running;
  }

  /**
   * Answers a request with a WebSocket.
   *
   * @throws RuntimeError `ERR_HANDLER_BAD_RESPONSE` if neither listeners nor the module receive its events.
   */
  accept({ id, socket, context, hooks, url, requestFields, fields }: AcceptedSocket): void {
    const isBound =
      ServerSocket.isBound(socket) || (hooks === null && ServerSocket.hasListeners(socket));
    if (!isBound && hooks === null) {
      throw new RuntimeError(
        "ERR_HANDLER_BAD_RESPONSE",
        "Cannot accept a WebSocket: found neither accept() nor an export webSocketMessage, expected one of both",
      );
    }
    const acts: Parameters<SocketOutbox["add"]>[0][] = [];
    let bytes = fields.length;
    const link = this.#linkOf(id, (act, actBytes) => {
      bytes += actBytes + ACT_BYTES;
      if (bytes > MOST_FIRST_BYTES) {
        throw new RangeError("Cannot send more than 4 MiB before the WebSocket is open");
      }
      acts.push(act);
    });
    const protocol = pickProtocol(fields, requestFields);
    ServerSocket.connect(socket, link, toFacts(url, requestFields, protocol));
    this.#channel.send([Kind.responseSocket, id, fields, isBound, acts], bytes);
    // Sent with the answer until here.
    ServerSocket.connect(socket, this.#linkOf(id), toFacts(url, requestFields, protocol));
    // The primary sends the limit once the WebSocket is open.
    this.#seat({ id, socket, context, hooks: isBound ? null : hooks, timeoutMs: 0 });
  }

  /** Sends to all subscribers of a topic, in the site of a route. */
  publish(route: RouteNumber, topic: string, data: unknown): void {
    checkTopic(topic, MAX_TOPIC_LENGTH);
    const bytes = toBytes(data, MAX_SOCKET_MESSAGE_BYTES);
    const size = bytes.length + sizeOf(topic);
    this.#outbox.add([Act.announce, route, topic, bytes, typeof data !== "string"], size);
  }

  /** Takes a message of the primary. */
  receive(message: SocketMessage): void {
    const id = message[1];
    if (message[0] === Kind.socketAdopt) {
      this.#adopt(id, message[2]);
      return;
    }
    const seat = this.#seats.get(id);
    if (seat === undefined) return;
    switch (message[0]) {
      case Kind.socketMessage: {
        const [, , number, bytes, isBinary] = message;
        this.#onEvent(seat, number, { kind: "message", data: toMessage(bytes, isBinary) });
        return;
      }
      case Kind.socketClosed: {
        const [, , number, code, reason, wasClean] = message;
        this.#onEvent(seat, number, { kind: "close", code, reason, wasClean });
        return;
      }
      case Kind.socketForget:
        // A WebSocket with listeners never moves: its request was refused.
        if (seat.hooks === null) ServerSocket.ended(seat.socket, NEVER_OPENED, { isTold: true });
        this.#unseat(seat);
        return;
      case Kind.socketBuffered:
        ServerSocket.buffered(seat.socket, message[2]);
        return;
      case Kind.socketOpened:
        seat.timeoutMs = message[2];
        if (seat.hooks === null) ServerSocket.opened(seat.socket);
        return;
      case Kind.socketFlushed:
      // The handlers of this worker learn from `socketBuffered` that a client is slow.
    }
  }

  /** Number of WebSockets that depend on this worker, and of handlers that run. */
  get busy(): number {
    return this.#busy;
  }

  /** Resolves when no WebSocket depends on this worker, and no handler runs. */
  idle(): Promise<void> {
    return this.#busy === 0 ? Promise.resolve() : this.#idleWaiters.wait();
  }

  #adopt(id: SocketId, state: SocketState): void {
    const { route, params, url, fields, clientAddress, protocol, attachment, topics } = state;
    const { timeoutMs } = state;
    const loaded = this.#generation?.routes[route];
    const scope = this.#scopeOf?.(route) ?? null;
    if (loaded === undefined || loaded.sockets === null || scope === null) {
      throw new RuntimeError("ERR_PROTOCOL", `Cannot take a WebSocket of route ${route}`);
    }
    const { pattern, sockets: hooks } = loaded;
    const facts = { id, pattern, route, params, clientAddress, fields, deadline: null };
    const context = new ExchangeContext(scope, facts);
    const socket = new ServerSocket(BOUNDS);
    const own = attachment === null ? null : Uint8Array.from(attachment);
    ServerSocket.restore(socket, { attachment: own, topics });
    ServerSocket.connect(socket, this.#linkOf(id), toFacts(url, fields, protocol));
    this.#seat({ id, socket, context, hooks, timeoutMs });
  }

  #seat(seat: Omit<Seat, "waiting" | "isBusy">): void {
    const { socket, context } = seat;
    socket.onFailure = (error, type) => {
      context.log.error({ err: error }, "listener of a WebSocket failed");
      // A listener of errors that fails would be called for its own error, without end.
      if (type !== "error") socket.dispatchEvent(new SocketErrorEvent(error));
    };
    if (seat.hooks === null) this.#busy++;
    this.#seats.set(seat.id, { ...seat, waiting: [], isBusy: false });
  }

  #unseat(seat: Seat): void {
    if (!this.#seats.delete(seat.id)) return;
    if (seat.hooks === null) this.#release();
  }

  #onEvent(seat: Seat, number: SocketEventNumber, event: Event): void {
    if (seat.isBusy) seat.waiting.push({ number, event });
    else this.#run(seat, number, event);
  }

  #run(seat: Seat, number: SocketEventNumber, event: Event): void {
    const run = this.#outbox.hold(() => {
      const handling = this.#callWithin(seat, event);
      if (handling === null) this.#confirm(seat, number, event);
      return handling;
    });
    if (run === null) return;
    seat.isBusy = true;
    this.#busy++;
    void this.#goOn(seat, { number, event }, run);
  }

  /** Runs the events that waited for a handler, once it has ended or taken too long. */
  async #goOn(
    seat: Seat,
    { number, event }: { number: SocketEventNumber; event: Event },
    run: Run,
  ): Promise<void> {
    await this.#waitFor(seat, run);
    seat.isBusy = false;
    this.#confirm(seat, number, event);
    this.#runWaiting(seat);
    this.#release();
  }

  /** Resolves when a handler has ended. One that takes too long goes on, but its WebSocket does not wait for it. */
  async #waitFor(seat: Seat, run: Run): Promise<void> {
    const { timeoutMs } = seat;
    if (timeoutMs === 0) return run.done;
    const state = { hasEnded: false };
    const done = run.done.then(() => void (state.hasEnded = true));
    await settledWithin(done, timeoutMs);
    if (state.hasEnded) return;
    run.isLate = true;
    const found = `Cannot wait for the function of a WebSocket: it took more than ${timeoutMs} ms`;
    const remedy = "The next message runs beside it. Raise timeoutMs, or end it earlier";
    seat.context.log.error({ code: "ERR_HANDLER_TIMEOUT" }, `${found}. ${remedy}`);
    const report = this.#tellModule(seat, new DOMException(found, "TimeoutError"));
    if (report !== null) await settledWithin(report, timeoutMs);
  }

  #runWaiting(seat: Seat): void {
    while (!seat.isBusy) {
      const next = seat.waiting.shift();
      if (next === undefined) return;
      this.#run(seat, next.number, next.event);
    }
  }

  /** Calls a handler within the context that code of its module asks for. */
  #callWithin(seat: Seat, event: Event): Run | null {
    const { context } = seat;
    if (this.#running === null || !(context instanceof ExchangeContext)) {
      return this.#call(seat, event);
    }
    // The time of the request is over. `timeoutMs` limits events, and lets their functions go on.
    const facts = { ...ExchangeContext.factsOf(context), deadline: null };
    const own = { facts, signal: () => null, isAnswered: () => false };
    return this.#running.run(own, () => this.#call(seat, event));
  }

  /** Calls a handler. `null`: it has ended. */
  #call(seat: Seat, event: Event): Run | null {
    const { socket, hooks, context } = seat;
    if (event.kind === "close") {
      ServerSocket.ended(socket, event, { isTold: hooks === null });
    }
    if (hooks === null) {
      if (event.kind === "message") ServerSocket.message(socket, event.data);
      return null;
    }
    try {
      const result =
        event.kind === "message"
          ? hooks.message(socket, event.data, context)
          : hooks.close?.(socket, event.code, event.reason, event.wasClean, context);
      return isThenable(result) ? this.#settle(seat, result) : null;
    } catch (error) {
      const done = this.#fail(seat, error);
      return done === null ? null : { done, isLate: false };
    }
  }

  #settle(seat: Seat, result: PromiseLike<unknown>): Run {
    const onFailure = async (error: unknown): Promise<void> => {
      if (run.isLate) logFailure(seat, error);
      else await this.#fail(seat, error);
    };
    const done = Promise.resolve(result).then(ignore, onFailure);
    const run: Run = { done, isLate: false };
    return run;
  }

  /** A handler failed. The WebSocket goes on, unless the module closes it. */
  #fail(seat: Seat, error: unknown): Promise<void> | null {
    logFailure(seat, error);
    return this.#tellModule(seat, error);
  }

  /** Calls the module's function for errors. Returns a promise that never rejects while it runs; `null`: it has ended. */
  #tellModule({ socket, hooks, context }: Seat, error: unknown): Promise<void> | null {
    const report = (second: unknown): void =>
      context.log.error({ err: second }, "webSocketError() failed");
    try {
      const result = hooks?.error?.(socket, error, context);
      if (!isThenable(result)) return null;
      return Promise.resolve(result).then(ignore, report);
    } catch (second) {
      report(second);
      return null;
    }
  }

  #confirm(seat: Seat, number: SocketEventNumber, event: Event): void {
    this.#outbox.add([Act.confirm, seat.id, number]);
    if (event.kind === "close") this.#unseat(seat);
  }

  #release(): void {
    this.#busy--;
    if (this.#busy === 0) this.#idleWaiters.release();
  }

  #linkOf(id: SocketId, add = this.#add): SocketLink {
    return {
      send: (bytes, isBinary) => add([Act.send, id, bytes, isBinary], bytes.length),
      close: (code, reason) => add([Act.close, id, code, reason], sizeOf(reason)),
      attach: (bytes) => add([Act.attach, id, bytes], bytes?.length ?? 0),
      subscribe: (topic) => add([Act.subscribe, id, topic], sizeOf(topic)),
      unsubscribe: (topic) => add([Act.unsubscribe, id, topic], sizeOf(topic)),
      publish: (topic, bytes, isBinary) =>
        add([Act.publish, id, topic, bytes, isBinary], bytes.length + sizeOf(topic)),
    };
  }

  readonly #add = (act: Parameters<SocketOutbox["add"]>[0], bytes: number): void => {
    this.#outbox.add(act, bytes);
  };
}

/** Most bytes of a text in UTF-8. */
function sizeOf(text: string): number {
  return text.length * 3;
}

/** Programs may replace the class, as they may replace `fetch`. */
function definePair(value: unknown): void {
  const own = { value, enumerable: false, writable: true, configurable: true };
  Object.defineProperty(globalThis, "WebSocketPair", own);
}

/** Returns the subprotocol of an answer, as the primary sends it: only if the client offers it. */
function pickProtocol(fields: string, requestFields: string): string {
  const chosen = parseFields(fields).get(PROTOCOL);
  if (chosen === null) return "";
  const offered = parseFields(requestFields).get(PROTOCOL) ?? "";
  return listTokens(offered).includes(chosen) ? chosen : "";
}

function toFacts(
  url: string,
  fields: string,
  protocol: string,
): Parameters<typeof ServerSocket.connect>[2] {
  let headers: Headers | null = null;
  return { url, protocol, headers: () => (headers ??= parseFields(fields)) };
}

function logFailure({ context }: Seat, error: unknown): void {
  context.log.error({ err: error, code: "ERR_HANDLER_THREW" }, "handler of a WebSocket failed");
}

function ignore(): void {
  // The results of these functions have no meaning.
}
