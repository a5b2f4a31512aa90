import assert from "node:assert/strict";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { describe, it, type TestContext } from "node:test";
import * as fc from "fast-check";
import { SpillQueue, type SpillQueueOptions } from "../../runtime/bodies/spill-queue.ts";
import { SpoolFile } from "../../runtime/bodies/spool-file.ts";
import type { Spool, SpoolKind } from "../../runtime/bodies/spool.ts";
import { createSpool, untilTurn } from "../dispatch/spooling.ts";
import { CheckedPool } from "./checked-pool.ts";

const MEMORY_BYTES = 20_000;
const LIMIT_BYTES = 300_000;

/** Byte number `n` of a body is `n % 251`. */
const PATTERN = Buffer.from(Array.from({ length: 251 * 1_200 }, (_, at) => at % 251));

function bytesFrom(at: number, bytes: number): Buffer {
  return PATTERN.subarray(at % 251, (at % 251) + bytes);
}

/** The real disk, until it fails or is slow. */
interface Trouble {
  /** Size at which a file is full: the last write takes a part of the bytes. */
  fileBytes: number;
  failsReads: boolean;
  /** Turns of the event loop that each operation takes at least. */
  turns: number;
}

const NO_TROUBLE: Readonly<Trouble> = { fileBytes: Infinity, failsReads: false, turns: 0 };

/** Lets the disk fail for all files of this process, as the returned object says. */
function troubleDisk(t: TestContext): Trouble {
  const trouble: Trouble = { ...NO_TROUBLE };
  const { prototype } = SpoolFile;
  const real = Object.getOwnPropertyDescriptors(prototype);
  const wait = async (): Promise<void> => {
    for (let turn = 0; turn < trouble.turns; turn++) await new Promise(setImmediate);
  };
  const fitting = (pieces: readonly Uint8Array[], offset: number): readonly Uint8Array[] => {
    if (trouble.fileBytes === Infinity) return pieces;
    const room = trouble.fileBytes - offset;
    if (room <= 0) throw new Error("ENOSPC");
    return [Buffer.concat(pieces).subarray(0, room)];
  };
  const assertReadable = (): void => {
    if (trouble.failsReads) throw new Error("EIO");
  };
  const write = real.write.value as SpoolFile["write"];
  t.mock.method(prototype, "write", async function later(this: SpoolFile, pieces, offset) {
    try {
      return await write.call(this, fitting(pieces, offset), offset);
    } finally {
      await wait();
    }
  } satisfies SpoolFile["write"]);
  const writeNow = real.writeNow.value as SpoolFile["writeNow"];
  t.mock.method(prototype, "writeNow", function now(this: SpoolFile, pieces, offset) {
    return writeNow.call(this, fitting(pieces, offset), offset);
  } satisfies SpoolFile["writeNow"]);
  const read = real.read.value as SpoolFile["read"];
  t.mock.method(prototype, "read", async function later(this: SpoolFile, into, offset) {
    const bytes = new Uint8Array(into.length);
    if (!trouble.failsReads) await read.call(this, bytes, offset);
    await wait();
    assertReadable();
    into.set(bytes);
  } satisfies SpoolFile["read"]);
  const readNow = real.readNow.value as SpoolFile["readNow"];
  t.mock.method(prototype, "readNow", function now(this: SpoolFile, into, offset) {
    assertReadable();
    readNow.call(this, into, offset);
  } satisfies SpoolFile["readNow"]);
  return trouble;
}

/** A queue beside the array that it has to equal. */
class Subject {
  readonly pool = new CheckedPool();
  readonly spool: Spool;
  readonly queue: SpillQueue;
  readonly kind: SpoolKind;
  pushed = 0;
  taken = 0;
  writeErrors = 0;
  isLost = false;
  isCleared = false;
  /** Set by each call that says that `take` may succeed. */
  hasChanged = false;
  #lent: { piece: Uint8Array; from: number } | null = null;

