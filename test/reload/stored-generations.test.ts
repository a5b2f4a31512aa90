import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { toGenerationDir } from "../../runtime/generation/generation-store.ts";
import { loadManifest, type Manifest } from "../../runtime/generation/manifest.ts";
import { StoredGenerations } from "../../runtime/reload/stored-generations.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** Ids sort by their time of creation. */
const [FIRST, SECOND, THIRD, FOURTH] = [1, 2, 3, 4].map(
  (day) => `2026010${day}-000000000000-aaaaaaaa`,
) as [string, string, string, string];
/** No generation on disk has this id. */
const GONE = "20260105-000000000000-aaaaaaaa";

const SILENT = pino({ level: "silent" });

/** A generation with different code for each day, unless given. */
function manifestOf(id: string, code = id): Manifest {
  return {
    formatVersion: 2,
    id,
    createdAt: "2026-01-01T00:00:00.000Z",
    mode: "production",
    sourceDir: "/srv/handlers",
    modules: [{ source: "index.ts", compiled: "index.mjs", hash: code, usesPackages: false }],
    routes: [],
    fallbacks: [],
    packages: "",
    inputs: [],
    warnings: [],
  };
}

function write(stateDir: string, manifest: Manifest): void {
  const dir = toGenerationDir(stateDir, manifest.id);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "manifest.json"), JSON.stringify(manifest));
}

function open(
  t: TestContext,
  ids: readonly string[],
): { stateDir: string; stored: StoredGenerations } {
  const stateDir = temporaryFolder(t);
  mkdirSync(toGenerationDir(stateDir, ""), { recursive: true });
  for (const id of ids) write(stateDir, manifestOf(id));
  return { stateDir, stored: new StoredGenerations(stateDir, SILENT, "production") };
}

function hasLease(stateDir: string, id: string): boolean {
  return readdirSync(toGenerationDir(stateDir, id)).includes(`lease-${process.pid}`);
}

