import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { describe, it } from "node:test";
import type { BodyFlow, ExchangeId } from "../../runtime/http/client.ts";
import { OwnClient } from "../../runtime/http/own-client.ts";

function createClient(body?: Uint8Array): OwnClient {
  const head = {
    method: "POST",
    target: "/",
    origin: "http://localhost",
    fields: "",
    bodyBytes: body?.length ?? 0,
    clientAddress: "127.0.0.1",
  };
  // Exchange ids are made by one source only, and this client is given to no channel.
  const id = 1 as ExchangeId;
  return new OwnClient({ id, head, isLogged: false, onReply: () => {}, ...(body && { body }) });
}

describe("OwnClient", () => {
  it("ends a body that it does not have at once", () => {
    let ends = 0;
    createClient().receiveBody({ chunk: () => assert.fail("a chunk"), end: () => void ends++ });
    assert.equal(ends, 1);
  });

  it("feeds its body in chunks, and stops at a pause", async () => {
    const body = Buffer.alloc(200_000, "abcdefg");
    const chunks: Buffer[] = [];
    let ends = 0;
    const flow: BodyFlow = createClient(body).receiveBody({
      chunk(bytes) {
        chunks.push(Buffer.from(bytes));
        flow.pause();
      },
      end: () => void ends++,
    });
    for (let count = 1; count <= 4; count++) {
      await setImmediate();
      assert.equal(chunks.length, count);
      flow.resume();
      // A second call starts no second feed.
      flow.resume();
    }
    await setImmediate();
    assert.equal(ends, 1);
    assert.ok(Buffer.concat(chunks).equals(body));
  });

  it("feeds its body to the end after its reply, unless it is left", async () => {
    for (const isLeft of [false, true]) {
      const body = Buffer.alloc(200_000, "abcdefg");
      const client = createClient(body);
      let bytes = 0;
      let ends = 0;
      const flow: BodyFlow = client.receiveBody({
        chunk(piece) {
          bytes += piece.length;
          if (client.settled) return;
          client.reply({ status: 200, statusText: "", fields: "", body: null, lengthBytes: null });
          flow.pause();
        },
        end: () => void ends++,
      });
      await setImmediate();
      assert.ok(bytes < body.length);
      const before = bytes;
      if (isLeft) client.leave();
      flow.resume();
      await setImmediate();
      assert.deepEqual([bytes, ends], isLeft ? [before, 0] : [body.length, 1]);
    }
  });

  it("feeds nothing after its end", async () => {
    const client = createClient(Buffer.from("abc"));
    client.receiveBody({ chunk: () => assert.fail("a chunk"), end: () => assert.fail("an end") });
    client.leave();
    await setImmediate();
  });
});
