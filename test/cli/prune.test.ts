import assert from "node:assert/strict";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pruneBinaries } from "../../runtime/cli/prune.ts";
import { PRUNED_MARK } from "../../runtime/engine/uws/uws-packages.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const TARGET = { platform: "linux", arch: "x64", abi: "127" };

describe("pruneBinaries()", () => {
  it("keeps the binary of this system and this Node, and all that is no binary", (t) => {
    const dir = temporaryFolder(t);
    mkdirSync(join(dir, "dist/bin"), { recursive: true });
    const names = [
      "dist/bin/uws_linux_x64_127.node",
      "dist/bin/uws_linux_x64_115.node",
      "dist/bin/uws_linux_arm64_127.node",
      "dist/bin/uws_win32_x64_127.node",
      "dist/index.mjs",
      "uws_linux_x64.txt",
    ];
    for (const name of names) writeFileSync(join(dir, name), "12345");
    assert.deepEqual(pruneBinaries(dir, TARGET), { files: 3, bytes: 15 });
    assert.deepEqual(readdirSync(dir).toSorted(), ["dist", PRUNED_MARK, "uws_linux_x64.txt"]);
    assert.deepEqual(readdirSync(join(dir, "dist/bin")), ["uws_linux_x64_127.node"]);
  });

  it("marks no package that it leaves as it is", (t) => {
    const dir = temporaryFolder(t);
    writeFileSync(join(dir, "uws_linux_x64_127.node"), "");
    assert.deepEqual(pruneBinaries(dir, TARGET), { files: 0, bytes: 0 });
    assert.deepEqual(readdirSync(dir), ["uws_linux_x64_127.node"]);
  });
});
