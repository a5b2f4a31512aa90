import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync, readFileSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { brotliDecompressSync } from "node:zlib";

import { CompressedFiles, type CompressionJob } from "../../runtime/files/compressed-files.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { lookupFile, PublicFolder, readBody } from "./public-folder.ts";

const TEXT = "body { color: red }\n".repeat(500);

function toJob(text: string, key: string): CompressionJob {
  return { bytes: Buffer.from(text), key, coding: "br", level: "fast" };
}

function open(dir: string, limitBytes?: number) {
  const warnings: string[] = [];
  const log = { warn: (_fields: object, message: string) => void warnings.push(message) };
  const options = limitBytes === undefined ? { dir, log } : { dir, log, limitBytes };
  return { files: new CompressedFiles(options), warnings };
}

describe("CompressedFiles", () => {
  it("makes each content once, also for another server", async (t) => {
    const dir = join(temporaryFolder(t), "compressed");
    const first = await open(dir).files.find(toJob(TEXT, "a"));
    assert.ok(first !== null);
    assert.equal(String(brotliDecompressSync(readFileSync(first.realPath))), TEXT);
    // The name is that of the content: other bytes under it are not compressed.
    const again = await open(dir).files.find(toJob("not read", "a"));
    assert.deepEqual(again, first);
    assert.deepEqual(readdirSync(dir), ["a-fast.br"]);
  });

  it("takes one turn at a time, so that one file is in memory, and goes on after a failure", async (t) => {
    const { files } = open(temporaryFolder(t));
    let running = 0;
    const most: number[] = [];
    const turns = Array.from({ length: 20 }, (_, number) =>
      files.inTurn(async () => {
        most.push(++running);
        await files.find(toJob(TEXT, `key${number}`));
        running--;
        if (number === 5) throw new Error("cannot read the file");
      }),
    );
    const ends = await Promise.allSettled(turns);
    assert.deepEqual(
      ends.map(({ status }) => status),
      Array.from({ length: 20 }, (_, number) => (number === 5 ? "rejected" : "fulfilled")),
    );
    assert.deepEqual(most, Array<number>(20).fill(1));
    assert.equal(files.isFull, false);
  });

  it("keeps within its limit, and drops the forms that were not used for the longest time", async (t) => {
    const dir = temporaryFolder(t);
    const { files: unbound } = open(join(dir, "measured"));
    await unbound.find(toJob(TEXT, "a"));
    const limitBytes = 3 * unbound.totalBytes;
    const { files } = open(join(dir, "bound"), limitBytes);
    for (const key of ["a", "b", "c", "a", "d"]) {
      assert.ok((await files.find(toJob(TEXT, key))) !== null);
      assert.ok(files.totalBytes <= limitBytes);
    }
    const names = () => readdirSync(join(dir, "bound")).toSorted();
    assert.deepEqual(names(), ["a-fast.br", "c-fast.br", "d-fast.br"]);
    // Another server counts the files that are there.
    await open(join(dir, "bound"), limitBytes).files.find(toJob(TEXT, "e"));
    assert.equal(names().length, 3);
    assert.ok(names().includes("e-fast.br"));
  });

  it("keeps no form that saves little, and removes files of a server that was killed", async (t) => {
    const dir = temporaryFolder(t);
    writeFileSync(join(dir, "unfinished-1"), "x");
    await open(dir).files.find({ ...toJob("", "r"), bytes: randomBytes(2_000) });
    // Another server may be writing it.
    assert.deepEqual(readdirSync(dir), ["unfinished-1"]);
    t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 120_000 });
    const { files } = open(dir);
    assert.equal(await files.find({ ...toJob("", "r"), bytes: randomBytes(2_000) }), null);
    assert.deepEqual(readdirSync(dir), []);
  });

  it("warns once of a folder that it cannot use", async (t) => {
    const dir = join(temporaryFolder(t), "file");
    writeFileSync(dir, "no folder");
    const { files, warnings } = open(join(dir, "compressed"));
    for (const key of ["a", "b"]) assert.equal(await files.find(toJob(TEXT, key)), null);
    assert.equal(warnings.length, 1);
    unlinkSync(dir);
    assert.ok((await files.find(toJob(TEXT, "a"))) !== null);
  });
});

describe("FileIndex.compress()", { timeout: 60_000 }, () => {
  it("gives a file its compressed forms, and makes them anew when they are gone", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.css": TEXT, "b.css": TEXT, "b.css.gz": "coded" });
    const dir = join(folder.outside, "state");
    const { files } = open(dir);
    const index = await folder.open({ compressed: files });
    const compressed = async (nowMs: number) => {
      const file = index.lookup("/a.css", nowMs);
      assert.ok(file?.kind === "file" && file.isUncompressed);
      index.compress(file);
      assert.ok(!file.isUncompressed);
      while (file.variants.length === 0) await new Promise((resolve) => setImmediate(resolve));
      return file;
    };
    const file = await compressed(Date.now());
    assert.deepEqual(file.codings, ["br", "gzip"]);
    const [br] = file.variants;
    assert.ok(br !== undefined && br.isMade && br.needsContentTag);
    assert.equal(br.lastModifiedMs, file.lastModifiedMs);
    assert.equal(await index.readTag(br), true);
    const body = await readBody(index, br, { pieceBytes: 4096 });
    assert.equal(String(brotliDecompressSync(Buffer.from(body ?? "", "latin1"))), TEXT);
    // A sibling of the operator is enough.
    assert.ok(!lookupFile(index, "/b.css").isCompressible);
    for (const name of readdirSync(dir)) unlinkSync(join(dir, name));
    const fresh = await compressed(Date.now() + 5_000);
    assert.notEqual(fresh, file);
  });
});
