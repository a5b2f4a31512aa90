import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { toGenerationDir } from "../../runtime/generation/generation-store.ts";
import { loadManifest, type Manifest } from "../../runtime/generation/manifest.ts";
import { StoredGenerations } from "../../runtime/reload/stored-generations.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** Ids sort by the time at which they were made. */
const [FIRST, SECOND, THIRD, FOURTH] = [1, 2, 3, 4].map(
  (day) => `2026010${day}-000000000000-aaaaaaaa`,
) as [string, string, string, string];

function write(stateDir: string, id: string): void {
  const dir = toGenerationDir(stateDir, id);
  const manifest: Manifest = {
    formatVersion: 2,
    id,
    createdAt: "2026-01-01T00:00:00.000Z",
    sourceDir: "/srv/handlers",
    modules: [],
    routes: [],
    fallbacks: [],
    packages: "",
    inputs: [],
    warnings: [],
  };
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "manifest.json"), JSON.stringify(manifest));
}

function open(
  t: TestContext,
  ids: readonly string[],
): { stateDir: string; stored: StoredGenerations } {
  const stateDir = temporaryFolder(t);
  mkdirSync(toGenerationDir(stateDir, ""), { recursive: true });
  for (const id of ids) write(stateDir, id);
  return { stateDir, stored: new StoredGenerations(stateDir, pino({ level: "silent" })) };
}

function hasLease(stateDir: string, id: string): boolean {
  return readdirSync(toGenerationDir(stateDir, id)).includes(`lease-${process.pid}`);
}

describe("StoredGenerations", () => {
  describe("find()", () => {
    const cases: [
      what: string,
      wanted: string | undefined,
      facts: { currentId: string; previousId: string | null },
      found: string | RegExp,
    ][] = [
      [
        "finds what served before, older or newer",
        undefined,
        { currentId: SECOND, previousId: THIRD },
        THIRD,
      ],
      [
        "after a start, what was built before what serves",
        undefined,
        { currentId: THIRD, previousId: null },
        SECOND,
      ],
      [
        "the same when what served before is gone",
        undefined,
        { currentId: THIRD, previousId: FOURTH },
        SECOND,
      ],
      ["finds the one that is named", FIRST, { currentId: THIRD, previousId: SECOND }, FIRST],
      [
        "refuses the one that serves",
        THIRD,
        { currentId: THIRD, previousId: SECOND },
        /^Cannot roll back to .*03-.*: it serves already$/,
      ],
      [
        "refuses one that is not there, and says which are",
        FOURTH,
        { currentId: THIRD, previousId: SECOND },
        new RegExp(`found none, expected one of ${THIRD}, ${SECOND}, ${FIRST}$`),
      ],
      [
        "refuses when there is none before",
        undefined,
        { currentId: FIRST, previousId: null },
        /^Cannot roll back to the generation before: found none/,
      ],
    ];
    for (const [what, wanted, facts, found] of cases) {
      it(what, async (t) => {
        const { stored } = open(t, [FIRST, SECOND, THIRD]);
        const finding = stored.find(wanted, facts);
        if (typeof found === "string") assert.equal(await finding, found);
        else await assert.rejects(finding, { code: "ERR_HANDLER_LOAD", message: found });
      });
    }
  });

  it("lists what can be used, newest first", async (t) => {
    const { stateDir, stored } = open(t, [FIRST, THIRD]);
    mkdirSync(toGenerationDir(stateDir, SECOND));
    assert.deepEqual(
      (await stored.list()).map(({ id }) => id),
      [THIRD, FIRST],
    );
  });

  it("lends a generation under a lease, which a task that fails gives back", async (t) => {
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

  it("lends nothing that is not there", async (t) => {
    const { stored } = open(t, [FIRST]);
    const lending = stored.lend(SECOND, () => assert.fail("there is nothing to lend"));
    await assert.rejects(lending, { code: "ERR_HANDLER_LOAD" });
  });

  it("removes what was built and does not come to serve, and nothing else", async (t) => {
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

  it("keeps after a switch the newest, what serves, and what others use", async (t) => {
    const { stateDir, stored } = open(t, [FIRST, SECOND, THIRD, FOURTH]);
    await stored.leases.take(THIRD);
    // A server that goes back to the oldest: a process that lives has the next one.
    writeFileSync(join(toGenerationDir(stateDir, SECOND), `lease-${process.ppid}`), "");
    await stored.tidyUp({ previousId: THIRD, keep: FIRST, keepLast: 1 });
    assert.deepEqual(readdirSync(toGenerationDir(stateDir, "")).toSorted(), [
      FIRST,
      SECOND,
      FOURTH,
    ]);
  });

  it("does not fail after a switch for a folder that it cannot tidy up", async (t) => {
    const { stateDir, stored } = open(t, []);
    const missing = new StoredGenerations(join(stateDir, "missing"), pino({ level: "silent" }));
    await missing.tidyUp({ previousId: FIRST, keep: SECOND, keepLast: 1 });
    await stored.tidyUp({ previousId: FIRST, keep: SECOND, keepLast: 1 });
    assert.ok(!existsSync(join(stateDir, "missing")));
  });
});
