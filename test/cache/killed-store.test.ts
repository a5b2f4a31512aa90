import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it, type TestContext } from "node:test";

import type { StoredEntry } from "../../runtime/cache/store.ts";
import { TieredStore } from "../../runtime/cache/tiered-store.ts";
import type { BodySource } from "../../runtime/http/client.ts";
import { compileProgram } from "../helpers/compile-program.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { bodyOf } from "./numbered-bodies.ts";
import { keyOf } from "./stored-heads.ts";

const PROGRAM = join(import.meta.dirname, "store-until-killed.ts");
const PAGES = 40;

/** Runs the program until it has stored so many entries, and kills it. Resolves with the number it came to. */
async function storeAndKill(t: TestContext, dir: string, start: number): Promise<number> {
  const args = [compileProgram(t, { path: PROGRAM }), dir, String(start)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  t.after(() => {
    child.kill("SIGKILL");
  });
  let last = start;
  for await (const line of createInterface({ input: child.stdout })) {
    last = Number(line);
    // A slow disk is behind.
    if (last >= start + 75 && filesIn(dir) >= 10) child.kill("SIGKILL");
  }
  assert.deepEqual(await exited, [null, "SIGKILL"]);
  return last;
}

/** Returns the number of complete entries in the folder of a store. */
function filesIn(dir: string): number {
  const shards = readdirSync(dir).filter((name) => /^[0-9a-f]{2}$/.test(name));
  return shards.reduce((sum, shard) => sum + readdirSync(join(dir, shard)).length, 0);
}

async function readBody(entry: StoredEntry): Promise<Buffer> {
  const range = { start: 0, lengthBytes: entry.head.bodyBytes };
  const body = await new Promise<BodySource | null>((resolve) => entry.openBody(range, resolve));
  assert.ok(body !== null);
  const pieces: Buffer[] = [];
  while (body.state === "open") {
    const piece = body.read(100_000);
    if (piece !== null) pieces.push(Buffer.from(piece));
    else if (body.state === "open") {
      await new Promise<void>((resolve) => {
        body.onChange = resolve;
      });
    }
  }
  assert.equal(body.state, "ended");
  return Buffer.concat(pieces);
}

/** Reads all entries, and compares each with the one version that it claims to be. Returns their number. */
async function checkEntries(store: TieredStore): Promise<number> {
  let count = 0;
  for (let page = 0; page < PAGES; page++) {
    const found = store.find(keyOf(`https://x.example/${page}`), "");
    const entry =
      found === null || found.isLoaded
        ? found
        : await new Promise<StoredEntry | null>((resolve) => found.load(resolve));
    if (entry === null) continue;
    const version = Number(/^"(\d+)"$/.exec(entry.head.etag ?? "")?.[1]);
    assert.equal(version % PAGES, page);
    assert.ok(bodyOf(page, version).equals(await readBody(entry)), `page ${page} of ${version}`);
    count++;
  }
  return count;
}

describe("a store whose process is killed", () => {
  it(
    "finds whole entries only, each with its own body, round after round",
    { timeout: 300_000 },
    async (t) => {
      const dir = temporaryFolder(t);
      let last = 0;
      for (let round = 0; round < 2; round++) {
        last = await storeAndKill(t, dir, last);
        const problems: Error[] = [];
        const store = new TieredStore({
          memoryBytes: 1024 * 1024,
          disk: { dir, limitBytes: 256 * 1024 * 1024 },
          onProblem: (error) => problems.push(error),
        });
        t.after(() => store.close());
        // Before the folder was read, and after it.
        await checkEntries(store);
        await new Promise((resolve) => store.purge({ kind: "tag", tag: "none" }, resolve));
        const count = await checkEntries(store);
        assert.ok(count > 0);
        assert.equal(store.stats().diskEntries, store.stats().entries);
        assert.deepEqual(problems, []);
        await store.close();
      }
    },
  );
});
