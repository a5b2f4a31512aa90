import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { HashQuestion } from "./hash-thread.ts";

/** Most comparisons that wait, of all clients. bcrypt takes 60 ms at its usual cost, so the last one waits for 8 s. */
const MOST_WAITING = 128;

/** Most comparisons that wait for one client network: others get their turn although it tries many passwords. */
const MOST_PER_CLIENT = 4;

/** The thread ends after so long without work. It takes about 10 MB. */
const IDLE_MS = 60_000;

/** The outcome of a comparison. `busy`: too many wait, of all clients or of this one. */
export type PasswordVerdict = "right" | "wrong" | "busy" | "client-busy";

/** Compiled, it is beside the file that contains this module. */
const HASH_THREAD = new URL(`./hash-thread${extname(import.meta.url)}`, import.meta.url);

interface Waiting {
  question: HashQuestion;
  resolve: (verdict: PasswordVerdict) => void;
  reject: (error: Error) => void;
}

/**
 * Compares passwords with hashes in a thread of its own, one at a time: the event loop stays free, and so do the other
 * cores. Clients take turns, and the queue has a bound, so that wrong passwords of one client lock out no other.
 *
 *     verify ──▶ queue of its client ──turn──▶ thread ──▶ verdict
 */
export class PasswordChecks {
  readonly #entry: URL;
  /** Queues by client, in the order of their turns. Has no empty one. */
  readonly #queues = new Map<string, Waiting[]>();
  #waiting = 0;
  #running: Waiting | null = null;
  #thread: Worker | null = null;
  #idleTimer: NodeJS.Timeout | undefined;

  /** @param entry The program of the thread. */
  constructor(entry: URL = HASH_THREAD) {
    this.#entry = entry;
  }

  /**
   * Compares a password with a hash.
   *
   * @param client Names the client: its address, or the network whose addresses it may all use.
   * @throws Error when the thread fails.
   */
  verify(question: HashQuestion, client: string): Promise<PasswordVerdict> {
    const queue = this.#queues.get(client) ?? [];
    if (queue.length >= MOST_PER_CLIENT) return Promise.resolve("client-busy");
    if (this.#waiting >= MOST_WAITING) return Promise.resolve("busy");
    return new Promise((resolve, reject) => {
      queue.push({ question, resolve, reject });
      this.#queues.set(client, queue);
      this.#waiting++;
      this.#next();
    });
  }

  /** Ends the thread. Comparisons that wait fail. */
  async close(): Promise<void> {
    clearTimeout(this.#idleTimer);
    const thread = this.#thread;
    this.#fail(new Error("closed"));
    await thread?.terminate();
  }

  #next(): void {
    if (this.#running !== null) return;
    const [turn] = this.#queues;
    if (turn === undefined) {
      this.#endWhenIdle();
      return;
    }
    const [client, queue] = turn;
    const first = queue.shift();
    // To the end of the order.
    this.#queues.delete(client);
    if (queue.length > 0) this.#queues.set(client, queue);
    if (first === undefined) return;
    this.#waiting--;
    this.#running = first;
    clearTimeout(this.#idleTimer);
    this.#thread ??= this.#startThread();
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- A thread, not a window.
    this.#thread.postMessage(first.question);
  }

  #startThread(): Worker {
    const thread = new Worker(this.#entry);
    thread.unref();
    thread.on("message", (isRight: boolean) => {
      const running = this.#running;
      this.#running = null;
      running?.resolve(isRight ? "right" : "wrong");
      this.#next();
    });
    thread.on("error", (error) => {
      if (this.#thread === thread) this.#fail(error);
    });
    thread.on("exit", (code) => {
      if (this.#thread === thread) this.#fail(new Error(`thread exited with ${code}`));
    });
    return thread;
  }

  /** Fails all comparisons. The next one starts another thread. */
  #fail(error: Error): void {
    const failed = this.#running === null ? [] : [this.#running];
    for (const queue of this.#queues.values()) failed.push(...queue);
    this.#queues.clear();
    this.#waiting = 0;
    this.#running = null;
    this.#thread = null;
    for (const { reject } of failed) reject(error);
  }

  #endWhenIdle(): void {
    clearTimeout(this.#idleTimer);
    this.#idleTimer = setTimeout(() => {
      const thread = this.#thread;
      this.#thread = null;
      void thread?.terminate();
    }, IDLE_MS);
    this.#idleTimer.unref();
  }
}
