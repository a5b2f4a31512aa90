import assert from "node:assert/strict";
import { mkdirSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { FileIndex } from "../../runtime/files/file-index.ts";
import { serveStatic } from "../../runtime/files/serve-files.ts";
import { FakeClient } from "../dispatch/fake-client.ts";
import { eventually } from "../helpers/eventually.ts";
import { lookup, PublicFolder } from "./public-folder.ts";

/** Asks for `/a.txt`. Resolves with the status of the answer. */
async function get(t: TestContext, serving: () => FileIndex | null): Promise<number> {
  const client = new FakeClient(1);
  assert.ok(
    serveStatic(client, { path: "/a.txt", search: "", use: "file" }, serving, (error) =>
      assert.ifError(error),
    ),
  );
  await eventually(t, () => client.settled);
  const [outcome] = client.outcomes;
  if (outcome?.kind === "streamed") {
    outcome.body.leave();
    return outcome.head.status;
  }
  if (outcome?.kind === "answered") return outcome.response.status;
  return outcome?.kind === "refused" ? outcome.status : assert.fail();
}

/** A folder like a ConfigMap, with one file whose date is no version, so that its entity tag is read first. */
async function open(t: TestContext): Promise<{ folder: PublicFolder; index: FileIndex }> {
  const folder = new PublicFolder(t);
  await folder.write({ "..v0/a.txt": "A" });
  utimesSync(join(folder.root, "..v0/a.txt"), 1_700_000_000, 1_700_000_000);
  symlinkSync("..v0", join(folder.root, "..data"));
  symlinkSync("..data/a.txt", join(folder.root, "a.txt"));
  return { folder, index: await folder.open() };
}

describe("serveStatic()", { timeout: 60_000 }, () => {
  it("serves a file whose entry is made anew each time while its tag is read", async (t) => {
    const { folder, index } = await open(t);
    const readTag = index.readTag.bind(index);
    let reads = 0;
    t.mock.method(index, "readTag", async (file: Parameters<typeof readTag>[0]) => {
      const isRead = await readTag(file);
      // As at the swap of a ConfigMap: a change beside the file, and none of the file.
      mkdirSync(join(folder.root, `..v${++reads}`));
      await folder.until(() => lookup(index, "/a.txt") !== file);
      return isRead;
    });
    assert.equal(await get(t, () => index), 200);
  });

  it("looks a file up in the index that has taken the place of a closed one", async (t) => {
    const { folder, index } = await open(t);
    const next = await folder.open();
    let serving = index;
    const readTag = index.readTag.bind(index);
    t.mock.method(index, "readTag", (file: Parameters<typeof readTag>[0]) => {
      serving = next;
      void index.destroy();
      return readTag(file);
    });
    assert.equal(await get(t, () => serving), 200);
  });

  it("answers 404 for a file that went while it was opened, and 503 if it changes endlessly", async (t) => {
    const { folder, index } = await open(t);
    const always = t.mock.method(index, "readTag", () => Promise.resolve(false));
    assert.equal(await get(t, () => index), 503);
    assert.equal(always.mock.callCount(), 5);
    always.mock.restore();
    const gone = index.readTag.bind(index);
    t.mock.method(index, "readTag", (file: Parameters<typeof gone>[0]) => {
      rmSync(join(folder.root, "..v0"), { recursive: true });
      return gone(file);
    });
    assert.equal(await get(t, () => index), 404);
  });
});
