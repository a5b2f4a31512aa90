import { deserialize, serialize } from "node:v8";
import { isOwnCloseCode } from "../lib/close-codes.ts";
import {
  type ListenerOptions,
  SafeEventTarget,
  SocketCloseEvent,
  type SocketErrorEvent,
  type SocketListener,
} from "./socket-events.ts";
import { NO_LINK, PendingLink, type SocketBounds, type SocketLink } from "./socket-link.ts";

/** The states of the WebSockets standard. */
const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;

/** Longest reason of a close frame, in bytes (RFC 6455 section 5.5). */
const MOST_REASON_BYTES = 123;

/** A request that became a WebSocket. */
export interface SocketFacts {
  readonly url: string;
  readonly headers: () => Headers;
  readonly protocol: string;
}

type Data = string | ArrayBuffer | ArrayBufferView | Blob;
type Handler<E extends Event> = ((event: E) => unknown) | null;
type AnyHandler = ((event: Event) => unknown) | null;

/** The events of a WebSocket, by their types. */
export interface ServerSocketEvents {
  open: Event;
  message: MessageEvent;
  close: SocketCloseEvent;
  error: SocketErrorEvent;
  drain: Event;
}

/**
 * A WebSocket in a handler: the server's side, as in the WebSockets standard and in Workers, with topics and a state that
 * outlives the worker.
 */
export class ServerSocket extends SafeEventTarget {
  static readonly CONNECTING = CONNECTING;
  static readonly OPEN = OPEN;
  static readonly CLOSING = CLOSING;
  static readonly CLOSED = CLOSED;
  readonly CONNECTING = CONNECTING;
  readonly OPEN = OPEN;
  readonly CLOSING = CLOSING;
  readonly CLOSED = CLOSED;
  readonly #bounds: SocketBounds;
  #link: SocketLink = new PendingLink();
  #state: number = CONNECTING;
  #isAccepted = false;
  #hasListeners = false;
  #facts: SocketFacts = NO_FACTS;
  #attachment: Uint8Array | null = null;
  readonly #topics = new Set<string>();
  #binaryType: "arraybuffer" | "blob" = "arraybuffer";
  /** Bytes that wait in the server for a slow client. */
  #waiting = 0;
  /** Bytes that were sent in this turn of the event loop. */
  #sent = 0;
  #isCounting = false;
  #drains: (() => void)[] = [];

  constructor(bounds: SocketBounds) {
    super();
    this.#bounds = bounds;
  }

  /** Tells the worker's side of a WebSocket from other values. */
  static is(value: unknown): value is ServerSocket {
    return typeof value === "object" && value !== null && #state in value;
  }

