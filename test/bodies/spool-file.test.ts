import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { SpoolFile } from "../../runtime/bodies/spool-file.ts";
import { SpoolReader } from "../../runtime/bodies/spool-reader.ts";
import type { Spool } from "../../runtime/bodies/spool.ts";
import { createSpool, untilTurn } from "../dispatch/spooling.ts";

interface Opened {
  file: SpoolFile;
  written: number[];
  errors: unknown[];
}

function openFile(spool: Spool, kind: "request" | "response" = "request"): Opened {
  const written: number[] = [];
  const errors: unknown[] = [];
  const file = spool.open(kind, {
    onWritten: (bytes) => written.push(bytes),
    onFailed: (error) => errors.push(error),
  });
  assert.ok(file !== null, "as many files as may be");
  return { file, written, errors };
}

/** Reads to the end in pieces of one size, at whatever pace they become available. */
async function readAll(file: SpoolFile, pieceBytes = 1_000): Promise<Buffer> {
  const reader = new SpoolReader(file);
  const pieces: Uint8Array[] = [];
  for (;;) {
    const piece = reader.read(pieceBytes);
    if (piece !== null) pieces.push(Buffer.from(piece));
    else if (reader.state !== "open") break;
    else await new Promise<void>((resolve) => (reader.onChange = resolve));
  }
  assert.equal(reader.state, "ended");
  return Buffer.concat(pieces);
}

function isReleased(spool: Spool): Promise<void> {
  return untilTurn(() => spool.usage.files === 0 && spool.usage.heldBytes === 0);
}

describe("SpoolFile", { timeout: 20_000 }, () => {
  it("yields the appended bytes in order, several times, during and after the writing", async (t) => {
    const { spool, openFiles } = createSpool(t);
    const plan = fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(plan, async (sizes) => {
        const { file, errors } = openFile(spool);
        const pieces = sizes.map((size, index) => Buffer.alloc(size, index));
        const all = Buffer.concat(pieces);
        const meanwhile = readAll(file);
        for (const [index, piece] of pieces.entries()) {
          assert.ok(file.append(piece));
          assert.ok(file.writtenBytes + file.waitingBytes <= all.length);
          if (index % 3 === 0) await new Promise(setImmediate);
        }
        file.seal();
        assert.equal(file.append(Buffer.alloc(1)), false, "sealed");
        assert.ok((await meanwhile).equals(all));
        assert.ok((await readAll(file, 77_777)).equals(all));
        assert.deepEqual([file.writtenBytes, file.waitingBytes, errors], [all.length, 0, []]);
        assert.equal(spool.usage.heldBytes, all.length);
        file.close();
        await isReleased(spool);
      }),
      { numRuns: 20 },
    );
    assert.equal(openFiles(), 0);
  });

  it("has no name, and no file before the first byte", async (t) => {
    const { spool, dir, openFiles } = createSpool(t);
    const unused = openFile(spool);
    unused.file.close();
    await isReleased(spool);
    assert.equal(existsSync(dir), false);
    const { file } = openFile(spool);
    file.append(Buffer.alloc(10));
    await untilTurn(() => file.waitingBytes === 0);
    assert.deepEqual([openFiles(), readdirSync(dir)], [1, []]);
    file.close();
    await isReleased(spool);
    assert.equal(openFiles(), 0);
  });

  it("is released once, whenever it is closed", async (t) => {
    const { spool, openFiles } = createSpool(t);
    for (let turns = 0; turns < 20; turns++) {
      const { file, written } = openFile(spool);
      const reader = new SpoolReader(file);
      file.append(Buffer.alloc(200_000));
      reader.read(10);
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      file.close();
      file.close();
      const { length } = written;
      assert.equal(file.append(Buffer.alloc(1)), false);
      await isReleased(spool);
      assert.equal(written.length, length, "nothing is told after it was closed");
    }
    assert.equal(openFiles(), 0);
  });

  it("reports once that the disk fails, and gives back the unwritten bytes", async (t) => {
    const { spool, dir } = createSpool(t);
    mkdirSync(dirname(dir), { recursive: true });
    writeFileSync(dir, "not a folder");
    const { file, errors, written } = openFile(spool);
    file.append(Buffer.from("a"));
    file.append(Buffer.from("b"));
    await untilTurn(() => errors.length > 0);
    assert.equal(file.append(Buffer.from("c")), false);
    assert.equal(Buffer.concat(file.takeBack()).toString(), "ab");
    assert.deepEqual([file.waitingBytes, file.sealed, written, errors.length], [0, true, [], 1]);
    assert.equal(new SpoolReader(file).state, "ended");
    file.close();
    await isReleased(spool);
  });
});

describe("SpoolReader", { timeout: 20_000 }, () => {
  it("fails when written bytes cannot be read", async (t) => {
    const { spool } = createSpool(t);
    const { file } = openFile(spool);
    file.append(Buffer.alloc(10));
    await untilTurn(() => file.waitingBytes === 0);
    t.mock.method(file, "read", () => Promise.reject(new Error("EIO")));
    const reader = new SpoolReader(file);
    const changed = new Promise<void>((resolve) => (reader.onChange = resolve));
    assert.equal(reader.read(10), null);
    await changed;
    assert.deepEqual([reader.state, String(reader.error)], ["failed", "Error: EIO"]);
    file.close();
    await isReleased(spool);
  });
});

describe("Spool", { timeout: 20_000 }, () => {
  it("has room for so many bytes and files, of which responses leave half", async (t) => {
    const { spool } = createSpool(t, { limitBytes: 1_000, maxFiles: 4 });
    const response = openFile(spool, "response").file;
    assert.ok(response.append(Buffer.alloc(500)));
    assert.ok(!response.append(Buffer.alloc(1)));
    const request = openFile(spool).file;
    assert.ok(request.append(Buffer.alloc(500)));
    assert.ok(!request.append(Buffer.alloc(1)));
    const nothing = { onWritten: () => {}, onFailed: () => {} };
    assert.equal(spool.open("response", nothing), null);
    const others = [openFile(spool).file, openFile(spool).file];
    assert.equal(spool.open("request", nothing), null);
    for (const file of [response, request, ...others]) file.close();
    await isReleased(spool);
  });

  it("changes its limit of files when told so", async (t) => {
    const { spool } = createSpool(t, { maxFiles: 1 });
    const nothing = { onWritten: () => {}, onFailed: () => {} };
    const first = openFile(spool).file;
    assert.equal(spool.open("request", nothing), null);
    spool.maxFiles = 2;
    const second = openFile(spool).file;
    spool.maxFiles = 0;
    // Open files stay open.
    assert.ok(second.append(Buffer.alloc(1)));
    for (const file of [first, second]) file.close();
    await isReleased(spool);
    assert.equal(spool.open("request", nothing), null);
  });

  it("removes the files of a killed process, and nothing else", async (t) => {
    const { spool, dir } = createSpool(t);
    await spool.clean();
    mkdirSync(dir, { recursive: true });
    for (const name of ["body-0", "body-1", "else"]) writeFileSync(join(dir, name), "");
    await spool.clean();
    assert.deepEqual(readdirSync(dir), ["else"]);
  });
});
