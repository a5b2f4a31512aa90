import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { fileOf } from "../../runtime/web/file-stream.ts";
import { sendFile, type SendFileInit } from "../../runtime/web/send-file.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

function pathOf(response: Response): string | null {
  return response.body === null ? null : fileOf(response.body);
}

describe("sendFile()", () => {
  const rows: [path: string | URL, root: SendFileInit["root"], expected: string | null][] = [
    ["a.txt", undefined, resolve("a.txt")],
    ["/srv/a.txt", undefined, "/srv/a.txt"],
    ["../a.txt", undefined, resolve("../a.txt")],
    [pathToFileURL("/srv/a b.txt"), undefined, "/srv/a b.txt"],
    ["a.txt", "/srv", "/srv/a.txt"],
    ["b/../a.txt", "/srv", "/srv/a.txt"],
    ["/a.txt", "/srv", "/srv/a.txt"],
    ["..a/..b", pathToFileURL("/srv/"), "/srv/..a/..b"],
    ["../a.txt", "/srv", null],
    ["/../srv-other/a.txt", "/srv", null],
    ["b/../../etc/passwd", "/srv", null],
    ["", "/srv", null],
    ["..", "/srv", null],
    ["a\0.txt", undefined, null],
    ["a", "/", "/a"],
  ];
  for (const [path, root, expected] of rows) {
    it(`takes ${String(path)} in ${String(root)}`, () => {
      const response = sendFile(path, root === undefined ? {} : { root });
      assert.equal(pathOf(response), expected);
      assert.equal(response.status, expected === null ? 404 : 200);
    });
  }

  it("is a response whose bytes can be read, and whose body can be passed on", async (t) => {
    const file = join(temporaryFolder(t), "a.bin");
    const bytes = Buffer.alloc(200_000, "abc");
    writeFileSync(file, bytes);
    const first = sendFile(file, { headers: { "x-a": "1" } });
    const changed = new Response(first.body, { headers: { "x-b": "2" } });
    assert.equal(pathOf(changed), file);
    assert.ok(bytes.equals(Buffer.from(await changed.arrayBuffer())));
    await sendFile(file).body?.cancel();
    await assert.rejects(sendFile(`${file}.gone`).text(), { code: "ENOENT" });
  });

  it("refuses other types, also from JavaScript", () => {
    assert.throws(() => sendFile(7 as unknown as string), /found a path of type number/);
  });
});
