import { once } from "node:events";
import type { WebSocket } from "ws";

export interface SessionOptions {
  /** Ends the wait for the connection. */
  signal: AbortSignal;
  /** Longest message of the other process; a longer one ends the session. */
  maxMessageBytes: number;
}

/** A call that waits for its answer. */
interface Call {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
}

/**
 * A session of the DevTools protocol with Node's inspector in another process
 * (https://chromedevtools.github.io/devtools-protocol/v8/). Ends with its connection: then all calls reject.
 */
export class InspectorSession {
  readonly #socket: WebSocket;
  readonly #calls = new Map<number, Call>();
  readonly #over = new AbortController();
  #lastId = 0;
  /** Receives the events of the other process. Must not throw. */
  onEvent: (method: string, params: unknown) => void = () => {};

  /** Rejects when the connection cannot be opened, and with the signal. */
  static async connect(
    url: string,
    { signal, maxMessageBytes }: SessionOptions,
  ): Promise<InspectorSession> {
    // Importing takes 15 ms, and is hardly ever needed.
    const { WebSocket } = await import("ws");
    const socket = new WebSocket(url, { perMessageDeflate: false, maxPayload: maxMessageBytes });
    // A pending wait gets the error itself. Later errors close the session.
    socket.on("error", () => {});
    try {
      await once(socket, "open", { signal });
    } catch (error) {
      socket.terminate();
      throw error;
    }
    return new InspectorSession(socket);
  }

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("message", (data: Buffer) => this.#receive(data.toString()));
    socket.on("close", () => {
      const error = new Error("the inspector closed the session");
      for (const { reject } of this.#calls.values()) reject(error);
      this.#calls.clear();
      this.#over.abort();
    });
  }

  /** Aborts when the session has ended. */
  get ended(): AbortSignal {
    return this.#over.signal;
  }

  /** Returns the result of a method. Rejects when the method fails, when the session ends, and with the signal. */
  async call(method: string, params: object, signal: AbortSignal): Promise<unknown> {
    signal.throwIfAborted();
    if (this.#socket.readyState !== this.#socket.OPEN) throw new Error("the session is over");
    const id = ++this.#lastId;
    const abandon = (): void => {
      const call = this.#calls.get(id);
      this.#calls.delete(id);
      call?.reject(new DOMException("The call was abandoned", "AbortError"));
    };
    signal.addEventListener("abort", abandon, { once: true });
    try {
      return await new Promise<unknown>((resolve, reject) => {
        this.#calls.set(id, { resolve, reject });
        this.#socket.send(JSON.stringify({ id, method, params }));
      });
    } finally {
      signal.removeEventListener("abort", abandon);
    }
  }

  /** Returns the value of an expression, if it is plain data. Rejects when it throws, and as `call` does. */
  async evaluate(expression: string, signal: AbortSignal): Promise<unknown> {
    const params = { expression, returnByValue: true };
    // https://chromedevtools.github.io/devtools-protocol/v8/Runtime/#method-evaluate
    const { result, exceptionDetails } = (await this.call("Runtime.evaluate", params, signal)) as {
      result: { value?: unknown };
      exceptionDetails?: unknown;
    };
    if (exceptionDetails !== undefined) throw new Error("the expression failed");
    return result.value;
  }

  /**
   * Closes the inspector of the other process, so that no other program finds it open. Works while the event loop of the
   * process is blocked. Never rejects; ends with the signal.
   */
  async shut(signal: AbortSignal): Promise<void> {
    try {
      await this.evaluate(SHUT, signal);
    } catch {
      // The expected outcome: the session ends before the answer.
    } finally {
      this.close();
    }
  }

  /** Ends the session. Idempotent. */
  close(): void {
    this.#socket.terminate();
  }

  #receive(text: string): void {
    const { id, method, params, result, error } = JSON.parse(text) as {
      id?: number;
      method?: string;
      params?: unknown;
      result?: unknown;
      error?: { message?: string };
    };
    if (id === undefined) {
      this.onEvent(method ?? "", params);
      return;
    }
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(error.message ?? "the inspector refused the call"));
  }
}

/** The port is set to 0 again, so that the next SIGUSR1 opens the inspector at any free port. */
const SHUT = `process.getBuiltinModule("node:inspector").close(); process.debugPort = 0;`;