  constructor(spool: Spool, kind: SpoolKind) {
    this.spool = spool;
    this.kind = kind;
    const called = (): void => {
      assert.equal(this.isCleared, false, "no call after clear");
      this.hasChanged = true;
    };
    this.queue = new SpillQueue({
      spool,
      kind,
      memoryBytes: MEMORY_BYTES,
      blocks: this.pool,
      onChange: called,
      onWriteFailed: () => {
        called();
        this.writeErrors++;
      },
      onLost: () => {
        called();
        this.isLost = true;
      },
    });
  }

  push(bytes: number): void {
    const chunk = Buffer.from(bytesFrom(this.pushed, bytes));
    this.queue.push(chunk);
    // The memory belongs to the caller, which uses it again.
    chunk.fill(0xff);
    this.pushed += bytes;
  }

  take(maxBytes: number): boolean {
    this.#lent = null;
    const piece = this.queue.take(maxBytes);
    if (piece === null) return false;
    assert.ok(piece.length > 0 && piece.length <= maxBytes);
    this.#lent = { piece, from: this.taken };
    this.taken += piece.length;
    return true;
  }

  spill(): void {
    const hasRoom = this.queue.spill();
    const { bytesInMemory, bytes } = this.queue;
    if (hasRoom && this.kind === "burst") {
      const onDisk = bytes > bytesInMemory;
      assert.ok(bytesInMemory <= (onDisk ? 0 : MEMORY_BYTES) || this.writeErrors > 0);
    }
  }

  rewind(): void {
    this.#lent = null;
    this.queue.rewind();
    this.taken = 0;
  }

  clear(): void {
    this.#lent = null;
    this.queue.clear();
    this.isCleared = true;
  }

  check(): void {
    const { bytes, bytesInMemory } = this.queue;
    if (!this.isCleared) assert.equal(bytes, this.pushed - this.taken);
    assert.ok(bytesInMemory <= bytes);
    assert.ok(this.spool.usage.heldBytes <= LIMIT_BYTES);
    assert.ok(this.writeErrors <= 1);
    if (this.#lent === null) return;
    const { piece, from } = this.#lent;
    assert.ok(bytesFrom(from, piece.length).equals(piece), "in order, and unchanged while lent");
  }

  /** Takes the rest as a reader that tries again only when it is told to. */
  async drain(): Promise<void> {
    while (this.taken < this.pushed && !this.isLost) {
      this.hasChanged = false;
      if (this.take(30_000)) this.check();
      else await untilTurn(() => this.hasChanged);
    }
  }

  async assertReleased(): Promise<void> {
    this.clear();
    assert.equal(this.pool.out.size, 0, "every block is back");
    await untilTurn(() => this.spool.usage.files === 0);
    assert.equal(this.spool.usage.heldBytes, 0);
  }
}

const size = fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 150_000 }));
const step = fc.record({
  do: fc.oneof(
    { weight: 30, arbitrary: fc.constantFrom("push", "push", "take", "spill", "spill", "wait") },
    { weight: 1, arbitrary: fc.constantFrom("fill", "break reads", "slow down") },
  ),
  bytes: size,
});
const steps = fc.array(step, { maxLength: 80, size: "max" });

