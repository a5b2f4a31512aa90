import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import * as fc from "fast-check";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { ResponseFeed } from "../../runtime/bodies/response-feed.ts";
import type { Spool } from "../../runtime/bodies/spool.ts";
import { SpoolFile } from "../../runtime/bodies/spool-file.ts";
import { createSpool, untilTurn } from "./spooling.ts";

const CREDIT_BYTES = 10_000;

/** A worker and a client at the two ends of a feed. Each byte tells its position in the whole. */
class Passage {
  readonly feed: ResponseFeed;
  readonly errors: unknown[] = [];
  cancels = 0;
  creditBytes = CREDIT_BYTES;
  pushedBytes = 0;
  readBytes = 0;
  /** Makes the client read all available bytes. */
  eager = false;

  constructor(spool: Spool) {
    this.feed = new ResponseFeed({
      creditBytes: CREDIT_BYTES,
      blocks: new BlockPool(),
      spool,
      grant: (bytes) => (this.creditBytes += bytes),
      onCancel: () => this.cancels++,
      onDiskError: (error) => this.errors.push(error),
    });
    this.feed.onChange = () => {
      if (this.eager) this.read(Infinity);
    };
  }

  /** Sends as much as the worker's credit allows. */
  push(bytes: number): void {
    const size = Math.min(bytes, this.creditBytes);
    if (size === 0) return;
    const chunk = Uint8Array.from({ length: size }, (_, at) => (this.pushedBytes + at) % 251);
    this.creditBytes -= size;
    this.pushedBytes += size;
    this.feed.push(chunk);
  }

  /** Reads as much as is available. */
  read(bytes: number): void {
    for (let left = bytes; left > 0;) {
      const piece = this.feed.read(left);
      if (piece === null) return;
      assert.ok(piece.length > 0 && piece.length <= left);
      for (const [at, byte] of piece.entries()) assert.equal(byte, (this.readBytes + at) % 251);
      this.readBytes += piece.length;
      left -= piece.length;
    }
  }

  async readToEnd(): Promise<void> {
    this.eager = true;
    await untilTurn(() => {
      this.read(Infinity);
      return this.feed.state !== "open";
    });
    assert.deepEqual([this.feed.state, this.readBytes], ["ended", this.pushedBytes]);
  }
}

async function assertReleased(spool: Spool): Promise<void> {
  await untilTurn(() => spool.usage.files === 0);
  assert.equal(spool.usage.heldBytes, 0);
}

const step = fc.record({
  do: fc.constantFrom("push", "push", "push", "read", "wait"),
  bytes: fc.integer({ min: 1, max: CREDIT_BYTES }),
});

