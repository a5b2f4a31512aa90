import assert from "node:assert/strict";
import {
  Act,
  type ExchangeId,
  Kind,
  type SocketAct,
  type SocketId,
  type ToWorker,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import type { Client } from "../../runtime/http/client.ts";
import type {
  WebSocketEnd,
  WebSocketEvents,
  WebSocketSide,
} from "../../runtime/http/web-socket.ts";
import type { LimitName } from "../../runtime/http/limit-names.ts";
import type { Logger } from "../../runtime/log/log.ts";
import { HandlerSockets } from "../../runtime/sockets/handler-sockets.ts";
import { createHome, type SocketHome } from "../../runtime/sockets/socket-home.ts";
import type { SocketSettings } from "../../runtime/sockets/socket-settings.ts";

export const SETTINGS: SocketSettings = {
  requestTimeoutMs: 30_000,
  webSocketMessageLimitBytes: 1024,
  webSocketBufferBytes: 4096,
  webSocketPingMs: 25_000,
  webSocketIdleTimeoutMs: 0,
};

/** A client whose side of the WebSocket is full when the test says so. */
export class FakeClient {
  readonly sent: string[] = [];
  readonly replies: number[] = [];
  readonly refusals: number[] = [];
  end: WebSocketEnd | null = null;
  events: WebSocketEvents | null = null;
  /** Bytes that wait; `null`: the client takes all. */
  waiting: number | null = null;
  hasLeft = false;
  protocol: string | null = null;
  fields = "";
  readonly client: Client;

  constructor(id: number, { fields = "", offersSocket = true } = {}) {
    const side: WebSocketSide = {
      send: (bytes) => this.#send(bytes),
      ping: () => {},
      close: (code, reason) => this.close({ code, reason }),
      destroy: () => assert.fail("not asked"),
      bufferedBytes: 0,
    };
    Object.defineProperty(side, "bufferedBytes", { get: () => this.waiting ?? 0 });
    const offer = {
      isCurrent: true,
      accept: (
        answer: { protocol: string | null; fields: string },
        events: WebSocketEvents,
      ): WebSocketSide | null => {
        if (this.hasLeft) return null;
        this.events = events;
        this.protocol = answer.protocol;
        this.fields = answer.fields;
        return side;
      },
    };
    // The parts of a client that WebSockets use.
    this.client = {
      id: id as ExchangeId,
      head: { fields, clientAddress: "192.0.2.1", origin: "http://a.example" },
      limitedBy: null,
      webSocket: offersSocket ? offer : null,
      reply: ({ status }: { status: number }) => void this.replies.push(status),
      refuse: (status: number) => void this.refusals.push(status),
    } as unknown as Client;
  }

  /** Close codes so far: none, or one. */
  get ends(): number[] {
    return this.end === null ? [] : [this.end.code];
  }

  /** The client sends a message. */
  say(text: string): void {
    this.events?.onMessage(Buffer.from(text), false);
  }

  /** The WebSocket ends. */
  close(end: WebSocketEnd): void {
    if (this.end !== null) return;
    this.end = end;
    this.events?.onClose(end);
  }

  #send(bytes: Uint8Array): "took" | "buffered" | "dropped" {
    if (this.end !== null) return "dropped";
    this.sent.push(Buffer.from(bytes).toString());
    if (this.waiting === null) return "took";
    this.waiting += bytes.length;
    return "buffered";
  }
}

/** One event that a worker has and has not handled. */
type Waiting = { id: SocketId; number: number; text: string | null };

/** A worker that counts the messages of each WebSocket in its attachment, one step at a time. */
export class FakeWorker {
  readonly home: SocketHome;
  readonly received: ToWorker[] = [];
  readonly waiting: Waiting[] = [];
  /** Attachment of each WebSocket that it knows. */
  readonly known = new Map<SocketId, number>();
  readonly topicsOf = new Map<SocketId, string[]>();
  isAlive = true;

