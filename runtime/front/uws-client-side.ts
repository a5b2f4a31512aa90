import { STATUS_CODES } from "node:http";
import type {
  ClientSide,
  CompleteResponse,
  ExchangeId,
  RequestHead,
  WorkerId,
} from "../dispatch/client-side.ts";
import type { ErrorCode } from "../errors.ts";
import type { TurnClock } from "../turn-clock.ts";
import type { FileBody } from "../static/file-body.ts";
import type { PreparedFields, ResponseFields } from "./response-fields.ts";
import type { HttpResponse } from "./uws.ts";
import { FileWriter } from "./write-file.ts";
import { type Ending, writeResponse } from "./write-response.ts";

const EMPTY = new Uint8Array(0);

/** What all exchanges of a listener share. */
export interface Door {
  readonly clock: TurnClock;
  readonly fields: ResponseFields;
  nextId(): ExchangeId;
  /** Every response says that the connection ends with it. */
  readonly closing: boolean;
  /** Called once per exchange: its response is complete, or the client left (status 499). */
  onFinished(client: UwsClientSide, status: number, bodyBytes: number): void;
}

/**
 * The client's side of an exchange on uWebSockets.js.
 *
 *     open ──respond──▶ answering ──last byte taken──▶ finished
 *       └──────────────────┴────── client left ──────────▲
 *
 * Invariant: `res` is touched in `open` and by the writer in `answering`, never once finished; the library aborts the
 * process otherwise (uws-notes section 3).
 */
export class UwsClientSide implements ClientSide {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  readonly receivedMs: number;
  workerId: WorkerId | null = null;
  readonly #res: HttpResponse;
  readonly #door: Door;
  #state: "open" | "answering" | "finished" = "open";
  #abort: (() => void) | null = null;
  /** Bytes of a body may still arrive. */
  #bodyOpen: boolean;

  /** Must be made, and so `onAborted` be attached, before the callback that brought `res` can return or throw. */
  constructor(res: HttpResponse, head: RequestHead, door: Door) {
    this.#res = res;
    this.id = door.nextId();
    this.receivedMs = door.clock.now();
    this.head = head;
    this.#door = door;
    this.#bodyOpen = head.bodyBytes !== 0;
    res.onAborted(() => this.#onAborted());
  }

  get settled(): boolean {
    return this.#state !== "open";
  }

  readBody(limitBytes: number, done: (body: Uint8Array | ErrorCode) => void): void {
    const announced = this.head.bodyBytes;
    if (announced !== null && announced > limitBytes) {
      done("ERR_BODY_TOO_LARGE");
      return;
    }
    const chunks: Uint8Array[] = [];
    let size = 0;
    let over = false;
    this.#res.onData((chunk, last) => {
      if (over || this.#state !== "open") return;
      size += chunk.byteLength;
      if (last) this.#bodyOpen = false;
      if (size > limitBytes) {
        over = true;
        chunks.length = 0;
        done("ERR_BODY_TOO_LARGE");
        return;
      }
      // The chunk is a view of a buffer that the library uses again.
      if (chunk.byteLength > 0) chunks.push(new Uint8Array(chunk.slice(0)));
      if (last) done(join(chunks, size));
    });
  }

  onAbort(callback: () => void): void {
    this.#abort = callback;
  }

  respond(response: CompleteResponse): void {
    if (this.#state !== "open") return;
    const fields = this.#door.fields.prepare(response.fields);
    if (fields === null) {
      this.refuse(502);
      return;
    }
    const { status, statusText, body } = response;
    this.#write({ status, statusText, fields, body, ending: this.#ending() });
  }

  refuse(status: number, options: { close?: boolean; retryAfterSeconds?: number } = {}): void {
    if (this.#state !== "open") return;
    const fields = this.#door.fields.prepare(refusalFields(options.retryAfterSeconds));
    if (fields === null) throw new TypeError("a refusal has fields that cannot be written");
    const ending = options.close === true ? "close" : this.#ending();
    const body = `${STATUS_CODES[status] ?? status}\n`;
    this.#write({ status, statusText: "", fields, body, ending });
  }

  /**
   * Answers with a file's bytes, which it closes. A file that cannot be read to its end breaks the connection, so that
   * nobody takes a part for the whole.
   *
   * @throws What reading the file throws, after that.
   */
  async respondFile(response: { status: number; fields: string; body: FileBody }): Promise<void> {
    const { status, body } = response;
    const fields = this.#door.fields.prepare(response.fields);
    if (this.#state !== "open" || fields === null) {
      body.close();
      this.refuse(500);
      return;
    }
    this.#state = "answering";
    const writer = new FileWriter(this.#res, { status, fields, body, ending: this.#ending() });
    this.#abort = () => writer.abort();
    try {
      if (await writer.write()) this.#finish(status, body.lengthBytes);
    } catch (error) {
      if (writer.aborted) return;
      this.#res.close();
      throw error;
    }
  }

  #ending(): Ending {
    if (this.#bodyOpen) return "announce";
    return this.#door.closing ? "close" : "keep";
  }

  #write(response: {
    status: number;
    statusText: string;
    fields: PreparedFields;
    body: string | Uint8Array | null;
    ending: Ending;
  }): void {
    this.#state = "answering";
    writeResponse(this.#res, { method: this.head.method, ...response }, (bodyBytes) => {
      this.#finish(response.status, bodyBytes);
    });
  }

  #onAborted(): void {
    if (this.#state === "finished") return;
    this.#finish(499, 0);
    const abort = this.#abort;
    this.#abort = null;
    abort?.();
  }

  #finish(status: number, bodyBytes: number): void {
    this.#state = "finished";
    this.#door.onFinished(this, status, bodyBytes);
  }
}

function refusalFields(retryAfterSeconds: number | undefined): string {
  const fields = "content-type\ntext/plain;charset=UTF-8";
  return retryAfterSeconds === undefined ? fields : `${fields}\nretry-after\n${retryAfterSeconds}`;
}

function join(chunks: Uint8Array[], size: number): Uint8Array {
  const [first, second] = chunks;
  if (first === undefined) return EMPTY;
  return second === undefined ? first : Buffer.concat(chunks, size);
}
