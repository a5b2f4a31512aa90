import type { Socket } from "node:net";
import type { CopyBuffer } from "./copy-buffer.ts";
import { PIECE_BYTES } from "./copy-buffer.ts";
import type {
  ExchangeEvents,
  UpstreamFailure,
  UpstreamRequest,
  UpstreamTimeouts,
} from "./exchange.ts";
import { type ExchangeConnection, ExchangeRun } from "./exchange-run.ts";
import { codeOf, toReason } from "./failure-reason.ts";
import { delayWriteErrors } from "./late-write-error.ts";
import type { SocketOpener } from "./open-socket.ts";
import type { FieldNames, ParsedHead } from "./response-head.ts";
import { ResponseReader, type ReaderSink } from "./response-reader.ts";
import type { Sweep } from "./sweep.ts";
import { TunnelSocket } from "./tunnel-socket.ts";

/** The upstream server, as its connections see it. */
export interface ConnectionOwner {
  readonly sweep: Sweep;
  readonly copies: CopyBuffer;
  readonly names: FieldNames;
  readonly headBytes: number;
  readonly fields: number;
  /** An exchange is over. Called before its last event. */
  onSettled(): void;
  /** The connection may carry another request. */
  onIdle(connection: UpstreamConnection, keepAlive: string): void;
  /** The connection became a tunnel. */
  onTunnel(connection: UpstreamConnection): void;
  /** The connection is of no further use. Called once. */
  onClosed(connection: UpstreamConnection): void;
}

/** Facts about a failure that the connection cannot see itself. */
interface FailureDetails {
  timedOut?: boolean;
  /** False: no byte of the request has left. */
  sent?: boolean;
  code?: string | null;
}

/** A whole body of this size travels with its head, in one write. */
const JOINED_BYTES = 16_384;

/**
 * Largest first write of which the system takes all or nothing: the buffer of an idle connection always has room for
 * it. When it fails, nothing has left.
 */
const ATOMIC_BYTES = 4096;

const LAST_CHUNK = "0\r\n\r\n";

/**
 * One connection to an upstream server, and the exchange that it carries.
 *
 *     opening ──▶ busy ◀──▶ idle
 *        │         │ └──▶ tunnel
 *        └────▶ closed ◀────┘
 */
export class UpstreamConnection implements ExchangeConnection, ReaderSink {
  /** `Sweep.nowMs` at which an idle connection is closed. */
  expiresMs = 0;
  readonly #owner: ConnectionOwner;
  readonly #socket: Socket;
  readonly #isEncrypted: boolean;
  readonly #reader: ResponseReader;
  #openness: "connect" | "tls" | "open" = "connect";
  #isClosed = false;
  #run: ExchangeRun | null = null;
  #tunnel: TunnelSocket | null = null;
  /** Requests before the present one. */
  #served = -1;
  #keeps = false;
  #keepAlive = "";
  /** The final head of the response has been read. */
  #hasHead = false;
  #isPaused = false;
  /** Bytes that arrived in a pause, and whether the upstream's end came behind them. */
  #held: Buffer | null = null;
  #isEndHeld = false;
  /** Rest of a large whole body. */
  #rest: Uint8Array | null = null;
  #delaysErrors = false;
  #givenBytes = 0;
  #flushedBytes = 0;
  #isFirstWrite = false;
  /** `Sweep.nowMs` of the last progress. */
  #sinceMs = 0;

