import assert from "node:assert/strict";
import {
  appendFileSync,
  closeSync,
  fstatSync,
  openSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { HandedFile } from "../../runtime/channel/messages.ts";
import { HandedFiles } from "../../runtime/files/handed-files.ts";
import { FakeClient, StreamedBody } from "../dispatch/fake-client.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const LOG = { debug() {}, error() {} };

/** A file that this process has open. */
function openFile(t: TestContext): { path: string; file: HandedFile } {
  const path = join(temporaryFolder(t), "a.txt");
  writeFileSync(path, "0123456789");
  const fd = openSync(path, "r");
  t.after(() => closeSync(fd));
  const { dev, ino } = fstatSync(fd);
  return { path, file: { fd, device: dev, inode: ino, start: 2, lengthBytes: 3 } };
}

describe("HandedFiles.openHanded()", { timeout: 60_000 }, () => {
  it("reads the bytes, also of a file that was removed, and closes it", async (t) => {
    const files = new HandedFiles(LOG);
    const { path, file } = openFile(t);
    rmSync(path);
    const source = await files.openHanded(process.pid, file);
    assert.ok(source !== null);
    assert.equal(files.count, 1);
    const body = new StreamedBody(source);
    await eventually(t, () => body.end === "complete");
    assert.equal(body.taken.toString(), "234");
    assert.equal(files.count, 0);
  });

  const refused: [title: string, change: Partial<HandedFile>][] = [
    ["another file has taken the number of the descriptor", { inode: 1 }],
    ["the file is on another device", { device: 1 }],
    ["there is no such descriptor", { fd: 9_999 }],
    ["it is no number", { fd: Number.NaN }],
    ["the file is shorter", { start: 9 }],
  ];
  for (const [title, change] of refused) {
    it(`opens nothing when ${title}`, async (t) => {
      const files = new HandedFiles(LOG);
      const { file } = openFile(t);
      assert.equal(await files.openHanded(process.pid, { ...file, ...change }), null);
      assert.equal(files.count, 0);
    });
  }

  it("shares the descriptor of a version of a file among all clients", async (t) => {
    const files = new HandedFiles(LOG, { mostOpen: 2 });
    const { file, path } = openFile(t);
    const opening = Array.from({ length: 50 }, () => files.openHanded(process.pid, file));
    const sources = await Promise.all(opening);
    assert.ok(sources.every((source) => source !== null));
    assert.equal(files.count, 1);
    appendFileSync(path, "more");
    const later = await files.openHanded(process.pid, file);
    assert.equal(files.count, 2, "another version");
    for (const source of sources) source?.cancel();
    assert.equal(files.count, 1);
    later?.cancel();
    assert.equal(files.count, 0);
  });

  it("opens a limited number of files", async (t) => {
    const files = new HandedFiles(LOG, { mostOpen: 1 });
    const { file } = openFile(t);
    const { file: another, path } = openFile(t);
    const first = await files.openHanded(process.pid, file);
    assert.equal(await files.openHanded(process.pid, another), null);
    const client = new FakeClient(1);
    files.answerWith(client, { path, status: 200, statusText: "", fields: "" });
    await eventually(t, () => client.settled);
    assert.deepEqual(client.outcomes, [{ kind: "refused", status: 503, retryAfterSeconds: 1 }]);
    first?.cancel();
    assert.notEqual(await files.openHanded(process.pid, another), null);
  });

  it("breaks off when the file becomes shorter while it is sent", async (t) => {
    let errors = 0;
    const files = new HandedFiles({ ...LOG, error: () => void errors++ });
    const { file, path } = openFile(t);
    const source = await files.openHanded(process.pid, file);
    truncateSync(path, 3);
    assert.ok(source !== null);
    const body = new StreamedBody(source);
    await eventually(t, () => body.end === "broken");
    assert.deepEqual([errors, files.count], [1, 0]);
  });
});

describe("HandedFiles.answerWith()", { timeout: 60_000 }, () => {
  it("closes a file whose client has left, and one without a body", async (t) => {
    const files = new HandedFiles(LOG);
    const { path } = openFile(t);
    const head = new FakeClient(1, { method: "HEAD" });
    files.answerWith(head, { path, status: 200, statusText: "", fields: "" });
    await eventually(t, () => head.settled && files.count === 0);
    const gone = new FakeClient(2);
    files.answerWith(gone, { path, status: 200, statusText: "", fields: "" });
    await eventually(t, () => gone.settled);
    gone.leave();
    await eventually(t, () => files.count === 0);
  });
});