describe("ResponseFeed with a spool", { timeout: 60_000 }, () => {
  it("passes each byte on in order, with few in memory, whatever room the disk has", async (t) => {
    const steps = fc.array(step, { maxLength: 150, size: "max" });
    const limits = fc.constantFrom(0, 20_000, 100_000, 1024 ** 3);
    await fc.assert(
      fc.asyncProperty(steps, limits, fc.boolean(), async (all, limitBytes, eager) => {
        const { spool } = createSpool(t, { limitBytes });
        const passage = new Passage(spool);
        passage.eager = eager;
        for (const { do: name, bytes } of all) {
          if (name === "push") passage.push(bytes);
          else if (name === "read") passage.read(bytes);
          else await new Promise(setImmediate);
          const { creditBytes, pushedBytes, readBytes } = passage;
          const waiting = pushedBytes - readBytes;
          const inMemory = waiting - Math.min(waiting, spool.usage.heldBytes);
          assert.ok(inMemory + creditBytes <= CREDIT_BYTES, "no more may wait than the credit");
        }
        passage.feed.end();
        await passage.readToEnd();
        assert.deepEqual([passage.cancels, passage.errors], [0, []]);
        await assertReleased(spool);
      }),
      { numRuns: 60 },
    );
  });

  it("lets the worker finish while the client reads nothing", async (t) => {
    const { spool } = createSpool(t);
    const passage = new Passage(spool);
    await untilTurn(() => {
      passage.push(1_000);
      return passage.pushedBytes >= 1_000_000;
    });
    passage.feed.end();
    assert.equal(passage.feed.state, "open");
    await passage.readToEnd();
    await assertReleased(spool);
  });

  it("needs no file for a client that reads at once", async (t) => {
    const { spool } = createSpool(t);
    const opening = t.mock.method(spool, "open");
    const passage = new Passage(spool);
    passage.eager = true;
    for (let count = 0; count < 100; count++) passage.push(CREDIT_BYTES);
    assert.deepEqual([passage.readBytes, opening.mock.callCount()], [1_000_000, 0]);
  });

  it("pauses the worker when there is no room, and spools on when there is again", async (t) => {
    const { spool } = createSpool(t, { limitBytes: 100_000 });
    const passage = new Passage(spool);
    await untilTurn(() => {
      passage.push(1_000);
      return passage.pushedBytes >= 50_000 && passage.creditBytes === 0;
    });
    // Responses may use half of the room.
    assert.ok(passage.pushedBytes <= 50_000 + CREDIT_BYTES);
    const { pushedBytes } = passage;
    await untilTurn(() => {
      passage.read(1_000);
      return passage.readBytes === pushedBytes;
    });
    await assertReleased(spool);
    await untilTurn(() => {
      passage.push(1_000);
      return passage.pushedBytes >= pushedBytes + 50_000;
    });
    passage.feed.end();
    await passage.readToEnd();
  });

  it("goes on in memory when the disk fails, at once or later, and loses nothing", async (t) => {
    for (const afterBytes of [0, 12_345, 40_000]) {
      const { spool } = createSpool(t);
      const passage = new Passage(spool);
      const failing = limitFiles(t, afterBytes);
      await untilTurn(() => {
        passage.push(1_000);
        return passage.errors.length > 0 && passage.creditBytes === 0;
      });
      assert.equal(passage.errors.length, 1);
      await untilTurn(() => {
        passage.read(700);
        passage.push(1_000);
        return passage.pushedBytes > 100_000;
      });
      passage.feed.end();
      await passage.readToEnd();
      failing.mock.restore();
      assert.equal(passage.errors.length, 1, "it is not tried again");
      await assertReleased(spool);
    }
  });

  it("tells a waiting reader that the disk has failed, and that bytes are in memory", async (t) => {
    const { spool } = createSpool(t);
    const passage = new Passage(spool);
    limitFiles(t, 0);
    passage.push(6_000);
    passage.eager = true;
    passage.read(Infinity);
    assert.equal(passage.readBytes, 0);
    await untilTurn(() => passage.readBytes === 6_000);
    assert.equal(passage.errors.length, 1);
    await assertReleased(spool);
  });

  it("breaks off when bytes on disk cannot be read", async (t) => {
    for (const isEnded of [false, true]) {
      const { spool } = createSpool(t);
      const passage = new Passage(spool);
      passage.push(CREDIT_BYTES);
      if (isEnded) passage.feed.end();
      const reading = t.mock.method(SpoolFile.prototype, "read", () =>
        Promise.reject(new Error("EIO")),
      );
      await untilTurn(() => {
        passage.read(Infinity);
        return passage.feed.state !== "open";
      });
      reading.mock.restore();
      assert.deepEqual([passage.feed.state, passage.errors.length], ["failed", 1]);
      assert.equal(passage.cancels, isEnded ? 0 : 1, "a worker that is done is not told");
      await assertReleased(spool);
    }
  });

  it("leaves nothing on disk when it is cancelled or fails at any point", async (t) => {
    for (const end of ["cancel", "fail"] as const) {
      for (let turns = 0; turns < 20; turns++) {
        const { spool } = createSpool(t);
        const passage = new Passage(spool);
        for (let turn = 0; turn < turns; turn++) {
          passage.push(3_000);
          if (turn % 4 === 0) passage.read(2_000);
          await new Promise(setImmediate);
        }
        if (end === "fail") passage.feed.fail(502);
        else passage.feed.cancel();
        assert.deepEqual([passage.feed.state, passage.feed.read(10)], ["failed", null]);
        await assertReleased(spool);
      }
    }
  });
});

/** Makes each file take so many bytes, then fail, as on a full disk: the last write is partial. */
function limitFiles(t: TestContext, bytes: number): { mock: { restore(): void } } {
  const write = Object.getOwnPropertyDescriptor(SpoolFile.prototype, "write")
    ?.value as SpoolFile["write"];
  return t.mock.method(SpoolFile.prototype, "write", async function some(
    this: SpoolFile,
    pieces,
    offset,
  ) {
    const room = Math.max(0, bytes - offset);
    if (room === 0) throw new Error("ENOSPC");
    return write.call(this, [Buffer.concat(pieces).subarray(0, room)], offset);
  } satisfies SpoolFile["write"]);
}
