import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { TurnClock } from "../../../runtime/lib/turn-clock.ts";
import type { UwsClient } from "../../../runtime/engine/uws/uws-client.ts";
import { createContext, openClient } from "./open-client.ts";

/** A clock that the test sets. */
class SetClock extends TurnClock {
  nowMs = 1_000;

  override now(): number {
    return this.nowMs;
  }
}

/** A response as the library closes it: bytes written in its callback are lost when it closes within the callback. */
class ClosableResponse {
  closed = false;
  sent = "";
  #corked = "";
  #calling = false;
  #onData: (chunk: ArrayBuffer, last: boolean) => void = () => {};
  #onAborted: () => void = () => {};

  receive(bytes: number, last: boolean): void {
    this.#calling = true;
    this.#onData(new ArrayBuffer(bytes), last);
    this.#calling = false;
    this.#flush();
  }

  cork(callback: () => void): this {
    callback();
    if (!this.#calling) this.#flush();
    return this;
  }

  writeStatus(status: string | Uint8Array): this {
    this.#corked += typeof status === "string" ? status : Buffer.from(status).toString();
    return this;
  }

  close(): void {
    assert.equal(this.closed, false);
    this.closed = true;
    this.#onAborted();
  }

  onData(callback: (chunk: ArrayBuffer, last: boolean) => void): this {
    this.#onData = callback;
    return this;
  }

  onAborted(callback: () => void): this {
    this.#onAborted = callback;
    return this;
  }

  getRemoteAddress(): ArrayBuffer {
    return Uint8Array.of(127, 0, 0, 1).buffer;
  }

  pause(): void {}

  resume(): void {}

  #flush(): void {
    if (!this.closed) this.sent += this.#corked;
    this.#corked = "";
  }
}

function open({ method = "POST", isLast = false, closing = false }): {
  res: ClosableResponse;
  clock: SetClock;
  client: UwsClient;
} {
  const res = new ClosableResponse();
  const clock = new SetClock();
  const limits = { bodyTimeoutMs: 5_000, minBodyRateBytesPerSecond: 0, sendTimeoutMs: 0 };
  const client = openClient(res, createContext({ clock, closing, limits }), { method, isLast });
  return { res, clock, client };
}

/** Answers before the client has sent its body. */
async function answerEarly(t: TestContext): Promise<{ res: ClosableResponse; clock: SetClock }> {
  const { res, clock, client } = open({ isLast: true });
  t.mock.timers.enable({ apis: ["setTimeout"] });
  client.reply({ status: 204, statusText: "", fields: "", body: null, lengthBytes: null });
  await nextTurn();
  assert.match(res.sent, /^204 /);
  return { res, clock };
}

describe("UwsClient, that closes after a response without a body,", () => {
  it("lets a client send the rest of its body for 30 s, and no longer", async (t) => {
    const { res, clock } = await answerEarly(t);
    for (let second = 1; second <= 29; second++) {
      res.receive(20_000, false);
      clock.nowMs += 1_000;
      t.mock.timers.tick(1_000);
      assert.equal(res.closed, false, `after ${second} s`);
    }
    res.receive(20_000, false);
    clock.nowMs += 1_000;
    t.mock.timers.tick(1_000);
    assert.equal(res.closed, true);
  });

  it("closes when a client pauses for 5 s", async (t) => {
    const { res, clock } = await answerEarly(t);
    res.receive(20_000, false);
    clock.nowMs += 5_000;
    t.mock.timers.tick(4_999);
    assert.equal(res.closed, false);
    t.mock.timers.tick(1);
    assert.equal(res.closed, true);
  });

  it("closes at once after the last byte of a body", async (t) => {
    const { res } = await answerEarly(t);
    res.receive(20_000, true);
    await nextTurn();
    assert.equal(res.closed, true);
  });

  it("cuts off a slow HEAD request at once, although the client may still send", async () => {
    const { res, clock, client } = open({ method: "HEAD" });
    client.receiveBody({ chunk() {}, end() {} });
    clock.nowMs += 10_000;
    client.check(performance.now() + 10_000, { keepAlive: false });
    await nextTurn();
    assert.match(res.sent, /^408 /);
    assert.equal(res.closed, true);
  });

  it("sends the response to a HEAD request that is refused in the library's last callback", async () => {
    const { res, clock, client } = open({ method: "HEAD", closing: true });
    client.receiveBody({ chunk() {}, end: () => client.refuse(404) });
    clock.nowMs += 10;
    res.receive(10, true);
    await nextTurn();
    assert.match(res.sent, /^404 /);
    assert.equal(res.closed, true);
  });
});