  constructor(id: number) {
    this.home = createHome(id as WorkerId, (message) => this.#receive(message));
  }

  /** Returns the acts of the handler of the next event; `null`: there is none. */
  step(): { acts: SocketAct[]; text: string | null; id: SocketId } | null {
    const next = this.waiting.shift();
    if (next === undefined) return null;
    const { id, number, text } = next;
    const confirm: SocketAct = [Act.confirm, id, number];
    if (text === null) {
      this.known.delete(id);
      return { acts: [confirm], text, id };
    }
    const count = (this.known.get(id) ?? assert.fail("the worker does not know it")) + 1;
    this.known.set(id, count);
    const reply = Buffer.from(`${count} ${text}`);
    const attachment = Buffer.from(String(count));
    return {
      acts: [[Act.attach, id, attachment], [Act.send, id, reply, false], confirm],
      text,
      id,
    };
  }

  #receive(message: ToWorker): void {
    if (!this.isAlive) return;
    this.received.push(message);
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- only messages about WebSockets come
    switch (message[0]) {
      case Kind.socketAdopt: {
        const { attachment, topics } = message[2];
        assert.ok(!this.known.has(message[1]), "adopted twice");
        this.known.set(message[1], Number(Buffer.from(attachment ?? []).toString()));
        this.topicsOf.set(message[1], topics);
        return;
      }
      case Kind.socketMessage: {
        const [, id, number, bytes] = message;
        assert.ok(this.known.has(id), "a message of an unknown WebSocket");
        this.waiting.push({ id, number, text: Buffer.from(bytes).toString() });
        return;
      }
      case Kind.socketClosed:
        this.waiting.push({ id: message[1], number: message[2], text: null });
        return;
      case Kind.socketForget:
        this.known.delete(message[1]);
        return;
      default:
        assert.ok(
          message[0] === Kind.socketBuffered ||
            message[0] === Kind.socketOpened ||
            message[0] === Kind.socketFlushed,
        );
    }
  }
}

/** Text of a message at which a worker crashes. */
export const POISON = "poison";

/** WebSockets of one route, and the workers that answer for it. */
export class FakeServer {
  readonly workers = new Set<FakeWorker>();
  readonly limits: LimitName[] = [];
  readonly errors: string[] = [];
  readonly sockets: HandlerSockets;
  hasRoute = true;
  nowMs = 0;
  crashes = 0;
  #lastWorker = 0;

  constructor(settings: Partial<SocketSettings> = {}, { mostWaitingBytes = 1e9 } = {}) {
    this.sockets = new HandlerSockets({
      log: { error: (_: object, text: string) => this.errors.push(text) } as unknown as Logger,
      now: () => this.nowMs,
      mostWaitingBytes,
      counters: { limit: (name) => void this.limits.push(name) },
      settingsOf: () => ({ ...SETTINGS, ...settings }),
      locate: () => {
        if (!this.hasRoute) return null;
        const homes = [...this.workers].filter(({ isAlive }) => isAlive);
        return { pool: this, route: 3, params: null, homes: homes.map(({ home }) => home) };
      },
    });
  }

  startWorker(): FakeWorker {
    const worker = new FakeWorker(++this.#lastWorker);
    this.workers.add(worker);
    this.sockets.ready();
    return worker;
  }

  /** The worker gets nothing new. */
  retire(worker: FakeWorker): void {
    this.workers.delete(worker);
    this.sockets.retire(worker.home, 0);
  }

  kill(worker: FakeWorker, { isSuspect = false, hasOtherWork = false } = {}): void {
    this.workers.delete(worker);
    worker.isAlive = false;
    this.sockets.lose(worker.home, { isSuspect, hasOtherWork });
  }

  /** The worker carries out the handler of its next event. At `POISON` it crashes, and another one takes its place. */
  step(worker: FakeWorker): ReturnType<FakeWorker["step"]> {
    const [next] = worker.waiting;
    if (worker.isAlive && next?.text === POISON) {
      this.crashes++;
      this.startWorker();
      this.kill(worker, { isSuspect: true });
      return { acts: [], text: POISON, id: next.id };
    }
    const done = worker.isAlive ? worker.step() : null;
    if (done !== null) this.sockets.take(worker.home, "", done.acts);
    return done;
  }

  /** A handler in this worker accepts a WebSocket. */
  accept(
    worker: FakeWorker,
    client: FakeClient,
    { isBound = false, isPaced = false, acts = [] as SocketAct[], fields = "" } = {},
  ): void {
    const { id } = client.client;
    worker.known.set(id, 0);
    const start: SocketAct = [Act.attach, id, Buffer.from("0")];
    this.sockets.accept(
      client.client,
      { home: worker.home, site: "", url: "http://a.example/chat" },
      [Kind.responseSocket, id, fields, isBound, [start, ...acts], isPaced],
    );
  }

  /** Lets all workers handle all events. */
  settle(): void {
    for (let isDone = false; !isDone;) {
      isDone = true;
      for (const worker of this.workers) {
        while (this.step(worker) !== null) isDone = false;
      }
    }
  }
}
