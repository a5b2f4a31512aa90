import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import { BLOCK_BYTES } from "../../runtime/cache/entry-file.ts";
import type { EntryPlace, Purge, StoredEntry } from "../../runtime/cache/store.ts";
import type { StoredHead } from "../../runtime/cache/stored-head.ts";
import { TieredStore } from "../../runtime/cache/tiered-store.ts";
import type { BodySource } from "../../runtime/http/client.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { keyOf, storedHead } from "./stored-heads.ts";

const MIB = 1024 * 1024;

interface OpenOptions {
  memoryBytes?: number;
  dir?: string | null;
  diskBytes?: number;
  problems?: Error[];
  now?: () => number;
}

function open(t: TestContext, options: OpenOptions = {}): TieredStore {
  const { memoryBytes = 8 * MIB, dir = null, diskBytes = 64 * MIB, problems = [], now } = options;
  const store = new TieredStore({
    memoryBytes,
    disk: dir === null ? null : { dir, limitBytes: diskBytes },
    onProblem: (error) => problems.push(error),
    ...(now === undefined ? {} : { now }),
  });
  t.after(() => store.close());
  return store;
}

interface Storing {
  head?: Partial<StoredHead>;
  fields?: string;
  bodyBytes?: number | null;
  /** Size of the pieces in which the body comes. */
  pieceBytes?: number;
}

/** Stores a body. Resolves with the entry, or with `null` if the store refuses it. */
function put(
  store: TieredStore,
  url: string,
  body: string | Uint8Array,
  { head = {}, fields = "", bodyBytes = null, pieceBytes = 50_000 }: Storing = {},
): Promise<StoredEntry | null> {
  const writer = store.begin(keyOf(url), { fields, bodyBytes });
  const bytes = Buffer.from(body);
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    writer.push(bytes.subarray(at, at + pieceBytes));
  }
  return new Promise((resolve) => writer.commit(storedHead(head), resolve));
}

/** Finds an entry, and loads it from disk if it is there only. */
function load(store: TieredStore, url: string, fields = ""): Promise<StoredEntry | null> {
  const found = store.find(keyOf(url), fields);
  if (found === null || found.isLoaded) return Promise.resolve(found);
  return new Promise((resolve) => found.load(resolve));
}

/** Reads a part of an entry's body; `null`: it cannot be opened. `"failed"`: it breaks off. */
async function readBody(
  entry: StoredEntry,
  range = { start: 0, lengthBytes: entry.head.bodyBytes },
): Promise<Buffer | "failed" | null> {
  const body = await new Promise<BodySource | null>((resolve) => entry.openBody(range, resolve));
  return body === null ? null : drain(body);
}

async function drain(body: BodySource): Promise<Buffer | "failed"> {
  const pieces: Buffer[] = [];
  while (body.state === "open") {
    const piece = body.read(64 * 1024);
    if (piece !== null) pieces.push(Buffer.from(piece));
    else if (body.state === "open") {
      await new Promise<void>((resolve) => {
        body.onChange = resolve;
      });
    }
  }
  return body.state === "failed" ? "failed" : Buffer.concat(pieces);
}

async function text(store: TieredStore, url: string, fields = ""): Promise<string | null> {
  const entry = await load(store, url, fields);
  const body = entry === null ? null : await readBody(entry);
  return body === null || body === "failed" ? body : body.toString();
}

const cannotMount =
  spawnSync("unshare", ["--mount", "true"]).status === 0 && process.getuid?.() === 0
    ? false
    : "needs the right to mount a file system";

function isOfX({ origin }: EntryPlace): boolean {
  return origin === "https://x.example";
}

function purge(store: TieredStore, what: Purge): Promise<number> {
  return new Promise((resolve) => store.purge(what, resolve));
}

/** Waits until the folder was read. */
async function scanned(store: TieredStore): Promise<void> {
  await purge(store, { kind: "tag", tag: "none" });
  assert.equal(store.stats().isScanning, false);
}

function filesIn(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: "utf8" })
    .filter((name) => statSync(join(dir, name), { throwIfNoEntry: false })?.isFile() === true)
    .map((name) => join(dir, name));
}

/** Bytes that differ at each place, so that no wrong part passes for the right one. */
function pattern(sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 4)
    bytes.writeUInt32LE((at * 2_654_435) >>> 0, Math.min(at, sizeBytes - 4));
  return bytes;
}

const A = "https://x.example/a";
const B = "https://x.example/b";