  constructor(owner: ConnectionOwner, sockets: SocketOpener) {
    this.#owner = owner;
    this.#isEncrypted = sockets.isEncrypted;
    const { names, headBytes, fields } = owner;
    this.#reader = new ResponseReader({ sink: this, names, headBytes, fields });
    const socket = sockets.open((bytes, size) => this.#onRead(bytes, size));
    this.#socket = socket;
    socket.on("connect", () => this.#onOpen(sockets.isEncrypted ? "tls" : "open"));
    if (sockets.isEncrypted) socket.on("secureConnect", () => this.#onOpen("open"));
    socket.on("drain", () => this.#onDrain());
    socket.on("end", () => this.#onEnd());
    socket.on("error", (error) => this.#onError(error));
    socket.on("close", () => this.#onClose());
  }

  get isFlushed(): boolean {
    return this.#rest === null && this.#socket.writableLength === 0;
  }

  /** Sends a request. The connection must be new or idle. */
  begin(
    request: UpstreamRequest,
    options: { head: string; events: ExchangeEvents; timeouts: UpstreamTimeouts },
  ): ExchangeRun {
    const { head, events, timeouts } = options;
    const { body } = request;
    const run = new ExchangeRun(request, { events, timeouts, connection: this });
    this.#run = run;
    this.#served += 1;
    this.#hasHead = false;
    this.#sinceMs = this.#owner.sweep.nowMs;
    this.#reader.begin({
      isHead: request.method === "HEAD",
      asksForUpgrade: request.upgrade !== null,
    });
    if (body === null) this.#writeHead(head);
    else if (body === "follows") {
      this.#delayErrors();
      this.#writeHead(head);
    } else if (body.length <= JOINED_BYTES) this.#writeHead(head + toLatin1(body));
    else {
      this.#delayErrors();
      this.#writeHead(head);
      this.#rest = Buffer.from(body);
      this.#writeRest();
    }
    return run;
  }

  writePiece(bytes: Uint8Array, { asChunk }: { asChunk: boolean }): boolean {
    this.#isFirstWrite = false;
    let takesMore = true;
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const copy = this.#owner.copies.copy(bytes.subarray(at, at + PIECE_BYTES), { asChunk });
      this.#givenBytes += copy.length;
      takesMore = this.#socket.write(copy);
      if (this.#socket.writableLength === 0) this.#owner.copies.giveBack(copy);
    }
    return takesMore;
  }

  writeLastChunk(): void {
    this.#isFirstWrite = false;
    this.#givenBytes += LAST_CHUNK.length;
    this.#socket.write(LAST_CHUNK, "latin1");
  }

  pause(): void {
    this.#isPaused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#sinceMs = this.#owner.sweep.nowMs;
    if (this.#held === null && !this.#isEndHeld) this.#socket.resume();
    else setImmediate(this.#readHeld);
  }

  drop(): void {
    const run = this.#takeRun();
    this.destroy();
    if (run !== null) this.#owner.onSettled();
  }

  fail(reason: string, details: FailureDetails = {}): void {
    const failure = this.#toFailure(reason, details);
    const run = this.#takeRun();
    this.destroy();
    if (run === null) return;
    this.#owner.onSettled();
    run.events.onFailed(failure);
  }

  /** Ends the connection without an event of its exchange. */
  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#held = null;
    this.#rest = null;
    this.#reader.stop();
    this.#socket.destroy();
    this.#owner.onClosed(this);
  }

  /** Ends the connection if a time limit has passed. */
  check(nowMs: number): void {
    const run = this.#run;
    if (run === null) {
      if (this.#tunnel === null && nowMs >= this.expiresMs) this.destroy();
      return;
    }
    const limit = this.#currentLimit(run, nowMs);
    if (limit === null || limit.ms <= 0) return;
    if (nowMs - this.#sinceMs > limit.ms + this.#owner.sweep.intervalMs)
      this.fail(`${limit.text} within ${limit.ms} ms`, { timedOut: true });
  }

  onInformational(status: number, fields: string): void {
    this.#run?.events.onInformational(status, fields);
  }

  onHead(head: ParsedHead): void {
    this.#hasHead = true;
    this.#keeps = head.keeps;
    this.#keepAlive = head.keepAlive;
    this.#run?.events.onHead(head);
  }

  onBody(bytes: Buffer): boolean {
    this.#run?.events.onChunk(bytes);
    return !this.#isPaused;
  }

  onComplete(hasSurplus: boolean): void {
    const run = this.#takeRun();
    if (run === null) return;
    const isReusable = this.#keeps && !hasSurplus && run.isRequestSent && !this.#isClosed;
    this.#owner.onSettled();
    if (isReusable) {
      if (this.#isPaused) this.#socket.resume();
      this.#isPaused = false;
      this.#owner.onIdle(this, this.#keepAlive);
    } else this.destroy();
    run.events.onEnd();
  }

  onSwitch(head: ParsedHead, bytes: Buffer): void {
    const run = this.#takeRun();
    if (run === null) return;
    const tunnel = new TunnelSocket(this.#socket);
    this.#tunnel = tunnel;
    this.#owner.onSettled();
    this.#owner.onTunnel(this);
    run.events.onUpgraded(head, tunnel, Buffer.from(bytes));
  }

  onRefused(reason: string): void {
    this.fail(`the upstream sent ${reason}`);
  }

  /** Takes the exchange from the connection. It gets no event before the caller sends it the last one. */
  #takeRun(): ExchangeRun | null {
    const run = this.#run;
    this.#run = null;
    run?.leave();
    return run;
  }

  #writeHead(text: string): void {
    this.#givenBytes += text.length;
    this.#isFirstWrite = text.length <= ATOMIC_BYTES && !this.#isEncrypted;
    this.#socket.write(text, "latin1");
  }

  /** Writes a large whole body piece by piece: progress is seen, and no more is copied than the socket takes. */
  #writeRest(): void {
    this.#isFirstWrite = false;
    while (this.#rest !== null) {
      const piece = this.#rest.subarray(0, PIECE_BYTES);
      this.#rest = this.#rest.length > PIECE_BYTES ? this.#rest.subarray(PIECE_BYTES) : null;
      this.#givenBytes += piece.length;
      if (!this.#socket.write(piece)) return;
    }
  }

  #delayErrors(): void {
    if (this.#delaysErrors) return;
    this.#delaysErrors = true;
    delayWriteErrors(this.#socket);
  }

  #onOpen(openness: "tls" | "open"): void {
    this.#openness = openness;
  }

  #onDrain(): void {
    if (this.#rest !== null) this.#writeRest();
    else this.#run?.drain();
  }

  #onRead(bytes: Buffer, size: number): void {
    if (this.#tunnel !== null) this.#tunnel.receive(bytes.subarray(0, size));
    // A response without a request, or a notice before the upstream closes.
    else if (this.#run === null) this.destroy();
    else if (this.#isPaused || this.#held !== null) this.#hold(bytes.subarray(0, size));
    else this.#read(bytes, size);
  }

  #read(bytes: Buffer, size: number): void {
    const run = this.#run;
    const taken = this.#reader.push(bytes, 0, size);
    // A head that comes byte by byte has no more time than one that comes at once.
    if (this.#hasHead) this.#sinceMs = this.#owner.sweep.nowMs;
    if (taken < size && run !== null && this.#run === run) this.#hold(bytes.subarray(taken, size));
  }

  /** Keeps bytes that arrived in a pause. TLS may deliver some that it had decrypted before. */
  #hold(bytes: Buffer): void {
    this.#held = Buffer.concat(this.#held === null ? [bytes] : [this.#held, bytes]);
    this.#socket.pause();
  }

  readonly #readHeld = (): void => {
    if (this.#isPaused || this.#isClosed || this.#run === null) return;
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#read(held, held.length);
    if (this.#isPaused || this.#held !== null) return;
    if (this.#isEndHeld) this.#onEnd();
    else this.#socket.resume();
  };

  #onEnd(): void {
    if (this.#tunnel !== null) this.#tunnel.receiveEnd();
    else if (this.#held !== null || this.#isPaused) this.#isEndHeld = true;
    else {
      const problem = this.#reader.finish();
      if (problem === null) this.destroy();
      else this.fail(problem);
    }
  }

  #onError(error: Error): void {
    if (this.#tunnel !== null) this.#tunnel.destroy(error);
    else this.fail(toReason(error), { code: codeOf(error), sent: !this.#isRefusedWrite(error) });
  }

  #onClose(): void {
    this.#tunnel?.destroy();
    // After a pause, the bytes that are held are still read, and the end behind them.
    if (this.#isEndHeld) return;
    this.fail("the connection to the upstream was closed");
  }

  /** The system refused the first write of the request, so that no byte of it has left. */
  #isRefusedWrite(error: Error): boolean {
    return (
      this.#isFirstWrite && "syscall" in error && error.syscall === "write" && !this.#reader.isBegun
    );
  }

  #toFailure(
    reason: string,
    { timedOut = false, sent = true, code = null }: FailureDetails,
  ): UpstreamFailure {
    return {
      phase: this.#phase(),
      reason,
      code,
      sent: this.#openness === "open" && sent,
      begun: this.#reader.isBegun,
      reused: this.#served > 0,
      timedOut,
    };
  }

  #phase(): UpstreamFailure["phase"] {
    if (this.#openness !== "open") return this.#openness;
    if (this.#hasHead) return "body";
    if (this.#reader.isBegun) return "head";
    return this.#run?.isRequestSent === true ? "first-byte" : "send";
  }

  /** Returns the time limit of the present phase; `null`: the upstream has nothing to do. */
  #currentLimit(run: ExchangeRun, nowMs: number): { ms: number; text: string } | null {
    const { connectMs, firstByteMs, idleMs } = run.timeouts;
    if (this.#openness !== "open")
      return { ms: connectMs, text: "the upstream accepted no connection" };
    const flushed = this.#givenBytes - this.#socket.writableLength - (this.#rest?.length ?? 0);
    if (flushed !== this.#flushedBytes) {
      this.#flushedBytes = flushed;
      this.#sinceMs = nowMs;
    }
    if (this.#isPaused) return null;
    if (!this.isFlushed) return { ms: idleMs, text: "the upstream took no bytes of the request" };
    if (!run.isEnded) return null;
    if (this.#hasHead)
      return { ms: idleMs, text: "the upstream sent no further bytes of its answer" };
    return this.#reader.isBegun
      ? { ms: firstByteMs, text: "the upstream sent no whole head of its answer" }
      : { ms: firstByteMs, text: "the upstream sent no answer" };
  }
}

/** Returns bytes as a string with one character per byte. */
function toLatin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
