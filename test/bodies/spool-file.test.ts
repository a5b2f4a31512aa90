import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import type { SpoolFile } from "../../runtime/bodies/spool-file.ts";
import type { Spool, SpoolKind } from "../../runtime/bodies/spool.ts";
import { createSpool, untilTurn } from "../dispatch/spooling.ts";

function openFile(spool: Spool, kind: SpoolKind = "request"): SpoolFile {
  const file = spool.open(kind);
  assert.ok(file !== null, "as many files as may be");
  return file;
}

function isReleased(spool: Spool): Promise<void> {
  return untilTurn(() => spool.usage.files === 0 && spool.usage.heldBytes === 0);
}

describe("SpoolFile", { timeout: 60_000 }, () => {
  it("reads written bytes back, wherever they are, in both ways", async (t) => {
    const { spool, openFiles } = createSpool(t);
    const pieces = [Buffer.from("some "), Buffer.from("bytes")];
    const into = Buffer.alloc(7);
    const [later, now] = [openFile(spool), openFile(spool)];
    assert.equal(await later.write(pieces, 0), 10);
    await later.read(into, 3);
    assert.equal(String(into), "e bytes");
    assert.equal(await later.write(pieces, 10), 10);
    await later.read(into, 8);
    assert.equal(String(into), "essome ");
    assert.equal(now.writeNow(pieces, 0), 10);
    now.readNow(into, 3);
    assert.equal(String(into), "e bytes");
    assert.equal(openFiles(), 2);
    for (const file of [later, now]) file.close();
    await isReleased(spool);
    assert.equal(openFiles(), 0);
  });

  it("refuses to read bytes that it does not have", async (t) => {
    const { spool } = createSpool(t);
    const [later, now] = [openFile(spool), openFile(spool)];
    await assert.rejects(later.read(Buffer.alloc(1), 0), TypeError);
    assert.throws(() => now.readNow(Buffer.alloc(1), 0), TypeError);
    await later.write([Buffer.alloc(10)], 0);
    now.writeNow([Buffer.alloc(10)], 0);
    await assert.rejects(later.read(Buffer.alloc(8), 3), /too short/);
    assert.throws(() => now.readNow(Buffer.alloc(8), 3), /too short/);
    for (const file of [later, now]) file.close();
    await isReleased(spool);
  });

  it("has no name, and no file before the first write", async (t) => {
    const { spool, dir, openFiles } = createSpool(t);
    openFile(spool).close();
    await isReleased(spool);
    assert.equal(existsSync(dir), false);
    const [later, now] = [openFile(spool), openFile(spool)];
    now.writeNow([Buffer.alloc(10)], 0);
    assert.deepEqual([openFiles(), readdirSync(dir)], [1, []]);
    await later.write([Buffer.alloc(10)], 0);
    assert.deepEqual([openFiles(), readdirSync(dir)], [2, []]);
    for (const file of [later, now]) file.close();
    await isReleased(spool);
    assert.equal(openFiles(), 0);
  });

  it("is released once, whenever it is closed", async (t) => {
    const { spool, openFiles } = createSpool(t);
    for (let turns = 0; turns < 20; turns++) {
      const file = openFile(spool);
      assert.ok(file.reserve(200_000));
      const work = file
        .write([Buffer.alloc(200_000)], 0)
        .then(() => file.read(Buffer.alloc(10), 0))
        .catch(() => {}); // The file was closed before the read.
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      file.close();
      file.close();
      await work;
      await isReleased(spool);
    }
    assert.equal(openFiles(), 0);
  });

  it("fails when the disk does", async (t) => {
    const { spool, dir } = createSpool(t);
    mkdirSync(dirname(dir), { recursive: true });
    writeFileSync(dir, "not a folder");
    const file = openFile(spool);
    await assert.rejects(file.write([Buffer.from("a")], 0), /ENOTDIR|EEXIST/);
    assert.throws(() => file.writeNow([Buffer.from("a")], 0), /ENOTDIR|EEXIST/);
    file.close();
    await isReleased(spool);
  });
});

describe("Spool", { timeout: 60_000 }, () => {
  it("has room for so many bytes and files, of which responses leave half", async (t) => {
    const { spool } = createSpool(t, { limitBytes: 1_000, maxFiles: 4 });
    const response = openFile(spool, "response");
    assert.ok(response.reserve(500));
    assert.ok(!response.reserve(501));
    const request = openFile(spool);
    assert.ok(request.reserve(200));
    assert.ok(request.reserve(500), "the file has so many in all");
    assert.ok(!request.reserve(501));
    assert.deepEqual([response.reservedBytes, request.reservedBytes], [500, 500]);
    assert.equal(spool.usage.heldBytes, 1_000);
    assert.equal(spool.open("response"), null);
    const others = [openFile(spool), openFile(spool, "burst")];
    assert.equal(spool.open("request"), null);
    assert.equal(spool.open("burst"), null);
    for (const file of [response, request, ...others]) file.close();
    await isReleased(spool);
  });

  it("changes its limit of files when told so", async (t) => {
    const { spool } = createSpool(t, { maxFiles: 1 });
    const first = openFile(spool);
    assert.equal(spool.open("request"), null);
    spool.maxFiles = 2;
    const second = openFile(spool);
    spool.maxFiles = 0;
    // Open files stay open.
    assert.ok(second.reserve(1));
    for (const file of [first, second]) file.close();
    await isReleased(spool);
    assert.equal(spool.open("request"), null);
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
