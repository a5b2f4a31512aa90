import assert from "node:assert/strict";
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { openEmbeddedStore } from "../../runtime/stores/embedded-store.ts";
import type { Store } from "../../runtime/stores/store.ts";
import { type Owner, temporaryFolder } from "../helpers/temporary-folder.ts";
import { describeStore } from "./conformance.ts";
import { describeQueue } from "./queue-conformance.ts";

/** The words of the system for a file that may not grow. */
const FULL = /^StoreError: .*(?:File too large|Input\/output error)/;

const LIMITS = { timeoutMs: 60_000 };

for (const durability of ["process", "disk"] as const) {
  describeStore(`openEmbeddedStore(), durability ${durability}`, async (t) => {
    const path = join(temporaryFolder(t), "stores", "main.lmdb");
    let offsetMs = 0;
    const now = (): number => Date.now() + offsetMs;
    const opened: Store[] = [];
    t.after(async () => {
      await Promise.all(opened.map((store) => store.close()));
    });
    const again = async (): Promise<Store> => {
      const store = await openEmbeddedStore({ path, durability, ...LIMITS, now });
      opened.push(store);
      return store;
    };
    const pass = (ms: number): Promise<void> => {
      offsetMs += ms;
      return Promise.resolve();
    };
    return { store: await again(), again, pass, now };
  });
}

describeQueue("an embedded store", async (t) => {
  const path = join(temporaryFolder(t), "queue.lmdb");
  const opened: Store[] = [];
  t.after(async () => {
    await Promise.all(opened.map((store) => store.close()));
  });
  const again = async (): Promise<Store> => {
    const store = await openEmbeddedStore({ path, durability: "process", ...LIMITS });
    opened.push(store);
    return store;
  };
  return { store: await again(), again };
});

describe("openEmbeddedStore()", { timeout: 120_000 }, () => {
  it("counts more keys than it counts in one turn", async (t) => {
    const { store } = await open(t, { nowMs: 1_000 });
    const entry = { value: Buffer.from("x"), metadata: null, expiresMs: 0 };
    for (const amount of [0, 5_999, 6_000, 6_001, 9_100]) {
      const space = `s${amount}`;
      await Promise.all(
        Array.from({ length: amount }, (_, at) => store.put(space, `k${at}`, entry)),
      );
      assert.equal(await store.count(space, { from: "k", before: "l" }), amount);
    }
  });

  it("removes expired entries from the file while others are written", async (t) => {
    const { store, path } = await open(t, { nowMs: 1_000 });
    await Promise.all(
      Array.from({ length: 50 }, (_, at) =>
        store.put("a", `old${at}`, { value: Buffer.from("x"), metadata: null, expiresMs: 2_000 }),
      ),
    );
    await store.close();
    const later = await openEmbeddedStore({
      path,
      durability: "process",
      ...LIMITS,
      now: () => 3_000,
    });
    for (let at = 0; at < 30; at += 1) {
      await later.put("a", "new", { value: Buffer.from("y"), metadata: null, expiresMs: 0 });
    }
    await later.close();
    // An early clock would still see them.
    const early = await openEmbeddedStore({ path, durability: "process", ...LIMITS, now: () => 0 });
    t.after(() => early.close());
    const left = await early.list("a", { prefix: "", after: null, limit: 100 });
    assert.deepEqual(
      left.map(({ key }) => key),
      ["new"],
    );
  });

  it("enlarges its file for all processes that have it open", async (t) => {
    const { store, path } = await open(t);
    const entry = { value: Buffer.alloc(5_000_000, 7), metadata: null, expiresMs: 0 };
    const child = fork(join(import.meta.dirname, "write-until-killed.ts"), [path, "w"]);
    await once(child, "message");
    for (let at = 0; at < 10; at += 1) await store.put("a", `k${at}`, entry);
    // The other process goes on writing.
    await once(child, "message");
    child.kill("SIGKILL");
    await once(child, "close");
    assert.deepEqual((await store.get("a", "k9"))?.value, entry.value);
  });

  it("reports a full disk to each write, with the reason, and reads on", async (t) => {
    const path = join(temporaryFolder(t), "main.lmdb");
    const program = join(import.meta.dirname, "write-until-full.ts");
    // The size of the files of a process is limited in blocks of 512 or 1024 bytes.
    const command = `ulimit -f 1500; exec "$0" --import tsx "$1" "$2"`;
    const child = spawn("sh", ["-c", command, process.execPath, program, path], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const [output] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    const { reasons, unhandled, value } = JSON.parse(output) as Record<string, unknown>;
    assert.deepEqual(unhandled, []);
    assert.equal(value, 50_000);
    assert.ok(Array.isArray(reasons) && reasons.length === 3);
    for (const reason of reasons) assert.match(String(reason), FULL);
  });

  it("gives up on a sum whose time is over", async (t) => {
    const path = join(temporaryFolder(t), "main.lmdb");
    const store = await openEmbeddedStore({ path, durability: "process", timeoutMs: 1 });
    t.after(() => store.close().catch(() => {}));
    const sums = Array.from({ length: 2_000 }, () => store.add("a", "n", { by: 1, expiresMs: 0 }));
    const results = await Promise.allSettled(sums);
    const failed = results.flatMap((each) =>
      each.status === "rejected" ? [String(each.reason)] : [],
    );
    assert.ok(failed.length > 0);
    for (const reason of failed) assert.match(reason, /^StoreError: .*within \d+|for 1 ms/);
  });

  it("refuses keys that are too long for the library", async (t) => {
    const { store } = await open(t);
    const entry = { value: Buffer.from("x"), metadata: null, expiresMs: 0 };
    await assert.rejects(store.put("a", "x".repeat(3_000), entry), /3000 bytes.*expected at most/);
  });

  it("has every acknowledged write of processes that were killed", async (t) => {
    const path = join(temporaryFolder(t), "main.lmdb");
    const acknowledged = new Map<string, number>();
    const run = async (writer: number): Promise<void> => {
      const child = fork(join(import.meta.dirname, "write-until-killed.ts"), [path, `w${writer}`]);
      const enough = new Promise<void>((resolve) => {
        let count = 0;
        child.on("message", ([key, number]: [string, number]) => {
          acknowledged.set(key, number);
          count += 1;
          if (count === 200) resolve();
        });
      });
      await enough;
      child.kill("SIGKILL");
      // Its last messages are still taken.
      await once(child, "close");
    };
    await Promise.all([run(1), run(2), run(3)]);
    const store = await openEmbeddedStore({ path, durability: "process", ...LIMITS });
    t.after(() => store.close());
    for (const [key, number] of acknowledged) {
      const found = Number(Buffer.from((await store.get("a", key))?.value ?? []).toString() || -1);
      // A write that was not acknowledged may be there as well.
      assert.ok(
        found === number || found === number + 20,
        `${key}: ${found}, acknowledged ${number}`,
      );
    }
    assert.equal(
      typeof (await store.put("a", "after", { value: Buffer.of(1), metadata: null, expiresMs: 0 })),
      "string",
    );
  });
});

async function open(
  t: Owner,
  { nowMs }: { nowMs?: number } = {},
): Promise<{ store: Store; path: string }> {
  const path = join(temporaryFolder(t), "main.lmdb");
  const clock = nowMs === undefined ? {} : { now: () => nowMs };
  const options = { path, durability: "process", ...LIMITS, ...clock } as const;
  const store = await openEmbeddedStore(options);
  t.after(() => store.close());
  return { store, path };
}