describe("SpillQueue", { timeout: 60_000 }, () => {
  for (const kind of ["burst", "response"] as const) {
    it(`equals an array, whatever the disk does and whenever it ends (${kind})`, async (t) => {
      const { spool, openFiles } = createSpool(t, { limitBytes: LIMIT_BYTES, maxFiles: 2 });
      const trouble = troubleDisk(t);
      await fc.assert(
        fc.asyncProperty(steps, fc.boolean(), async (plan, isCut) => {
          Object.assign(trouble, NO_TROUBLE);
          const subject = new Subject(spool, kind);
          const { queue } = subject;
          for (const { do: name, bytes } of plan) {
            if (name === "push") subject.push(bytes);
            else if (name === "take") {
              const had = queue.bytes;
              const took = subject.take(bytes);
              if (kind === "burst" && !subject.isLost) assert.equal(took, had > 0);
            } else if (name === "spill") subject.spill();
            else if (name === "wait") await new Promise(setImmediate);
            else if (name === "fill") trouble.fileBytes = bytes;
            else if (name === "break reads") trouble.failsReads = true;
            else if (name === "slow down") trouble.turns = bytes % 4;
            if (subject.isLost) break;
            subject.check();
            assert.ok(spool.usage.files <= 1);
          }
          if (!isCut) await subject.drain();
          assert.equal(subject.isLost && !trouble.failsReads, false);
          await subject.assertReleased();
        }),
        { numRuns: 150 },
      );
      assert.equal(openFiles(), 0);
    });
  }

  it("yields all bytes again after each rewind, when it keeps them on disk", async (t) => {
    const { spool } = createSpool(t, { limitBytes: LIMIT_BYTES });
    const trouble = troubleDisk(t);
    const sizes = fc.array(fc.tuple(size, fc.boolean()), { minLength: 1, maxLength: 8 });
    const rewinds = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.nat(3), rewinds, async (pushes, slowness, takes) => {
        const subject = new Subject(spool, "request");
        subject.queue.keepOnDisk();
        trouble.turns = slowness;
        const total = pushes.reduce((sum, [bytes]) => sum + bytes, 0);
        for (const [bytes, waits] of pushes) {
          subject.push(bytes);
          const hasRoom = subject.queue.spill();
          assert.equal(hasRoom, subject.pushed <= LIMIT_BYTES);
          if (!hasRoom) {
            await subject.assertReleased();
            return;
          }
          if (waits) await new Promise(setImmediate);
        }
        await untilTurn(() => subject.queue.bytesInMemory === 0);
        for (const turns of takes) {
          trouble.turns = turns % 3;
          for (let turn = 0; turn < turns; turn++) {
            subject.take(7_000);
            subject.check();
            if (turn % 3 === 0) await new Promise(setImmediate);
          }
          subject.rewind();
          subject.check();
        }
        await subject.drain();
        assert.deepEqual([subject.taken, spool.usage.heldBytes], [total, total]);
        await subject.assertReleased();
      }),
      { numRuns: 60 },
    );
  });

  it("keeps little in memory of a request body that comes faster than the disk takes it", async (t) => {
    const { spool } = createSpool(t);
    const trouble = troubleDisk(t);
    // As long as the loop goes on that reads the socket, no write ends.
    trouble.turns = 3;
    const subject = new Subject(spool, "request");
    subject.queue.keepOnDisk();
    for (let chunk = 0; chunk < 20; chunk++) {
      subject.push(15_000);
      assert.equal(subject.queue.spill(), true);
      assert.ok(subject.queue.bytesInMemory <= MEMORY_BYTES);
      if (chunk % 8 === 7) await new Promise(setImmediate);
    }
    await untilTurn(() => subject.queue.bytesInMemory === 0);
    assert.equal(subject.pool.out.size, 0, "every block is back");
    await subject.drain();
    assert.equal(subject.taken, 300_000);
    await subject.assertReleased();
  });

  it("loses a request body when the disk fails, whichever write is first", async (t) => {
    const { spool } = createSpool(t);
    const trouble = troubleDisk(t);
    for (const fileBytes of [10_000, 30_000, 100_000]) {
      Object.assign(trouble, NO_TROUBLE, { fileBytes });
      const subject = new Subject(spool, "request");
      subject.queue.keepOnDisk();
      for (let chunk = 0; chunk < 10; chunk++) {
        subject.push(15_000);
        subject.queue.spill();
      }
      await untilTurn(() => subject.writeErrors === 1);
      await subject.assertReleased();
    }
  });

  it("opens no file for a few bytes, and gives its room back once all were read", async (t) => {
    const { spool, openFiles } = createSpool(t);
    let changes = 0;
    const options = { ...optionsFor(spool, "response"), onChange: () => changes++ };
    const queue = new SpillQueue(options);
    queue.push(new Uint8Array(MEMORY_BYTES));
    assert.equal(queue.spill(), true);
    assert.equal(openFiles(), 0);
    for (let round = 0; round < 3; round++) {
      queue.push(new Uint8Array(5 * MEMORY_BYTES));
      const { bytes } = queue;
      assert.equal(queue.spill(), true);
      await untilTurn(() => queue.bytesInMemory === 0);
      assert.deepEqual([openFiles(), spool.usage], [1, { files: 1, heldBytes: bytes }]);
      await untilTurn(() => {
        queue.take(MEMORY_BYTES);
        return queue.bytes === 0;
      });
      await untilTurn(() => spool.usage.files === 0);
      assert.deepEqual([openFiles(), spool.usage.heldBytes], [0, 0]);
    }
    assert.ok(changes > 0);
  });

  it("uses the file and the room of one burst for the next", async (t) => {
    const { spool, openFiles } = createSpool(t);
    const queue = new SpillQueue(optionsFor(spool, "burst"));
    for (let round = 0; round < 20; round++) {
      queue.push(new Uint8Array(MEMORY_BYTES));
      assert.deepEqual([queue.spill(), queue.bytesInMemory], [true, MEMORY_BYTES]);
      for (let piece = 1; piece < 4; piece++) {
        queue.push(new Uint8Array(MEMORY_BYTES));
        assert.deepEqual([queue.spill(), queue.bytesInMemory], [true, 0]);
      }
      while (queue.take(MEMORY_BYTES) !== null);
      assert.deepEqual([queue.bytes, openFiles()], [0, 1]);
      assert.deepEqual(spool.usage, { files: 1, heldBytes: 4 * MEMORY_BYTES });
    }
    queue.clear();
    await untilTurn(() => spool.usage.files === 0);
    assert.deepEqual([openFiles(), spool.usage.heldBytes], [0, 0]);
  });

  it("returns a lent block with the next piece, also when that comes from disk", (t) => {
    const { spool } = createSpool(t);
    const pool = new CheckedPool();
    const queue = new SpillQueue({ ...optionsFor(spool, "burst"), blocks: pool });
    t.after(() => queue.clear());
    queue.push(new Uint8Array(5 * MEMORY_BYTES));
    queue.take(1);
    queue.spill();
    assert.equal(pool.out.size, 1);
    queue.take(1);
    assert.equal(pool.out.size, 0);
  });

  it("works when another process removes its file first", async (t) => {
    const { spool, openFiles } = createSpool(t);
    const unlink = fs.unlinkSync;
    t.mock.method(fs, "unlinkSync", (path: string) => {
      unlink(path);
      unlink(path);
    });
    syncBuiltinESMExports();
    const queue = new SpillQueue(optionsFor(spool, "burst"));
    queue.push(new Uint8Array(2 * MEMORY_BYTES));
    queue.spill();
    t.mock.restoreAll();
    syncBuiltinESMExports();
    assert.equal(spool.usage.heldBytes, 2 * MEMORY_BYTES);
    queue.clear();
    await untilTurn(() => openFiles() === 0);
  });

  for (const kind of ["burst", "response"] as const) {
    for (const [trouble, options] of [
      ["there is no room", { limitBytes: 100 }],
      ["there are too many files", { maxFiles: 0 }],
      ["the disk cannot be written", { dir: "/dev/null/spool" }],
    ] as const) {
      it(`keeps bytes in memory when ${trouble} (${kind})`, async (t: TestContext) => {
        const { spool } = createSpool(t, options);
        let errors = 0;
        const queue = new SpillQueue({ ...optionsFor(spool, kind), onWriteFailed: () => errors++ });
        const bytes = Buffer.from(Array.from({ length: 4 * MEMORY_BYTES }, (_, at) => at % 256));
        for (let at = 0; at < bytes.length; at += 5_000) {
          queue.push(bytes.subarray(at, at + 5_000));
          queue.spill();
        }
        const expected = "dir" in options ? 1 : 0;
        await untilTurn(() => errors === expected);
        assert.ok(Buffer.from(queue.takeAll()).equals(bytes));
        queue.clear();
        await untilTurn(() => spool.usage.files === 0);
        assert.equal(spool.usage.heldBytes, 0);
      });
    }
  }
});

function optionsFor(spool: Spool, kind: SpoolKind): SpillQueueOptions {
  return {
    spool,
    kind,
    memoryBytes: MEMORY_BYTES,
    blocks: spool.blocks,
    onChange: () => {},
    onWriteFailed: () => {},
    onLost: () => {},
  };
}
