import {
  Kind,
  MAX_SOCKET_MESSAGE_BYTES,
  MAX_TOPICS,
  type SocketId,
  type SocketState,
  type WorkerId,
} from "../channel/messages.ts";
import type { Client } from "../http/client.ts";
import type { WaitingBytes } from "../lib/waiting-bytes.ts";
import {
  CLOSE_CODES,
  type WebSocketEnd,
  type WebSocketEvents,
  type WebSocketSide,
} from "../http/web-socket.ts";
import { EventLine, type SocketEvent } from "./event-line.ts";
import {
  isBusy,
  isSuspect,
  moveOn,
  type Residence,
  type ResidenceEvent,
  settledAt,
} from "./residence.ts";
import type { SocketHome, SocketPlace, SocketRequest } from "./socket-home.ts";
import type { SocketSettings } from "./socket-settings.ts";
import type { Subscriber, TopicMessage } from "./topic-message.ts";
import type { Topics } from "./topics.ts";

/** Most characters of request fields that are kept for a worker that did not see the request. */
const MOST_FIELDS = 4096;

/** The parts that all WebSockets of handlers share. */
export interface SocketContext {
  readonly topics: Topics<Subscriber>;
  /** Bytes that wait for handlers and for clients, of all WebSockets. */
  readonly waiting: WaitingBytes;
  now(): number;
  /** Finds the handlers for a WebSocket; `null`: its route is gone, or does not take WebSockets any more. */
  locate(socket: HandlerSocket): SocketPlace | null;
  /** Events wait for a worker, and none is ready. `onReady` of the WebSocket must follow. */
  onHomeless(socket: HandlerSocket): void;
  /** Bytes wait for its client. `tellBuffered` must follow in a later turn of the event loop. */
  onSlow(socket: HandlerSocket): void;
  /** A limit ended it. */
  onLimit(socket: HandlerSocket, limit: "webSocketBuffer" | "webSocketMessageLimit"): void;
  /** Its next event was in a worker that crashed. `runAt` or `giveUp` must follow. */
  onSuspect(socket: HandlerSocket, place: SocketPlace): void;
  /** It has left a worker. */
  onLeft(socket: HandlerSocket, home: SocketHome): void;
  /** Its message is the cause of crashes. */
  onPoison(socket: HandlerSocket): void;
  onOver(socket: HandlerSocket): void;
}

/**
 * A WebSocket that a handler accepted. The connection is the primary's; the handler's state for it has a home in one
 * worker, and moves to another one when that worker is lost or retires (`residence.ts`).
 *
 * With `isBound`, its listeners are closures in the worker that accepted it. Then it ends with that worker. With `isPaced`,
 * the worker waits for a slow client, so that the client's buffer holds at most one message more than the setting says.
 */
export class HandlerSocket implements WebSocketEvents {
  readonly id: SocketId;
  readonly site: string;
  readonly isBound: boolean;
  readonly isPaced: boolean;
  readonly client: Client;
  readonly url: string;
  readonly settings: SocketSettings;
  protocol = "";
  readonly #context: SocketContext;
  readonly #fields: string;
  readonly #line = new EventLine();
  readonly #topics = new Set<string>();
  #attachment: Uint8Array | null = null;
  #state: Residence;
  #home: SocketHome | null;
  #side: WebSocketSide | null = null;
  #heardMs: number;
  /** Bytes that waited for the client when one more message had to wait; 0: none waits. */
  #slowBytes = 0;
  /** The home was told that bytes wait for the client. */
  #isHomeTold = false;
  /** Number of the last `flush` that the home waits for; 0: none. */
  #flushing = 0;
  /** The part of `context.waiting` that is this WebSocket's. */
  #countedBytes = 0;

  constructor(
    client: Client,
    { home, site, url }: SocketRequest,
    options: {
      isBound: boolean;
      isPaced: boolean;
      settings: SocketSettings;
      context: SocketContext;
    },
  ) {
    this.id = client.id;
    this.client = client;
    this.site = site;
    this.url = url;
    const { isBound, isPaced, settings, context } = options;
    this.settings = settings;
    this.isBound = isBound;
    this.isPaced = isPaced;
    this.#context = context;
    this.#fields = isBound ? "" : withoutLarge(client.head.fields);
    this.#state = settledAt(home.workerId);
    this.#home = home;
    this.#count(home, 1);
    this.#heardMs = context.now();
  }

