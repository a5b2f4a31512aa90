import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { resolveStatic, type StaticAnswer } from "../../runtime/files/answer.ts";
import { StaticFile, type FileVersion, type StaticEntry } from "../../runtime/files/static-file.ts";

const NOW = Date.UTC(2025, 5, 1);
const MODIFIED = Date.UTC(2025, 0, 2, 3, 4, 5, 678);
const version: FileVersion = {
  device: 1,
  inode: 2,
  sizeBytes: 10,
  modifiedMs: MODIFIED,
  changedMs: MODIFIED + 1,
};
const contentType = "text/plain; charset=utf-8";
const BYTES = Buffer.from("0123456789");

function toFile(
  options: { version?: Partial<FileVersion>; variants?: StaticFile[] } = {},
): StaticFile {
  const source = { realPath: "/public/a.txt", version: { ...version, ...options.version } };
  return new StaticFile(source, { path: "/a.txt", contentType, variants: options.variants ?? [] });
}

function toVariants(): StaticFile[] {
  const smaller = { realPath: "/public/a.txt.x", version: { ...version, sizeBytes: 4 } };
  return [
    new StaticFile(smaller, { path: "/a.txt", contentType, coding: "br" }),
    new StaticFile(smaller, { path: "/a.txt", contentType, coding: "gzip" }),
  ];
}

function ask(
  entry: StaticEntry,
  fields: Record<string, string> = {},
  { method = "GET", query = "" } = {},
): StaticAnswer {
  const answer = resolveStatic(entry, { method, query, field: (name) => fields[name] }, NOW);
  assert.ok(answer !== null && !("untagged" in answer));
  return answer;
}

function toRecord(block: string): Record<string, string> {
  const lines = block === "" ? [] : block.split("\n");
  assert.equal(lines.length % 2, 0);
  const names = lines.filter((_, at) => at % 2 === 0);
  return Object.fromEntries(names.map((name, at) => [name, lines[at * 2 + 1] ?? ""]));
}

