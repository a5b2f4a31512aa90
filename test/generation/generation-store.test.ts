import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { describe, it } from "node:test";

import { removeGeneration, toGenerationDir } from "../../runtime/generation/generation-store.ts";
import { releaseLease, writeLease } from "../../runtime/generation/lease.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const ID = "20260101-000000000000-aaaaaaaa";

describe("removeGeneration()", () => {
  it("leaves a generation that a process uses", async (t) => {
    const stateDir = temporaryFolder(t);
    const dir = toGenerationDir(stateDir, ID);
    await mkdir(dir, { recursive: true });
    await writeLease(dir, process.pid);
    await removeGeneration(stateDir, ID);
    assert.ok(existsSync(dir));
    await releaseLease(dir, process.pid);
    await removeGeneration(stateDir, ID);
    assert.deepEqual(await readdir(toGenerationDir(stateDir, "")), []);
  });

  it("does nothing where no such generation is", async (t) => {
    await removeGeneration(temporaryFolder(t), ID);
  });
});
