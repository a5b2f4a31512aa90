import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { BodySource } from "../../../runtime/http/client.ts";
import { BytesSource } from "../../../runtime/bodies/body-sources.ts";
import { createContext, openClient } from "./open-client.ts";

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

const HEAD = { status: 200, statusText: "", fields: "", lengthBytes: null };

/** Has no length that the client side could know. */
function pieces(bytes: number): BodySource {
  return new BytesSource(new Uint8Array(bytes));
}

describe("UwsClient, of several pieces of a response in chunks,", () => {
  it("puts no two into one cork when it is answered while the library reads", async () => {
    const res = new CorkingResponse();
    res.read(() => openClient(res, createContext()).reply({ ...HEAD, body: pieces(100_000) }));
    await nextTurn();
    assert.ok(res.ended);
    assert.equal(Math.max(...res.corks), 1);
  });

  it("puts no two into one cork when the last chunk of a request ends a pause", async () => {
    const res = new CorkingResponse();
    const client = openClient(res, createContext());
    const flow = client.receiveBody({ chunk() {}, end() {} });
    res.hasRoom = false;
    client.reply({ ...HEAD, body: pieces(100_000) });
    await nextTurn();
    flow.pause();
    res.hasRoom = true;
    res.receive(10, true);
    await nextTurn();
    assert.ok(res.ended);
    assert.equal(Math.max(...res.corks), 1);
  });
});
