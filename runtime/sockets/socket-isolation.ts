import { mayRun, PATIENCE_MS, placeSuspect, type SuspectPlace } from "./place-suspect.ts";
import type { SocketHome, SocketPlace } from "./socket-home.ts";

/** Time between two looks at suspects that wait. */
const LOOK_MS = PATIENCE_MS / 4;

/** The parts of a WebSocket that the isolation needs. */
export interface IsolatedSocket {
  /** Goes to a worker, which gets one event. */
  runAt(home: SocketHome, place: SocketPlace): void;
  /** No handler takes it any more. */
  giveUp(): void;
}

export interface SocketIsolationOptions<Socket> {
  now: () => number;
  locate: (socket: Socket) => SocketPlace | null;
  /** WebSockets with events at this worker must leave it. */
  onKept: (home: SocketHome) => void;
  /** A worker takes other WebSockets again. */
  onOpen: () => void;
}

/**
 * Holds the WebSockets whose next event was in a worker that crashed, and gives them to workers one at a time
 * (`place-suspect.ts`): then only the cause of a crash is blamed for it.
 *
 * The counterpart for requests is `recovery/isolation.ts`. Requests have no state in a worker and no order, so both share
 * no code.
 */
export class SocketIsolation<Socket extends IsolatedSocket> {
  readonly #options: SocketIsolationOptions<Socket>;
  /** Suspects by pool, in their order, with the time since when each one waits. */
  readonly #queues = new Map<object, Map<Socket, number>>();
  /** Workers that have a suspect, and since when. */
  readonly #runs = new Map<SocketHome, { socket: Socket; sinceMs: number }>();
  readonly #kept = new Map<SocketHome, object>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SocketIsolationOptions<Socket>) {
    this.#options = options;
  }

  /** Tells whether suspects wait or run, or workers are kept. */
  get isActive(): boolean {
    return this.#queues.size > 0 || this.#kept.size > 0 || this.#runs.size > 0;
  }

  /** Takes a WebSocket that waits for a worker. `step` must follow. */
  add(socket: Socket, { pool }: SocketPlace): void {
    const queue = this.#queues.get(pool);
    const nowMs = this.#options.now();
    if (queue === undefined) this.#queues.set(pool, new Map([[socket, nowMs]]));
    else if (!queue.has(socket)) queue.set(socket, nowMs);
  }

  /** Forgets a WebSocket that waits. */
  remove(socket: Socket): void {
    for (const queue of this.#queues.values()) queue.delete(socket);
  }

  /** A WebSocket has left a worker, which may get the next suspect. */
  finish(home: SocketHome, socket: Socket): void {
    if (this.#runs.get(home)?.socket === socket) this.#runs.delete(home);
  }

  /** A worker takes nothing new, or is lost. */
  detach(home: SocketHome): void {
    this.#runs.delete(home);
    this.#open(home);
  }

  /** Gives suspects to workers, as far as possible now. Call after each change of workers and suspects. */
  step(): void {
    for (const [pool, queue] of this.#queues) {
      while (this.#placeNext(pool, queue));
      if (queue.size === 0) this.#queues.delete(pool);
    }
    this.#openUnneeded();
    this.#lookAgain();
  }

  /** Forgets all. */
  destroy(): void {
    this.#queues.clear();
    clearTimeout(this.#timer);
  }

  /** Returns false if the first suspect of a queue must wait. */
  #placeNext(pool: object, queue: Map<Socket, number>): boolean {
    const [first] = queue;
    if (first === undefined) return false;
    const [socket, sinceMs] = first;
    const place = this.#options.locate(socket);
    if (place === null) {
      queue.delete(socket);
      socket.giveUp();
      return true;
    }
    const nowMs = this.#options.now();
    const places = [...place.homes].map((home) => this.#describe(home, nowMs));
    const step = placeSuspect(places, nowMs - sinceMs);
    if (step.do === "wait") return false;
    const { home } = step.at;
    if (step.do === "open") {
      this.#open(home);
      this.#options.onOpen();
      return true;
    }
    if (step.do === "keep") {
      home.isKept = true;
      this.#kept.set(home, pool);
      this.#options.onKept(home);
      return true;
    }
    queue.delete(socket);
    this.#runs.set(home, { socket, sinceMs: nowMs });
    socket.runAt(home, place);
    return true;
  }

  #describe(home: SocketHome, nowMs: number): SuspectPlace & { home: SocketHome } {
    const run = this.#runs.get(home);
    const runsForMs = run === undefined ? null : nowMs - run.sinceMs;
    return { home, isKept: home.isKept, busy: home.busy, runsForMs };
  }

  /** Opens workers to other WebSockets if no suspect needs them. */
  #openUnneeded(): void {
    const nowMs = this.#options.now();
    let hasOpened = false;
    for (const [home, pool] of this.#kept) {
      if (this.#queues.has(pool) || !mayRun(this.#describe(home, nowMs))) continue;
      this.#open(home);
      hasOpened = true;
    }
    if (hasOpened) this.#options.onOpen();
  }

  #open(home: SocketHome): void {
    this.#kept.delete(home);
    home.isKept = false;
  }

  #lookAgain(): void {
    if (this.#queues.size === 0 && this.#kept.size === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      return;
    }
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.step();
    }, LOOK_MS).unref();
  }
}