describe("StoredGenerations", () => {
  describe("find()", () => {
    const cases: [
      title: string,
      wanted: string | undefined,
      /** In the order in which they served. */
      served: readonly string[],
      found: string | RegExp,
    ][] = [
      ["finds the last one that served, older or newer", undefined, [THIRD, SECOND], THIRD],
      [
        "finds the last one that served, not the last one that was built",
        undefined,
        [FIRST, THIRD],
        FIRST,
      ],
      [
        "goes back behind the generation that was rolled back from",
        undefined,
        // The second was bad, and the handlers folder still held its code at the next build.
        [FIRST, SECOND, FIRST, FOURTH],
        FIRST,
      ],
      ["takes the last one that was built when there is no history", undefined, [THIRD], SECOND],
      ["skips generations that are gone", undefined, [GONE, FIRST, GONE, THIRD], FIRST],
      ["finds the named generation", FIRST, [SECOND, THIRD], FIRST],
      [
        "refuses the generation that serves",
        THIRD,
        [THIRD],
        /^Cannot roll back to .*03-.*: it serves already, expected another generation$/,
      ],
      [
        "refuses a missing generation, and lists the others",
        GONE,
        [THIRD],
        new RegExp(`it is not on disk, expected one of ${FOURTH}, ${SECOND}, ${FIRST}$`),
      ],
      [
        "refuses when there is no earlier one",
        undefined,
        [FIRST],
        /^Cannot roll back: found no earlier generation with different code, /,
      ],
    ];
    for (const [title, wanted, served, found] of cases) {
      it(title, async (t) => {
        const { stateDir, stored } = open(t, [FIRST, SECOND, THIRD]);
        write(stateDir, manifestOf(FOURTH, SECOND));
        const manifests = served.map((id) => manifestOf(id, id === FOURTH ? SECOND : id));
        for (const manifest of manifests) await stored.recordServing(manifest, { isBuilt: true });
        const current = manifests.at(-1);
        assert.ok(current !== undefined);
        // As after a restart.
        for (const opened of [stored, new StoredGenerations(stateDir, SILENT, "production")]) {
          const finding = opened.find(wanted, current);
          if (typeof found === "string") assert.equal(await finding, found);
          else await assert.rejects(finding, { code: "ERR_HANDLER_LOAD", message: found });
        }
      });
    }
  });

  it("never finds in production a generation that development built, also one that served", async (t) => {
    const { stateDir, stored } = open(t, [FOURTH]);
    for (const id of [FIRST, SECOND]) {
      write(stateDir, { ...manifestOf(id), mode: "development" });
      // A server of an earlier version went there.
      await stored.recordServing(manifestOf(id), { isBuilt: false });
    }
    const current = manifestOf(FOURTH);
    await assert.rejects(stored.find(undefined, current), {
      message: /found no earlier generation with different code, and edgicorn dev built the others/,
    });
    await assert.rejects(stored.find(SECOND, current), {
      message:
        /Cannot roll back to .*02-.*: edgicorn dev built it, and edgicorn dev built the others/,
    });
    const development = new StoredGenerations(stateDir, SILENT, "development");
    assert.equal(await development.find(undefined, current), SECOND);
    write(stateDir, manifestOf(THIRD));
    assert.equal(await stored.find(undefined, current), THIRD);
    await assert.rejects(stored.find(SECOND, current), {
      message: new RegExp(`edgicorn dev built it, expected one of ${THIRD}$`),
    });
  });

  it("knows, over restarts, that the handlers folder holds different code", async (t) => {
    const { stateDir } = open(t, [FIRST, SECOND]);
    const lines: string[] = [];
    const reopen = (): StoredGenerations =>
      new StoredGenerations(
        stateDir,
        pino({ level: "warn" }, { write: (line) => lines.push(line) }),
        "production",
      );
    await reopen().recordServing(manifestOf(FIRST), { isBuilt: true });
    await reopen().recordServing(manifestOf(SECOND), { isBuilt: true });
    assert.equal(reopen().rolledBackFrom, null);
    await reopen().recordServing(manifestOf(FIRST), { isBuilt: false });
    assert.equal(reopen().rolledBackFrom, SECOND);
    assert.deepEqual(lines, []);
    await reopen().recordServing(manifestOf(THIRD, SECOND), { isBuilt: true });
    assert.equal(reopen().rolledBackFrom, null);
    assert.match(lines.join(""), /a rollback is undone: the handlers folder still holds the code/);
  });

  it("works without a history that it can read or write", async (t) => {
    const { stateDir, stored } = open(t, [FIRST, SECOND]);
    await stored.recordServing(manifestOf(FIRST), { isBuilt: true });
    writeFileSync(join(stateDir, "served.json"), `{"formatVersion":1,"served":[{}]}`);
    const damaged = new StoredGenerations(stateDir, SILENT, "production");
    assert.equal(damaged.rolledBackFrom, null);
    assert.equal(await damaged.find(undefined, manifestOf(SECOND)), FIRST);
    rmSync(join(stateDir, "served.json"));
    mkdirSync(join(stateDir, "served.json"));
    await damaged.recordServing(manifestOf(SECOND), { isBuilt: true });
    assert.equal(await damaged.find(undefined, manifestOf(SECOND)), FIRST);
  });

  it("lists the usable generations, newest first", async (t) => {
    const { stateDir, stored } = open(t, [FIRST, THIRD]);
    mkdirSync(toGenerationDir(stateDir, SECOND));
    assert.deepEqual(
      (await stored.list()).map(({ id }) => id),
      [THIRD, FIRST],
    );
  });

  it("lends a generation under a lease, which a failed task gives back", async (t) => {
    const { stateDir, stored } = open(t, [FIRST]);
    const id = await stored.lend(FIRST, async (manifest) => {
      assert.ok(hasLease(stateDir, FIRST));
      return manifest.id;
    });
    assert.equal(id, FIRST);
    assert.ok(hasLease(stateDir, FIRST));
    await stored.leases.release(FIRST);
    assert.ok(!hasLease(stateDir, FIRST));

    const failing = stored.lend(FIRST, () => Promise.reject(new Error("no")));
    await assert.rejects(failing, /^Error: no$/);
    assert.ok(!hasLease(stateDir, FIRST));
  });

  it("lends no missing generation", async (t) => {
    const { stored } = open(t, [FIRST]);
    const lending = stored.lend(SECOND, () => assert.fail("there is nothing to lend"));
    await assert.rejects(lending, { code: "ERR_HANDLER_LOAD" });
  });

  it("removes a new generation that does not come to serve, and nothing else", async (t) => {
    const { stateDir, stored } = open(t, [FIRST, SECOND]);
    const [first, second] = await Promise.all(
      [FIRST, SECOND].map((id) => loadManifest(toGenerationDir(stateDir, id))),
    );
    assert.ok(first !== undefined && second !== undefined);
    assert.equal(await stored.orDiscard(first, () => Promise.resolve("served")), "served");
    await assert.rejects(
      stored.orDiscard(second, () => Promise.reject(new Error("refused"))),
      {
        message: "refused",
      },
    );
    assert.deepEqual(readdirSync(toGenerationDir(stateDir, "")), [FIRST]);
  });

  it("keeps after a switch the newest, the serving, and the leased generations", async (t) => {
    const { stateDir, stored } = open(t, [FIRST, SECOND, THIRD, FOURTH]);
    await stored.leases.take(THIRD);
    // A server goes back to the oldest; a process that lives has the next one.
    writeFileSync(join(toGenerationDir(stateDir, SECOND), `lease-${process.ppid}`), "");
    await stored.tidyUp({ previousId: THIRD, keep: FIRST, keepLast: 1 });
    assert.deepEqual(readdirSync(toGenerationDir(stateDir, "")).toSorted(), [
      FIRST,
      SECOND,
      FOURTH,
    ]);
  });

  it("does not fail after a switch for a folder that it cannot remove", async (t) => {
    const { stateDir, stored } = open(t, []);
    const missing = new StoredGenerations(join(stateDir, "missing"), SILENT, "production");
    await missing.tidyUp({ previousId: FIRST, keep: SECOND, keepLast: 1 });
    await stored.tidyUp({ previousId: FIRST, keep: SECOND, keepLast: 1 });
    assert.ok(!existsSync(join(stateDir, "missing")));
  });
});