  /** Connects it with its client. Repeats the calls that the handler made before. */
  static connect(socket: ServerSocket, link: SocketLink, facts: SocketFacts): void {
    const pending = socket.#link;
    socket.#link = link;
    socket.#facts = facts;
    if (socket.#state === CONNECTING) socket.#state = OPEN;
    if (pending instanceof PendingLink) pending.replay(link);
  }

  /** Gives it the state that its handler kept in another worker. */
  static restore(
    socket: ServerSocket,
    { attachment, topics }: { attachment: Uint8Array | null; topics: readonly string[] },
  ): void {
    socket.#attachment = attachment;
    for (const topic of topics) socket.#topics.add(topic);
  }

  /** Tells whether closures receive its events. */
  static isBound(socket: ServerSocket): boolean {
    return socket.#isAccepted;
  }

  /** Tells whether listeners were added, perhaps without `accept()`. */
  static hasListeners(socket: ServerSocket): boolean {
    return socket.#hasListeners;
  }

  static message(socket: ServerSocket, message: string | ArrayBuffer): void {
    if (socket.#state === CLOSED) return;
    const isBlob = typeof message !== "string" && socket.#binaryType === "blob";
    const data = isBlob ? new Blob([message]) : message;
    socket.dispatchEvent(new MessageEvent("message", { data }));
  }

  static opened(socket: ServerSocket): void {
    socket.dispatchEvent(new Event("open"));
  }

  static buffered(socket: ServerSocket, bytes: number): void {
    socket.#waiting = bytes;
    if (bytes > 0) return;
    for (const resolve of socket.#drains.splice(0)) resolve();
    socket.dispatchEvent(new Event("drain"));
  }

  /** The WebSocket is over. With `isTold`, listeners learn it. */
  static ended(
    socket: ServerSocket,
    end: { code: number; reason: string; wasClean: boolean },
    { isTold }: { isTold: boolean },
  ): void {
    if (socket.#state === CLOSED) return;
    socket.#state = CLOSED;
    socket.#link = NO_LINK;
    socket.#waiting = 0;
    for (const resolve of socket.#drains.splice(0)) resolve();
    if (isTold) socket.dispatchEvent(new SocketCloseEvent(end));
  }

  get [Symbol.toStringTag](): string {
    return "WebSocket";
  }

  get readyState(): number {
    return this.#state;
  }

  /** The URL of the request. */
  get url(): string {
    return this.#facts.url;
  }

  /** The fields of the request. In a worker that did not see the request, without large ones. */
  get headers(): Headers {
    return this.#facts.headers();
  }

  /** The subprotocol; `""`: none. */
  get protocol(): string {
    return this.#facts.protocol;
  }

  get extensions(): string {
    return "";
  }

  get binaryType(): "arraybuffer" | "blob" {
    return this.#binaryType;
  }

  set binaryType(type: "arraybuffer" | "blob") {
    if (type === "arraybuffer" || type === "blob") this.#binaryType = type;
  }

  /** Bytes that wait in the server because the client is slow, and those that were sent in this turn of the event loop. */
  get bufferedAmount(): number {
    return this.#waiting + this.#sent;
  }

  /** Resolves once the client has taken all bytes that wait, or is gone. */
  get drained(): Promise<void> {
    if (this.#waiting === 0) return Promise.resolve();
    return new Promise((resolve) => this.#drains.push(resolve));
  }

  /** The topics to which it is subscribed. */
  get topics(): readonly string[] {
    return [...this.#topics];
  }

  /** Lets listeners receive its events, in this worker. Without it, `webSocketMessage` of the module receives them. */
  accept(): void {
    this.#isAccepted = true;
    if (this.#state === CONNECTING) this.#state = OPEN;
  }

  /**
   * Sends a message. Text is UTF-8.
   *
   * @returns False: bytes wait for a slow client. `await socket.drained` before more is sent.
   */
  send(data: Data): boolean {
    if (data instanceof Blob) {
      // The order of messages counts: later ones must not overtake it, and reading a blob takes time.
      throw new TypeError(
        "Cannot send a Blob: found a Blob, expected text or bytes: await blob.arrayBuffer()",
      );
    }
    const bytes = toBytes(data, this.#bounds.messageBytes);
    if (this.#state >= CLOSING) return false;
    this.#count(bytes.length);
    this.#link.send(bytes, typeof data !== "string");
    return this.#waiting === 0;
  }

  /** Begins to close. The event "close" follows. */
  close(code = 1000, reason = ""): void {
    if (!isOwnCloseCode(code)) {
      throw new DOMException(
        `Cannot close a WebSocket: found the code ${code}, expected 1000, 1001, 1007 to 1009, 1011 to 1014 or 3000 to 4999`,
        "InvalidAccessError",
      );
    }
    if (Buffer.byteLength(reason) > MOST_REASON_BYTES) {
      throw new DOMException(
        `Cannot close a WebSocket: found a reason of ${Buffer.byteLength(reason)} bytes, expected at most ${MOST_REASON_BYTES}`,
        "SyntaxError",
      );
    }
    if (this.#state >= CLOSING) return;
    this.#state = CLOSING;
    this.#link.close(code, reason);
  }

  /**
   * Keeps a value for the worker that gets the WebSocket next. It replaces the value before.
   *
   * @param value Anything that `structuredClone` takes, in at most 16 KiB.
   */
  serializeAttachment(value: unknown): void {
    const bytes = value === undefined || value === null ? null : serialize(value);
    const most = this.#bounds.attachmentBytes;
    if (bytes !== null && bytes.length > most) {
      throw new RangeError(
        `Cannot keep an attachment: found ${bytes.length} bytes, expected at most ${most}. Keep a key, and the rest in a database`,
      );
    }
    this.#attachment = bytes;
    this.#link.attach(bytes);
  }

  /** Returns a copy of the value that was kept last; `null`: none. */
  deserializeAttachment(): unknown {
    return this.#attachment === null ? null : (deserialize(this.#attachment) as unknown);
  }

  /** Lets the client get messages that handlers publish under a topic, in any worker. */
  subscribe(topic: string): void {
    const { topics, topicLength } = this.#bounds;
    checkTopic(topic, topicLength);
    if (this.#topics.has(topic) || this.#state >= CLOSING) return;
    if (this.#topics.size >= topics) {
      throw new RangeError(
        `Cannot subscribe: found ${topics} topics of this WebSocket, expected at most so many`,
      );
    }
    this.#topics.add(topic);
    this.#link.subscribe(topic);
  }

  unsubscribe(topic: string): void {
    if (this.#topics.delete(topic)) this.#link.unsubscribe(topic);
  }

  /** Sends a message to all subscribers of a topic, except this WebSocket. */
  publish(topic: string, data: string | ArrayBuffer | ArrayBufferView): void {
    const { topicLength, messageBytes } = this.#bounds;
    checkTopic(topic, topicLength);
    this.#link.publish(topic, toBytes(data, messageBytes), typeof data !== "string");
  }

  get onopen(): AnyHandler {
    return this.handlerOf("open");
  }

  set onopen(handler: Handler<Event>) {
    this.setHandler("open", handler);
  }

  get onmessage(): AnyHandler {
    return this.handlerOf("message");
  }

  set onmessage(handler: Handler<MessageEvent>) {
    this.setHandler("message", handler);
  }

  get onclose(): AnyHandler {
    return this.handlerOf("close");
  }

  set onclose(handler: Handler<SocketCloseEvent>) {
    this.setHandler("close", handler);
  }

  get onerror(): AnyHandler {
    return this.handlerOf("error");
  }

  set onerror(handler: Handler<Event>) {
    this.setHandler("error", handler);
  }

  override addEventListener<Type extends keyof ServerSocketEvents>(
    type: Type,
    listener: ((event: ServerSocketEvents[Type]) => unknown) | null,
    options?: ListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: SocketListener,
    options?: ListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: SocketListener,
    options?: ListenerOptions,
  ): void {
    if (type === "message" || type === "close" || type === "open") this.#hasListeners = true;
    super.addEventListener(type, listener, options);
  }

  #count(bytes: number): void {
    this.#sent += bytes;
    if (this.#isCounting) return;
    this.#isCounting = true;
    setImmediate(() => {
      this.#isCounting = false;
      this.#sent = 0;
    });
  }
}

const NO_FACTS: SocketFacts = { url: "", headers: () => new Headers(), protocol: "" };

/** Returns a message as its handler gets it. The bytes are lent, and copied. */
export function toMessage(bytes: Uint8Array, isBinary: boolean): string | ArrayBuffer {
  return isBinary ? toBuffer(bytes) : toText(bytes);
}

/**
 * Returns the bytes of a message.
 *
 * @throws TypeError for a value that is neither text nor bytes; RangeError for more than `most` bytes.
 */
export function toBytes(data: unknown, most: number): Uint8Array {
  const bytes = toUint8Array(data);
  if (bytes.length <= most) return bytes;
  throw new RangeError(
    `Cannot send a message: found ${bytes.length} bytes, expected at most ${most}`,
  );
}

/** @throws TypeError for a name that no topic may have. */
export function checkTopic(topic: unknown, most: number): asserts topic is string {
  if (typeof topic === "string" && topic.length > 0 && topic.length <= most) return;
  const found = typeof topic === "string" ? `${topic.length} characters` : `a ${typeof topic}`;
  throw new TypeError(
    `Cannot use a topic: found ${found}, expected a text of 1 to ${most} characters`,
  );
}

function toUint8Array(data: unknown): Uint8Array {
  if (typeof data === "string") return Buffer.from(data);
  // Copied: the handler may change its bytes before they leave.
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) {
    return new Uint8Array(data.slice(0));
  }
  if (ArrayBuffer.isView(data)) {
    const { buffer, byteOffset, byteLength } = data;
    return Uint8Array.from(new Uint8Array(buffer, byteOffset, byteLength));
  }
  const found = data === null ? "null" : `a value of type ${typeof data}`;
  throw new TypeError(`Cannot send a message: found ${found}, expected text or bytes`);
}

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}

function toBuffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer;
}
