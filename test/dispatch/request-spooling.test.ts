import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readlinkSync, truncateSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as fc from "fast-check";
import { CHUNK_BYTES, REQUEST_CREDIT_BYTES } from "../../runtime/channel/messages.ts";
import { ByteBudget } from "../../runtime/bodies/byte-budget.ts";
import { repeatIntake } from "../../runtime/bodies/repeat-intake.ts";
import { RequestIntake, type RequestIntakeOptions } from "../../runtime/bodies/request-intake.ts";
import type { Spool } from "../../runtime/bodies/spool.ts";
import { FakeClient } from "./fake-client.ts";
import { createSpool, untilTurn } from "./spooling.ts";

const KIB = 1024;
const BUFFER_BYTES = 1_000;
const LIMIT_BYTES = 4 * 1024 * KIB;
const HIGH_WATER_BYTES = 256 * KIB;

/** A worker that takes all bytes, with credit granted by hand. */
class Taker {
  readonly chunks: Buffer[] = [];
  ended = false;
  creditBytes = REQUEST_CREDIT_BYTES;
  readonly #intake: RequestIntake;

  constructor(intake: RequestIntake) {
    this.#intake = intake;
    intake.feed({
      chunk: (bytes) => {
        assert.ok(!this.ended && bytes.length > 0 && bytes.length <= CHUNK_BYTES);
        this.creditBytes -= bytes.length;
        assert.ok(this.creditBytes >= 0, "never more than was granted");
        this.chunks.push(Buffer.from(bytes));
      },
      end: () => {
        assert.ok(!this.ended, "ends once");
        this.ended = true;
      },
    });
  }

  get taken(): Buffer {
    return Buffer.concat(this.chunks);
  }

  grant(bytes: number): void {
    this.creditBytes += bytes;
    this.#intake.grant(bytes);
  }

  async untilEnd(): Promise<Buffer> {
    await untilTurn(() => {
      if (this.creditBytes < CHUNK_BYTES) this.grant(REQUEST_CREDIT_BYTES);
      return this.ended;
    });
    return this.taken;
  }
}

class Upload {
  readonly client = new FakeClient(1, { bodyBytes: null });
  readonly budget = new ByteBudget(BUFFER_BYTES);
  readonly events: string[] = [];
  readonly causes: unknown[] = [];
  readonly intake: RequestIntake;

  constructor(spool: Spool, options: Partial<RequestIntakeOptions> = {}) {
    this.intake = new RequestIntake({
      limitBytes: LIMIT_BYTES,
      bufferBytes: BUFFER_BYTES,
      budget: this.budget,
      overflow: "spool",
      spool,
      ...options,
    });
    this.intake.start(this.client, {
      onWhole: () => this.events.push("whole"),
      onOverflow: () => this.events.push("overflow"),
      onRefused: (code, cause) => {
        this.events.push(code);
        this.causes.push(cause);
      },
    });
  }

  async untilStored(): Promise<void> {
    await untilTurn(() => this.events.length > 0);
    assert.deepEqual(this.events, ["overflow"]);
  }
}

/** Returns the open files of a spool, which have no names, as paths. */
function spoolFiles(dir: string): string[] {
  const open = "/proc/self/fd";
  return readdirSync(open).flatMap((name) => {
    try {
      return readlinkSync(`${open}/${name}`).startsWith(dir) ? [`${open}/${name}`] : [];
    } catch {
      // The descriptor of the listing itself is closed by now.
      return [];
    }
  });
}

async function assertReleased(spool: Spool): Promise<void> {
  await untilTurn(() => spool.usage.files === 0);
  assert.equal(spool.usage.heldBytes, 0);
}

