import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { BodySource, ExchangeId } from "../../../runtime/http/client.ts";
import { BytesSource } from "../../../runtime/bodies/body-sources.ts";
import { ResponseFields } from "../../../runtime/http/response-fields.ts";
import type { HttpResponse } from "../../../runtime/engine/uws/uws.ts";
import { UnreadBytes } from "../../../runtime/engine/uws/unread-bytes.ts";
import { type ListenerContext, UwsClientSide } from "../../../runtime/engine/uws/uws-client.ts";
import { TurnClock } from "../../../runtime/lib/turn-clock.ts";

/**
 * As the library corks: while it calls back with something that it has read, all that is written goes into one cork,
 * however often it is corked within. `corks` has how many pieces of body went into each.
 */
class CorkingResponse {
  readonly corks: number[] = [];
  /** Whether the socket takes what it is given. */
  hasRoom = true;
  ended = false;
  #onData: (chunk: ArrayBuffer, last: boolean) => void = () => {};
  #inCork = false;

  /** The library has read something: a callback, with all of its writes. */
  read(callback: () => void): void {
    this.cork(callback);
  }

  receive(bytes: number, last: boolean): void {
    this.read(() => this.#onData(new ArrayBuffer(bytes), last));
  }

  cork(callback: () => void): this {
    if (this.#inCork) {
      callback();
      return this;
    }
    this.#inCork = true;
    this.corks.push(0);
    callback();
    this.#inCork = false;
    return this;
  }

  write(): boolean {
    assert.ok(this.#inCork);
    this.corks.push((this.corks.pop() ?? 0) + 1);
    return this.hasRoom;
  }

  onData(callback: (chunk: ArrayBuffer, last: boolean) => void): this {
    this.#onData = callback;
    return this;
  }

  end(): this {
    this.ended = true;
    return this;
  }

  onAborted(): this {
    return this;
  }

  onWritable(): this {
    return this;
  }

  writeStatus(): this {
    return this;
  }

  writeHeader(): this {
    return this;
  }

  pause(): void {}

  resume(): void {}
}

const CONTEXT: ListenerContext = {
  clock: new TurnClock(),
  fields: new ResponseFields(),
  // Of this test's own.
  nextId: () => 1 as ExchangeId,
  admitWrite: () => true,
  closing: false,
  port: 0,
  unread: new UnreadBytes(),
  secure: false,
  limits: { bodyTimeoutMs: 0, minBodyRateBytesPerSecond: 0, sendTimeoutMs: 0 },
  countsBytes: false,
  onTransferStart() {},
  onTransferEnd() {},
  onCut() {},
  onFinished() {},
};

const HEAD = { status: 200, statusText: "", fields: "", lengthBytes: null };

function openClient(res: CorkingResponse): UwsClientSide {
  const head = {
    method: "POST",
    target: "/",
    origin: "http://a",
    fields: "",
    bodyBytes: null,
    clientAddress: "127.0.0.1",
  };
  // It has what a client side calls.
  return new UwsClientSide(res as unknown as HttpResponse, head, {
    context: CONTEXT,
    isLast: false,
    libraryCloses: false,
  });
}

/** Has no length that the client side could know. */
function pieces(bytes: number): BodySource {
  return new BytesSource(new Uint8Array(bytes));
}

describe("UwsClientSide, of several pieces of a response in chunks,", () => {
  it("puts no two into one cork when it is answered while the library reads", async () => {
    const res = new CorkingResponse();
    res.read(() => openClient(res).respondStream(HEAD, pieces(100_000)));
    await nextTurn();
    assert.ok(res.ended);
    assert.equal(Math.max(...res.corks), 1);
  });

  it("puts no two into one cork when the last chunk of a request ends a pause", async () => {
    const res = new CorkingResponse();
    const client = openClient(res);
    const flow = client.receiveBody({ chunk() {}, end() {} });
    res.hasRoom = false;
    client.respondStream(HEAD, pieces(100_000));
    await nextTurn();
    flow.pause();
    res.hasRoom = true;
    res.receive(10, true);
    await nextTurn();
    assert.ok(res.ended);
    assert.equal(Math.max(...res.corks), 1);
  });
});