describe("TieredStore in memory", () => {
  it("finds an entry at once after its commit, and not before", (t) => {
    const store = open(t);
    const writer = store.begin(keyOf(A), { fields: "", bodyBytes: null });
    writer.push(Buffer.from("ab"));
    assert.equal(store.find(keyOf(A), ""), null);
    writer.push(Buffer.from("c"));
    const committed: (StoredEntry | null)[] = [];
    writer.commit(storedHead(), (entry) => committed.push(entry));
    const found = store.find(keyOf(A), "");
    assert.ok(found?.isLoaded);
    assert.deepEqual(committed, [found]);
    assert.equal(Buffer.from(found.bytes ?? []).toString(), "abc");
    assert.equal(found.head.bodyBytes, 3);
  });

  it("copies the bytes, which are lent", async (t) => {
    for (const bodyBytes of [null, 3]) {
      const store = open(t);
      const writer = store.begin(keyOf(A), { fields: "", bodyBytes });
      const lent = Buffer.from("abc");
      writer.push(lent);
      lent.fill("x");
      writer.commit(storedHead());
      assert.equal(await text(store, A), "abc");
    }
  });

  it("stores no body of another size than announced", async (t) => {
    const store = open(t);
    assert.equal(await put(store, A, "abc", { bodyBytes: 4 }), null);
    assert.equal(await put(store, A, "abc", { bodyBytes: 2 }), null);
    assert.equal(store.find(keyOf(A), ""), null);
    assert.equal((await put(store, A, "abc", { bodyBytes: 3 }))?.isCurrent, true);
    assert.equal((await put(store, B, "", { bodyBytes: 0 }))?.head.bodyBytes, 0);
  });

  it("keeps the former entry when a writer is aborted, and counts no memory for it", async (t) => {
    const store = open(t);
    await put(store, A, "abc");
    const before = store.stats();
    const writer = store.begin(keyOf(A), { fields: "", bodyBytes: null });
    writer.push(Buffer.from("new"));
    writer.abort();
    writer.push(Buffer.from("more"));
    assert.equal(writer.isStoring, false);
    assert.equal(await text(store, A), "abc");
    assert.deepEqual(store.stats(), before);
  });

  it("stays within its limit, and drops entries that were not used", async (t) => {
    const store = open(t, { memoryBytes: MIB });
    await put(store, A, "hot");
    for (let each = 0; each < 500; each++) {
      await put(store, `https://x.example/${each}`, Buffer.alloc(10_000));
      assert.ok(store.find(keyOf(A), "") !== null, `after ${each}`);
      const { memoryBytes } = store.stats();
      assert.ok(memoryBytes <= MIB, `${memoryBytes} bytes`);
    }
    const { entries, evictions } = store.stats();
    assert.ok(entries > 50 && evictions > 400, `${entries} entries, ${evictions} evictions`);
    assert.equal(store.find(keyOf("https://x.example/0"), ""), null);
  });

  it("gives up bodies that are too large for memory, and bodies of too many writers", async (t) => {
    const store = open(t, { memoryBytes: MIB });
    assert.equal(await put(store, A, Buffer.alloc(300_000)), null);
    assert.equal(store.begin(keyOf(A), { fields: "", bodyBytes: 300_000 }).isStoring, false);
    const writers = Array.from({ length: 4 }, () =>
      store.begin(keyOf(A), { fields: "", bodyBytes: 200_000 }),
    );
    assert.deepEqual(
      writers.map(({ isStoring }) => isStoring),
      [true, true, false, false],
    );
    for (const writer of writers) writer.abort();
    assert.equal(store.stats().memoryBytes, 0);
  });

  it("keeps what other sites write while one site purges", async (t) => {
    const store = open(t);
    for (const what of [{ kind: "all" }, { kind: "tag", tag: "t" }] as const) {
      const writer = store.begin(keyOf("https://y.example/"), { fields: "", bodyBytes: null });
      await purge(store, { ...what, within: isOfX });
      writer.commit(storedHead({ tags: ["t"] }));
      assert.equal(store.find(keyOf("https://y.example/"), "")?.isLoaded, true, what.kind);
      await purge(store, { kind: "all" });
    }
  });

  it("ends the writers of a purged URL or tag: their bytes may be older than the purge", async (t) => {
    const purges: Purge[] = [
      { kind: "url", url: A },
      { kind: "prefix", prefix: "https://x.example/" },
      { kind: "tag", tag: "t" },
      { kind: "tag", tag: "t", within: isOfX },
      { kind: "all" },
      { kind: "all", within: isOfX },
    ];
    for (const what of purges) {
      const store = open(t);
      const writer = store.begin(keyOf(A), { fields: "", bodyBytes: null });
      const other = store.begin(keyOf("https://y.example/"), { fields: "", bodyBytes: null });
      await purge(store, what);
      writer.commit(storedHead({ tags: ["t"] }));
      other.commit(storedHead({ tags: ["u"] }));
      assert.equal(store.find(keyOf(A), ""), null, what.kind);
      const isOtherKept = store.find(keyOf("https://y.example/"), "") !== null;
      assert.equal(isOtherKept, what.kind !== "all" || what.within !== undefined, what.kind);
    }
  });

  it("gives an entry a new head, unless it was replaced or purged meanwhile", async (t) => {
    const store = open(t);
    const old = await put(store, A, "abc", { head: { fields: "x-a\n1", tags: ["t"] } });
    assert.ok(old !== null);
    const fresh = store.freshen(old, storedHead({ fields: "x-a\n2", tags: ["u"] }));
    assert.equal(fresh?.head.fields, "x-a\n2");
    assert.equal(store.find(keyOf(A), ""), fresh);
    assert.deepEqual([old.isCurrent, fresh?.isCurrent], [false, true]);
    assert.equal(old.head.fields, "x-a\n1");
    assert.equal(store.freshen(old, storedHead()), null);
    assert.equal(await purge(store, { kind: "tag", tag: "t" }), 0);
    assert.equal(await purge(store, { kind: "tag", tag: "u" }), 1);
    assert.ok(fresh !== null);
    assert.equal(store.freshen(fresh, storedHead()), null);
    assert.equal(store.find(keyOf(A), ""), null);
    assert.equal(store.stats().memoryBytes, 0);
  });

  it("serves an entry to its end after it was replaced", async (t) => {
    const store = open(t);
    const old = await put(store, A, "old");
    await put(store, A, "new", { head: { receivedMs: 2_000_000 } });
    assert.ok(old !== null);
    assert.equal((await readBody(old))?.toString(), "old");
    assert.equal(await text(store, A), "new");
    store.delete(old);
    assert.equal(await text(store, A), "new");
  });
});