describe("RequestIntake with a spool", { timeout: 60_000 }, () => {
  it("asks for a worker once all bytes are on disk, and sends them in order, within credit", async (t) => {
    const { spool } = createSpool(t);
    const sizes = fc.array(fc.integer({ min: 1, max: 300 * KIB }), { minLength: 1, maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(sizes, fc.boolean(), async (chunks, isPaced) => {
        const upload = new Upload(spool);
        const body = randomBytes(chunks.reduce((sum, size) => sum + size, BUFFER_BYTES));
        let at = BUFFER_BYTES;
        upload.client.sendChunk(body.subarray(0, at));
        assert.equal(upload.budget.heldBytes, BUFFER_BYTES);
        for (const size of chunks) {
          upload.client.sendChunk(body.subarray(at, (at += size)));
          if (isPaced) await untilTurn(() => !upload.client.held);
        }
        assert.deepEqual([upload.budget.heldBytes, upload.events], [0, []]);
        upload.client.sendEnd();
        assert.equal(upload.client.held, false);
        await upload.untilStored();
        const taker = new Taker(upload.intake);
        assert.ok((await taker.untilEnd()).equals(body));
        upload.intake.close();
        await assertReleased(spool);
      }),
      { numRuns: 25 },
    );
  });

  it("sends all bytes to another worker, also when the first one has had some or all", async (t) => {
    const { spool } = createSpool(t);
    const upload = new Upload(spool);
    const body = randomBytes(1024 * KIB);
    upload.client.sendBody(body);
    assert.equal(upload.intake.rereadable, false);
    await upload.untilStored();
    const first = new Taker(upload.intake);
    await untilTurn(() => first.taken.length > 0);
    assert.equal(upload.intake.rereadable, true);
    const second = new Taker(upload.intake);
    const { length } = first.taken;
    assert.ok((await second.untilEnd()).equals(body));
    assert.equal(first.taken.length, length, "no more bytes for the lost worker");
    const third = new Taker(upload.intake);
    assert.ok((await third.untilEnd()).equals(body));
    upload.intake.commit();
    assert.equal(upload.intake.rereadable, false);
    await assertReleased(spool);
  });

  it("passes all bytes on to a sink at its pace, after a worker has had some or all", async (t) => {
    const { spool } = createSpool(t);
    const body = randomBytes(1024 * KIB);
    for (const isRead of [false, true]) {
      const upload = new Upload(spool);
      upload.client.sendBody(body);
      await upload.untilStored();
      const worker = new Taker(upload.intake);
      if (isRead) await worker.untilEnd();
      const pieces: Buffer[] = [];
      let isEnded = false;
      const sink = {
        chunk(bytes: Uint8Array): void {
          assert.ok(!isEnded);
          pieces.push(Buffer.from(bytes));
        },
        end(): void {
          assert.ok(!isEnded, "ends once");
          isEnded = true;
        },
      };
      const flow = repeatIntake(upload.intake, sink, assert.fail);
      assert.equal(pieces.length, 0, "the owner of the sink gets the flow first");
      flow.pause();
      // The credit of the beginning still arrives.
      await untilTurn(() => pieces.reduce((sum, { length }) => sum + length, 0) >= 128 * KIB);
      const { length } = pieces;
      await nextTurn();
      assert.equal(pieces.length, length, "no more while it is paused");
      flow.resume();
      await untilTurn(() => isEnded);
      assert.ok(Buffer.concat(pieces).equals(body));
      upload.intake.close();
      await assertReleased(spool);
    }
  });

  it("tells the owner of a sink that the disk has lost the body", async (t) => {
    const { spool, dir } = createSpool(t);
    const upload = new Upload(spool);
    upload.client.sendBody(randomBytes(1024 * KIB));
    await upload.untilStored();
    await new Taker(upload.intake).untilEnd();
    for (const path of spoolFiles(dir)) truncateSync(path, 0);
    let broken = 0;
    repeatIntake(upload.intake, { chunk() {}, end: assert.fail }, () => broken++);
    await untilTurn(() => broken > 0);
    assert.deepEqual(upload.events, ["overflow", "ERR_SPOOL"]);
    await assertReleased(spool);
  });

  it("tells the owner of a sink that the body was lost before it began", async (t) => {
    const { spool } = createSpool(t);
    const upload = new Upload(spool);
    upload.client.sendBody(randomBytes(1024 * KIB));
    await upload.untilStored();
    await new Taker(upload.intake).untilEnd();
    let broken = 0;
    const sink = { chunk: () => assert.fail("a chunk"), end: () => assert.fail("an end") };
    repeatIntake(upload.intake, sink, () => broken++);
    upload.intake.close();
    await untilTurn(() => broken > 0);
    await nextTurn();
    assert.equal(broken, 1);
    await assertReleased(spool);
  });

  it("keeps no sent bytes once it is committed", async (t) => {
    const { spool } = createSpool(t);
    const upload = new Upload(spool);
    upload.client.sendBody(Buffer.alloc(500 * KIB));
    await upload.untilStored();
    const taker = new Taker(upload.intake);
    upload.intake.commit();
    assert.equal(upload.intake.rereadable, false);
    await taker.untilEnd();
    await assertReleased(spool);
  });

  it("pauses a client that is faster than the disk", async (t) => {
    const { spool } = createSpool(t);
    const upload = new Upload(spool);
    upload.client.sendChunk(Buffer.alloc(HIGH_WATER_BYTES));
    assert.equal(upload.client.held, false);
    upload.client.sendChunk(Buffer.alloc(1));
    assert.equal(upload.client.held, true);
    await untilTurn(() => !upload.client.held);
    upload.intake.close();
    await assertReleased(spool);
  });

  it("refuses a body that is too large for its own limit or for the shared one", async (t) => {
    const { spool } = createSpool(t, { limitBytes: 100 * KIB, maxFiles: 1 });
    const upload = new Upload(spool);
    upload.client.sendChunk(Buffer.alloc(60 * KIB));
    const other = new Upload(spool);
    other.client.sendChunk(Buffer.alloc(2_000));
    assert.deepEqual(other.events, ["ERR_OVERLOADED"], "too many files");
    upload.client.sendChunk(Buffer.alloc(60 * KIB));
    upload.client.sendEnd();
    assert.deepEqual(upload.events, ["ERR_OVERLOADED"], "too many bytes");
    await assertReleased(spool);
    const long = new Upload(createSpool(t).spool);
    long.client.sendChunk(Buffer.alloc(LIMIT_BYTES));
    long.client.sendChunk(Buffer.alloc(1));
    assert.deepEqual(long.events, ["ERR_BODY_TOO_LARGE"]);
  });

  it("refuses once when the disk fails, and pauses no client then", async (t) => {
    const { spool, dir } = createSpool(t);
    mkdirSync(dirname(dir), { recursive: true });
    writeFileSync(dir, "not a folder");
    const upload = new Upload(spool);
    upload.client.sendChunk(Buffer.alloc(1024 * KIB));
    assert.equal(upload.client.held, true);
    await untilTurn(() => upload.events.length > 0);
    upload.client.sendChunk(Buffer.alloc(1024 * KIB));
    upload.client.sendEnd();
    assert.deepEqual([upload.events, upload.client.held], [["ERR_SPOOL"], false]);
    assert.match(String(upload.causes[0]), /ENOTDIR|EEXIST/);
    await assertReleased(spool);
  });

  it("moves a burst to disk that its client sends in one turn, and sends it on in order", async (t) => {
    const { spool } = createSpool(t);
    const upload = new Upload(spool, { overflow: "stream", limitBytes: 64 * 1024 * KIB });
    const body = randomBytes(20 * 1024 * KIB);
    for (let at = 0; at < body.length; at += 512 * KIB) {
      upload.client.sendChunk(body.subarray(at, at + 512 * KIB));
    }
    upload.client.sendEnd();
    assert.deepEqual(upload.events, ["overflow"]);
    assert.ok(spool.usage.heldBytes > 12 * 1024 * KIB, "memory has 8 MiB at most");
    const taker = new Taker(upload.intake);
    assert.ok((await taker.untilEnd()).equals(body));
    upload.intake.close();
    await assertReleased(spool);
  });

  it("leaves nothing on disk when it is closed at any point", async (t) => {
    const { spool, openFiles } = createSpool(t);
    for (let turns = 0; turns < 30; turns++) {
      const upload = new Upload(spool);
      upload.client.sendChunk(Buffer.alloc(300 * KIB));
      for (let turn = 0; turn < turns; turn++) {
        if (turn === 5) upload.client.sendEnd();
        if (upload.events.includes("overflow")) upload.intake.feed({ chunk() {}, end() {} });
        await new Promise(setImmediate);
      }
      const before = upload.events.length;
      upload.intake.close();
      await assertReleased(spool);
      assert.deepEqual([upload.events.length, upload.client.held], [before, false]);
    }
    assert.equal(openFiles(), 0);
  });
});