describe("resolveStatic()", () => {
  it("answers with the whole file", () => {
    const file = toFile();
    const answer = ask(file);
    assert.equal(answer.status, 200);
    assert.equal(answer.contentLength, 10);
    assert.deepEqual(answer.body, { kind: "file", file, start: 0 });
    assert.deepEqual(toRecord(answer.fields), {
      "content-type": contentType,
      etag: `"a-${(MODIFIED * 1000).toString(16)}"`,
      "cache-control": "no-cache",
      "last-modified": "Thu, 02 Jan 2025 03:04:05 GMT",
      "accept-ranges": "bytes",
      "x-content-type-options": "nosniff",
    });
  });

  it("takes the bytes from memory when they are there, and marks the file as used", () => {
    const file = toFile();
    file.bytes = BYTES;
    assert.deepEqual(ask(file).body, { kind: "bytes", bytes: BYTES });
    assert.equal(file.isRecentlyUsed, true);
    assert.deepEqual(ask(file, { range: "bytes=2-4" }).body, {
      kind: "bytes",
      bytes: Buffer.from("234"),
    });
  });

  it("answers HEAD as GET, without a body, and without looking at Range", () => {
    const answer = ask(toFile(), { range: "bytes=0-1" }, { method: "HEAD" });
    assert.equal(answer.status, 200);
    assert.equal(answer.contentLength, 10);
    assert.equal(answer.fields, ask(toFile()).fields);
    assert.deepEqual(answer.body, { kind: "none" });
  });

  it("leaves other methods to handlers", () => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "get", ""]) {
      const request = { method, query: "", field: () => undefined };
      assert.equal(resolveStatic(toFile(), request, NOW), null);
    }
  });

  it("answers a range with that part", () => {
    const file = toFile();
    const answer = ask(file, { range: "bytes=2-4" });
    assert.equal(answer.status, 206);
    assert.equal(answer.contentLength, 3);
    assert.deepEqual(answer.body, { kind: "file", file, start: 2 });
    assert.equal(answer.fields, `${file.fields}\ncontent-range\nbytes 2-4/10`);
  });

  it("answers a range past the end with 416", () => {
    const answer = ask(toFile(), { range: "bytes=10-" });
    assert.equal(answer.status, 416);
    assert.equal(answer.contentLength, 0);
    assert.equal(toRecord(answer.fields)["content-range"], "bytes */10");
    assert.deepEqual(answer.body, { kind: "none" });
  });

  it("ignores a range of another version", () => {
    const answer = ask(toFile(), { range: "bytes=2-4", "if-range": '"old"' });
    assert.equal(answer.status, 200);
    assert.equal(ask(toFile(), { range: "bytes=99-", "if-range": '"old"' }).status, 200);
    assert.equal(ask(toFile(), { range: "bytes=2-4", "if-range": toFile().etag }).status, 206);
  });

  it("answers 304 to who has it, with no content-length and what guides caches", () => {
    const file = toFile();
    const answer = ask(file, { "if-none-match": file.etag, range: "bytes=2-4" });
    assert.deepEqual(answer, {
      status: 304,
      fields: `etag\n${file.etag}\ncache-control\nno-cache`,
      contentLength: null,
      body: { kind: "none" },
    });
    assert.equal(ask(file, { "if-modified-since": "Thu, 02 Jan 2025 03:04:05 GMT" }).status, 304);
  });

  it("answers 412 to who expects another", () => {
    assert.equal(ask(toFile(), { "if-match": '"old"' }).status, 412);
  });

  it("chooses the coding that the client accepts", () => {
    const file = toFile({ variants: toVariants() });
    const coded = ask(file, { "accept-encoding": "gzip, br" });
    assert.equal(toRecord(coded.fields)["content-encoding"], "br");
    assert.equal(toRecord(coded.fields)["content-type"], contentType);
    assert.equal(coded.contentLength, 4);
    assert.deepEqual(coded.body, { kind: "file", file: file.variants[0], start: 0 });
    const plain = ask(file);
    assert.equal(toRecord(plain.fields)["content-encoding"], undefined);
    assert.equal(plain.contentLength, 10);
  });

  it("says that the coding was negotiated, in every answer to it", () => {
    const file = toFile({ variants: toVariants() });
    for (const accept of ["br", "identity"]) {
      const { fields } = ask(file, { "accept-encoding": accept });
      assert.equal(toRecord(fields)["vary"], "accept-encoding");
      const known = { "accept-encoding": accept, "if-none-match": toRecord(fields)["etag"] ?? "" };
      const unchanged = ask(file, known);
      assert.equal(unchanged.status, 304);
      assert.equal(toRecord(unchanged.fields)["vary"], "accept-encoding");
    }
    assert.equal(toRecord(ask(toFile()).fields)["vary"], undefined);
  });

  it("gives each coding a tag of its own, and ranges of its own bytes", () => {
    const file = toFile({ variants: toVariants() });
    const tags = ["", "br", "gzip"].map(
      (accept) => toRecord(ask(file, { "accept-encoding": accept }).fields)["etag"],
    );
    assert.equal(new Set(tags).size, 3);
    const answer = ask(file, { "accept-encoding": "br", range: "bytes=-1" });
    assert.equal(toRecord(answer.fields)["content-range"], "bytes 3-3/4");
  });

  it("redirects to the folder and keeps the query", () => {
    const entry: StaticEntry = { kind: "redirect", path: "/docs #1/" };
    const answer = ask(entry, { "if-match": '"x"', range: "bytes=0-1" }, { query: "?a=b&c" });
    assert.deepEqual(answer, {
      status: 301,
      fields: "location\n/docs%20%231/?a=b&c",
      contentLength: 0,
      body: { kind: "none" },
    });
  });

  it("lets no query add a field", () => {
    const entry: StaticEntry = { kind: "redirect", path: "/docs #1/" };
    const answer = ask(entry, {}, { query: "?a\nset-cookie\nb" });
    assert.equal(answer.fields, "location\n/docs%20%231/");
  });
});

describe("StaticFile", () => {
  it("gives no date that was made up by a build, and a tag that changes all the same", () => {
    const fixed = { modifiedMs: 1000 };
    const before = toFile({ version: fixed });
    const after = toFile({ version: { ...fixed, changedMs: MODIFIED + 5 } });
    assert.equal(toRecord(before.fields)["last-modified"], undefined);
    assert.notEqual(before.etag, after.etag);
  });

  it("gives no date in the future", () => {
    const file = toFile({ version: { modifiedMs: NOW + 86_400_000, changedMs: NOW } });
    assert.equal(file.lastModifiedMs, NOW);
  });
});