  /** The worker that has the handler's state; `null`: none needs to. */
  get home(): SocketHome | null {
    return this.#home;
  }

  /** Tells whether a worker has the handler's state. */
  isHome(home: SocketHome): boolean {
    return this.#home === home;
  }

  /** Events that the handler has not confirmed. */
  get unconfirmed(): number {
    return this.#state.received - this.#state.confirmed;
  }

  /** The client is connected. */
  get isOpen(): boolean {
    return this.#side !== null && !this.#state.isClosed;
  }

  /** Takes the client's side, once. */
  opened(side: WebSocketSide): void {
    this.#side = side;
    this.#home?.send([Kind.socketOpened, this.id, this.settings.requestTimeoutMs]);
  }

  /** The client left before it became a WebSocket: its handler learns that it is over. */
  abandon(): void {
    this.onClose({ code: CLOSE_CODES.abnormal, reason: "" });
  }

  /** The client got another answer: there never was a WebSocket. */
  refuse(): void {
    this.#home?.send([Kind.socketForget, this.id]);
    this.#end();
  }

  deliver({ bytes, isBinary }: TopicMessage): void {
    this.send(bytes, isBinary);
  }

  send(bytes: Uint8Array, isBinary: boolean): void {
    const side = this.#side;
    if (side === null || this.#state.isClosed) return;
    if (side.send(bytes, isBinary) === "buffered") this.#onBuffered(side);
  }

  close(code: number, reason: string): void {
    this.#side?.close(code, reason);
  }

  /** Tells the home once no message waits for the client. */
  flush(number: number): void {
    if (this.#slowBytes > 0) this.#flushing = number;
    else if (this.isOpen) this.#home?.send([Kind.socketFlushed, this.id, number]);
  }

  /** Keeps a copy of the handler's state. */
  attach(bytes: Uint8Array | null): void {
    this.#attachment = bytes === null ? null : Uint8Array.from(bytes);
  }

  subscribe(topic: string): void {
    if (this.#state.isClosed || this.#topics.size >= MAX_TOPICS) return;
    this.#topics.add(topic);
    this.#context.topics.add(topic, this);
  }

  unsubscribe(topic: string): void {
    if (this.#topics.delete(topic)) this.#context.topics.delete(topic, this);
  }

  /** A worker has ended the handlers of all events up to this one. */
  confirm(home: WorkerId, number: number): void {
    this.#move({ type: "confirmed", home, number });
    this.#line.confirm(this.#state.confirmed);
    this.#countWaiting();
  }

  /** A worker is lost. */
  lose(home: SocketHome, loss: { isSuspect: boolean; isAlone: boolean }): void {
    if (this.#home !== home) return;
    if (this.isBound) {
      this.#end();
      this.close(CLOSE_CODES.restart, "the handler's worker ended");
      return;
    }
    this.#move({ type: "lost", home: home.workerId, ...loss });
  }

  /** A worker takes nothing new. A WebSocket with closures stays there. */
  leave(home: SocketHome): void {
    if (this.#home === home && !this.isBound) {
      this.#move({ type: "retired", home: home.workerId });
    }
  }

  /** A worker is kept for suspects: events that it has not yet got go to another one. */
  makeRoom(home: SocketHome): void {
    if (isBusy(this.#state)) this.leave(home);
  }

  /** Goes to a worker with one event, and leaves it afterwards. */
  runAt(home: SocketHome, place: SocketPlace): void {
    if (this.#state.at !== "waiting") return;
    this.#moveTo(home, place);
    this.leave(home);
  }

  /** Closes a WebSocket that no handler takes any more. */
  giveUp(): void {
    this.#end();
    this.close(CLOSE_CODES.restart, "the route is gone");
  }

  /** A worker is ready: events that wait may go to it. */
  onReady(): void {
    if (this.#state.at === "waiting") this.#findHome();
  }

  /** Closes a WebSocket without messages for too long. */
  check(nowMs: number): void {
    const { webSocketIdleTimeoutMs: idleMs } = this.settings;
    if (idleMs > 0 && nowMs - this.#heardMs > idleMs) {
      this.close(CLOSE_CODES.goingAway, "no message for too long");
    }
  }

  onMessage(bytes: Uint8Array, isBinary: boolean): void {
    if (this.#state.at === "over") return;
    this.#heardMs = this.#context.now();
    const { webSocketMessageLimitBytes: most } = this.settings;
    if (bytes.length > most) {
      this.#context.onLimit(this, "webSocketMessageLimit");
      this.close(CLOSE_CODES.messageTooBig, `a message may have ${most} bytes`);
      return;
    }
    if (this.#line.bytes > this.settings.webSocketBufferBytes) {
      this.#context.onLimit(this, "webSocketBuffer");
      this.close(CLOSE_CODES.tryAgainLater, "the handler reads too slowly");
      return;
    }
    if (this.#isTooMuch()) return;
    this.#receive({ kind: "message", bytes: Uint8Array.from(bytes), isBinary });
  }

  onPing(): void {
    // The engine answers it.
  }

  onPong(): void {
    // Not an answer to a ping of this side.
  }

  onRoom(): void {
    this.#slowBytes = 0;
    this.#countWaiting();
    if (this.#flushing > 0) {
      this.#home?.send([Kind.socketFlushed, this.id, this.#flushing]);
      this.#flushing = 0;
    }
    if (!this.#isHomeTold) return;
    this.#isHomeTold = false;
    this.#home?.send([Kind.socketBuffered, this.id, 0]);
  }

  onClose(end: WebSocketEnd): void {
    if (end.isRefusal === true && end.code === CLOSE_CODES.messageTooBig) {
      this.#context.onLimit(this, "webSocketMessageLimit");
    }
    for (const topic of this.#topics) this.#context.topics.delete(topic, this);
    this.#topics.clear();
    this.#slowBytes = 0;
    this.#countWaiting();
    if (this.#state.at === "over") return;
    // Its messages may wait for the handler, which waits to send.
    if (this.isPaced) this.#home?.send([Kind.socketFlushed, this.id, 0]);
    this.#receive({ kind: "close", end });
  }

  /** Tells the home how many bytes wait for the client. */
  tellBuffered(): void {
    const home = this.#home;
    if (home === null || this.#slowBytes === 0) return;
    this.#isHomeTold = true;
    home.send([Kind.socketBuffered, this.id, this.#slowBytes]);
  }

  #onBuffered(side: WebSocketSide): void {
    this.#slowBytes = side.bufferedBytes;
    this.#countWaiting();
    const most = this.settings.webSocketBufferBytes + (this.isPaced ? MAX_SOCKET_MESSAGE_BYTES : 0);
    if (this.#slowBytes > most) {
      this.#context.onLimit(this, "webSocketBuffer");
      this.close(CLOSE_CODES.tryAgainLater, "the client reads too slowly");
      return;
    }
    if (!this.#isTooMuch() && !this.isPaced) this.#context.onSlow(this);
  }

  /** Closes the WebSocket if too much waits in all, and here more than an equal share. */
  #isTooMuch(): boolean {
    if (!this.#context.waiting.isTooMuch(this.#countedBytes)) return false;
    this.#context.onLimit(this, "webSocketBuffer");
    this.close(CLOSE_CODES.tryAgainLater, "too many messages wait in the server");
    return true;
  }

  #countWaiting(): void {
    const bytes = this.#line.bytes + this.#slowBytes;
    this.#context.waiting.change(this.#countedBytes, bytes);
    this.#countedBytes = bytes;
  }

  #receive(event: SocketEvent): void {
    this.#line.add(event);
    this.#countWaiting();
    // Without events there, the WebSocket leaves at once.
    if (this.#home?.isKept === true) this.leave(this.#home);
    this.#move({ type: "received", isLast: event.kind === "close" });
  }

  /** Changes the state, and carries out the difference. */
  #move(event: ResidenceEvent): void {
    const before = this.#state;
    const after = moveOn(before, event);
    if (after === before) return;
    this.#setState(after);
    const isLeft = before.home !== null && before.home !== after.home;
    if (isLeft) this.#leaveHome(event.type);
    if (after.home !== null) this.#deliver(before.home === after.home ? before.delivered : null);
    if (after.at === "over") this.#end();
    else if (after.at === "waiting" && before.at !== "waiting") {
      if (after.isPoison) this.#onPoison();
      else this.#findHome();
    }
  }

  /** Changes the state, and counts it at the home of both states. */
  #setState(after: Residence): void {
    const home = this.#home;
    if (home !== null) home.busy += Number(isBusy(after)) - Number(isBusy(this.#state));
    this.#state = after;
  }

  /** Counts this WebSocket at a home that it gets or leaves. */
  #count(home: SocketHome, change: 1 | -1): void {
    home.awake += change;
    if (this.isBound) home.bound += change;
  }

  #leaveHome(why: ResidenceEvent["type"]): void {
    const home = this.#home;
    if (home === null) return;
    this.#home = null;
    this.#isHomeTold = false;
    this.#count(home, -1);
    if (why !== "lost") home.send([Kind.socketForget, this.id]);
    this.#context.onLeft(this, home);
  }

  /** @param delivered Number of the last event that the home has; `null`: it does not know the WebSocket. */
  #deliver(delivered: number | null): void {
    const home = this.#home;
    if (home === null) return;
    const { delivered: last, confirmed } = this.#state;
    for (let number = (delivered ?? confirmed) + 1; number <= last; number++) {
      const event = this.#line.at(number);
      if (event === undefined) continue;
      if (event.kind === "message") {
        const { bytes, isBinary } = event;
        home.send([Kind.socketMessage, this.id, number, bytes, isBinary], bytes.length);
      } else {
        const { code, reason } = event.end;
        const wasClean = code !== CLOSE_CODES.abnormal;
        home.send([Kind.socketClosed, this.id, number, code, reason, wasClean]);
      }
    }
  }

  /** Gives the WebSocket to the ready worker with the fewest. */
  #findHome(): void {
    const place = this.#context.locate(this);
    if (place === null) {
      this.giveUp();
      return;
    }
    if (isSuspect(this.#state)) {
      this.#context.onSuspect(this, place);
      return;
    }
    let best: SocketHome | null = null;
    for (const home of place.homes) {
      if (home.isKept) continue;
      if (best === null || home.awake < best.awake) best = home;
    }
    if (best === null) this.#context.onHomeless(this);
    else this.#moveTo(best, place);
  }

  #moveTo(home: SocketHome, place: SocketPlace): void {
    this.#home = home;
    this.#count(home, 1);
    home.send([Kind.socketAdopt, this.id, this.#describe(place)]);
    this.tellBuffered();
    this.#move({ type: "found", home: home.workerId });
  }

  #describe({ route, params }: SocketPlace): SocketState {
    return {
      route,
      params,
      url: this.url,
      fields: this.#fields,
      clientAddress: this.client.head.clientAddress,
      protocol: this.protocol,
      timeoutMs: this.settings.requestTimeoutMs,
      attachment: this.#attachment,
      topics: [...this.#topics],
    };
  }

  #onPoison(): void {
    this.#context.onPoison(this);
    this.#end();
    this.close(CLOSE_CODES.internalError, "the handler failed");
  }

  /** No worker gets an event of it any more. */
  #end(): void {
    const home = this.#home;
    const { received } = this.#state;
    this.#setState({
      ...this.#state,
      at: "over",
      home: null,
      delivered: received,
      confirmed: received,
    });
    this.#line.confirm(received);
    this.#countWaiting();
    if (home !== null) {
      this.#home = null;
      this.#count(home, -1);
      this.#context.onLeft(this, home);
    }
    this.#context.onOver(this);
  }
}

/** Returns a field block without the largest lines, so that it has at most `MOST_FIELDS` characters. */
function withoutLarge(block: string): string {
  if (block.length <= MOST_FIELDS) return block;
  const parts = block.split("\n");
  const lines: string[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) lines.push(`${parts[at]}\n${parts[at + 1]}`);
  const kept = new Set(lines.toSorted((a, b) => a.length - b.length));
  let length = block.length;
  for (const line of [...kept].toReversed()) {
    if (length <= MOST_FIELDS) break;
    kept.delete(line);
    length -= line.length + 1;
  }
  return lines.filter((line) => kept.has(line)).join("\n");
}