describe("TieredStore on disk", () => {
  it("finds entries after a restart, before and after it has read the folder", async (t) => {
    const dir = join(temporaryFolder(t), "cache");
    const first = open(t, { dir });
    const large = pattern(3 * MIB + 5);
    const head = { vary: ["x-kind"], tags: ["t"], etag: '"a"' };
    await put(first, A, "one", { head, fields: "x-kind\n1" });
    await put(first, A, "two", { head, fields: "x-kind\n2" });
    await put(first, B, large);
    await first.close();

    const early = open(t, { dir });
    assert.equal(await text(early, A, "x-kind\n2"), "two");
    assert.equal(await text(early, A, "x-kind\n3"), null);
    await early.close();
    const late = open(t, { dir });
    await scanned(late);
    const { entries, diskEntries, diskBytes } = late.stats();
    assert.deepEqual([entries, diskEntries], [3, 3]);
    assert.ok(diskBytes > large.length);
    assert.equal(await text(late, A, "x-kind\n1"), "one");
    const entry = await load(late, B);
    assert.ok(entry !== null);
    assert.equal(entry.bytes, null);
    assert.ok(large.equals((await readBody(entry)) as Buffer));
    assert.equal((await load(late, A, "x-kind\n1"))?.head.etag, '"a"');
    assert.equal(late.find(keyOf("https://x.example/none"), ""), null);
    assert.equal(await purge(late, { kind: "tag", tag: "t" }), 2);
  });

  it("reads any part of a large body", async (t) => {
    const dir = temporaryFolder(t);
    const store = open(t, { dir });
    const body = pattern(2 * MIB + 77);
    const entry = await put(store, A, body, { bodyBytes: body.length });
    assert.ok(entry !== null);
    const edges = [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, 5 * BLOCK_BYTES + 3, body.length - 1];
    for (const start of edges) {
      for (const lengthBytes of [1, 2, BLOCK_BYTES, 4 * BLOCK_BYTES + 1, body.length - start]) {
        const part = body.subarray(start, start + lengthBytes);
        const read = await readBody(entry, { start, lengthBytes: part.length });
        assert.ok(read instanceof Buffer && part.equals(read), `${start} + ${lengthBytes}`);
      }
    }
  });

  it("reads a body to its end after it was evicted, purged or replaced", async (t) => {
    const dir = temporaryFolder(t);
    const store = open(t, { dir });
    const body = pattern(2 * MIB);
    const entry = await put(store, A, body);
    assert.ok(entry !== null);
    const source = await new Promise<BodySource | null>((resolve) =>
      entry.openBody({ start: 0, lengthBytes: body.length }, resolve),
    );
    assert.ok(source !== null);
    await put(store, A, pattern(3 * MIB), { head: { receivedMs: 2_000_000 } });
    await purge(store, { kind: "all" });
    assert.deepEqual(filesIn(dir), []);
    assert.ok(body.equals((await drain(source)) as Buffer));
    assert.equal(await readBody(entry), null);
  });

  it("loads from disk the entries that memory has dropped, and stays within both limits", async (t) => {
    const dir = temporaryFolder(t);
    const diskBytes = 2 * MIB;
    const store = open(t, { dir, memoryBytes: MIB, diskBytes });
    for (let each = 0; each < 160; each++) {
      await put(store, `https://x.example/${each}`, `${each} `.repeat(5000));
      const { memoryBytes, diskBytes: used } = store.stats();
      assert.ok(memoryBytes <= MIB && used <= diskBytes, `${memoryBytes}, ${used}`);
      if (each % 20 === 0) await text(store, `https://x.example/${each}`);
    }
    assert.ok((await text(store, "https://x.example/130")) === "130 ".repeat(5000));
    await store.close();
    const onDisk = filesIn(dir).reduce((sum, name) => sum + statSync(name).size, 0);
    const { diskBytes: used, evictions, diskEntries } = store.stats();
    assert.ok(onDisk <= used && used <= diskBytes, `${onDisk}, ${used}`);
    assert.equal(filesIn(dir).length, diskEntries);
    assert.ok(evictions > 10);
  });

  it("keeps a new head across a restart, also of a large body", async (t) => {
    const dir = temporaryFolder(t);
    const body = pattern(2 * MIB);
    const store = open(t, { dir });
    const small = await put(store, A, "small", { head: { fields: "x-a\n1" } });
    const large = await put(store, B, body, { head: { fields: `x-a\n${"1".repeat(500)}` } });
    assert.ok(small !== null && large !== null);
    store.freshen(small, storedHead({ fields: "x-a\n2", receivedMs: 3_000_000 }));
    const fresh = store.freshen(large, storedHead({ fields: "x-a\n2", receivedMs: 3_000_000 }));
    assert.ok(fresh !== null && body.equals((await readBody(fresh)) as Buffer));
    await store.close();
    assert.equal(filesIn(dir).length, 2);
    const again = open(t, { dir });
    for (const url of [A, B]) {
      const entry = await load(again, url);
      assert.deepEqual([entry?.head.fields, entry?.head.receivedMs], ["x-a\n2", 3_000_000], url);
    }
    assert.ok(body.equals((await readBody((await load(again, B)) as StoredEntry)) as Buffer));
  });

  it("purges entries that it has not read yet, for good", async (t) => {
    const dir = temporaryFolder(t);
    const first = open(t, { dir });
    for (let each = 0; each < 50; each++) {
      await put(first, `https://x.example/${each}`, "x", { head: { tags: [`t${each % 2}`] } });
    }
    await first.close();
    const second = open(t, { dir });
    assert.equal(await purge(second, { kind: "tag", tag: "t0" }), 25);
    assert.equal(filesIn(dir).length, 25);
    assert.equal(await text(second, "https://x.example/0"), null);
    assert.equal(await text(second, "https://x.example/1"), "x");
    await second.close();
    const third = open(t, { dir });
    await scanned(third);
    assert.equal(third.stats().entries, 25);
  });

  it("leaves no file of an entry that is purged while it is being written", async (t) => {
    const dir = temporaryFolder(t);
    const store = open(t, { dir });
    for (let round = 0; round < 8; round++) {
      const small = put(store, A, "small");
      const large = put(store, B, pattern(2 * MIB), { pieceBytes: 300_000 });
      for (let turn = 0; turn < round; turn++)
        await new Promise((resolve) => setImmediate(resolve));
      await purge(store, { kind: "all" });
      assert.equal(store.find(keyOf(A), ""), null);
      assert.equal(store.find(keyOf(B), ""), null);
      await Promise.all([small, large]);
      assert.equal(await text(store, B), null, `round ${round}`);
    }
    await store.close();
    assert.deepEqual(filesIn(dir), []);
  });

  it("takes no file for an entry that was changed on disk", async (t) => {
    const dir = temporaryFolder(t);
    const first = open(t, { dir });
    const body = pattern(2 * MIB);
    await put(first, A, "0123456789");
    await put(first, B, body);
    await first.close();
    for (const name of filesIn(dir)) {
      const bytes = readFileSync(name);
      // In the second block of the large body, and in the small one.
      const at = bytes.length > MIB ? BLOCK_BYTES + 10 : 5;
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      writeFileSync(name, bytes);
    }
    const problems: Error[] = [];
    const second = open(t, { dir, problems });
    assert.equal(await text(second, A), null);
    const entry = await load(second, B);
    assert.ok(entry !== null);
    const first100 = await readBody(entry, { start: 0, lengthBytes: 100 });
    assert.ok(body.subarray(0, 100).equals(first100 as Buffer));
    assert.equal(await readBody(entry), "failed");
    assert.equal(second.find(keyOf(B), ""), null);
    assert.match(
      problems[0]?.message ?? "",
      /Cannot send an entry of the cache: .*checksum of block 1/,
    );
  });

  it("removes torn files and files that are no entries, and no others", async (t) => {
    const dir = temporaryFolder(t);
    const first = open(t, { dir });
    await put(first, A, "0123456789");
    await put(first, B, "0123456789");
    await first.close();
    const [torn = "", kept = ""] = filesIn(dir);
    writeFileSync(torn, readFileSync(torn).subarray(0, -1));
    writeFileSync(join(dir, "README"), "mine");
    const second = open(t, { dir });
    await scanned(second);
    await second.close();
    assert.deepEqual(filesIn(dir).toSorted(), [join(dir, "README"), kept].toSorted());
  });

  it(
    "keeps on when the disk is full, and writes again once there is room",
    { skip: cannotMount },
    async (t) => {
      const stores: TieredStore[] = [];
      // Hooks run in their order: the folder is removed after this one.
      t.after(async () => {
        for (const each of stores) await each.close();
        execFileSync("umount", [dir]);
      });
      const dir = temporaryFolder(t);
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", dir]);
      const problems: Error[] = [];
      let nowMs = 0;
      const options = { dir, problems, memoryBytes: 32 * MIB, now: () => nowMs };
      const store = open(t, options);
      stores.push(store);
      await scanned(store);
      const urls = Array.from({ length: 40 }, (_, at) => `https://x.example/${at}`);
      for (const url of urls)
        assert.notEqual(await put(store, url, url.padEnd(100_000, "x")), null);
      // Files are written one after the other.
      while (!store.stats().isDiskFailing) await purge(store, { kind: "tag", tag: "none" });
      assert.equal(problems.length, 1);
      assert.match(problems[0]?.message ?? "", /^Cannot write to the cache: ENOSPC/);
      for (const url of urls)
        assert.equal((await text(store, url))?.trimEnd(), url.padEnd(100_000, "x"));
      // A body for the disk alone is not stored, and no part of it stays.
      nowMs = 100_000;
      assert.equal(await put(store, A, pattern(2 * MIB)), null);
      await purge(store, { kind: "all" });
      assert.equal(store.stats().entries, 0);
      nowMs = 200_000;
      assert.notEqual(await put(store, B, pattern(100_000)), null);
      await store.close();
      const second = open(t, options);
      stores.push(second);
      assert.deepEqual(await text(second, B), pattern(100_000).toString());
      assert.deepEqual(
        [second.stats().entries, second.stats().diskEntries, await text(second, A)],
        [1, 1, null],
      );
    },
  );

  it("answers from memory when the disk refuses everything, and says so once", async (t) => {
    const dir = join(temporaryFolder(t), "file");
    writeFileSync(dir, "");
    const problems: Error[] = [];
    let nowMs = 0;
    const store = open(t, { dir, problems, now: () => nowMs });
    await scanned(store);
    problems.length = 0;
    nowMs = 100_000;
    assert.equal((await put(store, A, "abc"))?.isCurrent, true);
    assert.equal(await put(store, B, pattern(2 * MIB)), null);
    assert.equal((await put(store, B, "b"))?.isCurrent, true);
    await purge(store, { kind: "tag", tag: "none" });
    assert.equal(await text(store, A), "abc");
    assert.equal(store.stats().isDiskFailing, true);
    assert.ok(store.stats().rejections > 0);
    assert.equal(problems.length, 1);
    assert.match(problems[0]?.message ?? "", /^Cannot write to the cache: /);
  });
});
