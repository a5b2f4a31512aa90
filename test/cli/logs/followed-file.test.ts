import assert from "node:assert/strict";
import { appendFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FollowedFile, readLastLines } from "../../../runtime/cli/logs/followed-file.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";

describe("FollowedFile", () => {
  it("reads new lines whole, wherever a write was split", async (t) => {
    const path = join(temporaryFolder(t), "a.log");
    writeFileSync(path, "old\n");
    const file = new FollowedFile(path);
    t.after(() => file.close());
    await file.begin();
    assert.deepEqual(await file.read(), []);
    appendFileSync(path, "one\ntw");
    assert.deepEqual(await file.read(), ["one"]);
    appendFileSync(path, "o\n");
    assert.deepEqual(await file.read(), ["two"]);
  });

  it("loses no line when the file is renamed and made again", async (t) => {
    const path = join(temporaryFolder(t), "a.log");
    writeFileSync(path, "");
    const file = new FollowedFile(path);
    t.after(() => file.close());
    await file.begin();
    appendFileSync(path, "1\n");
    renameSync(path, `${path}.1`);
    // The server writes to the renamed file until it opens the new one, and ends a write after that.
    appendFileSync(`${path}.1`, "2\n");
    const seen = await file.read();
    writeFileSync(path, "4\n");
    seen.push(...(await file.read()));
    appendFileSync(`${path}.1`, "3\n");
    seen.push(...(await file.read()), ...(await file.read()));
    appendFileSync(path, "5\n");
    seen.push(...(await file.read()));
    assert.deepEqual(seen, ["1", "2", "3", "4", "5"]);
  });

  it("begins again in a file that was truncated, and waits for a missing one", async (t) => {
    const path = join(temporaryFolder(t), "a.log");
    const file = new FollowedFile(path);
    t.after(() => file.close());
    await file.begin();
    assert.deepEqual(await file.read(), []);
    writeFileSync(path, "one\ntwo\n");
    assert.deepEqual(await file.read(), ["one", "two"]);
    truncateSync(path, 0);
    appendFileSync(path, "x\n");
    assert.deepEqual(await file.read(), ["x"]);
  });
});

function isShown(line: string): boolean {
  return Number(line.split(" ")[0]) % 1_000 === 7;
}

describe("readLastLines()", () => {
  it("finds the last lines that are shown, in a file of many blocks", async (t) => {
    const path = join(temporaryFolder(t), "a.log");
    const lines = Array.from({ length: 20_000 }, (_, at) => `${at} ${"x".repeat(at % 97)}`);
    writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
    for (const most of [0, 1, 5, 20, 100]) {
      const expected = most === 0 ? [] : lines.filter(isShown).slice(-most);
      assert.deepEqual(await readLastLines(path, { most, isShown }), expected, `${most}`);
    }
  });

  it("takes lines that are longer than a block, and a file that is not there", async (t) => {
    const path = join(temporaryFolder(t), "a.log");
    const long = "y".repeat(700_000);
    writeFileSync(path, `first\n${long}\nlast\n`);
    const options = { most: 10, isShown: () => true };
    assert.deepEqual(await readLastLines(path, options), ["first", long, "last"]);
    assert.deepEqual(await readLastLines(`${path}.none`, options), []);
  });
});
