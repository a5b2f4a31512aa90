import assert from "node:assert/strict";
import { once } from "node:events";
import { Socket } from "node:net";
import { describe, it } from "node:test";
import { readInto, type ReadTarget } from "../../runtime/channel/read-into.ts";
import { openSocketPair } from "../helpers/socket-pair.ts";

/** Takes at most ten bytes at a time, always into the same memory. */
class SmallTarget implements ReadTarget {
  text = "";
  readonly #memory = Buffer.alloc(10);

  readonly space = (): Uint8Array => this.#memory;

  readonly filled = (bytes: number): void => {
    this.text += this.#memory.toString("latin1", 0, bytes);
  };
}

const TEXT = "a text that is longer than one read";

describe("readInto()", { timeout: 60_000 }, () => {
  it("reads into the given memory, writes, and ends, in place of the given socket", async (t) => {
    const [near, far] = await openSocketPair(t);
    const target = new SmallTarget();
    const reader = readInto(near, target);
    assert.notEqual(reader, near);
    far.write(TEXT);
    reader.write("an answer");
    assert.equal(String((await once(far, "data"))[0]), "an answer");
    far.end();
    await once(reader, "close");
    assert.equal(target.text, TEXT);
    assert.equal(reader.bytesRead, TEXT.length);
    assert.ok(near.destroyed);
  });

  it("copies the bytes of a socket whose handle it cannot use", () => {
    const socket = new Socket();
    const target = new SmallTarget();
    assert.equal(readInto(socket, target), socket);
    socket.emit("data", Buffer.from(TEXT));
    assert.equal(target.text, TEXT);
  });
});
