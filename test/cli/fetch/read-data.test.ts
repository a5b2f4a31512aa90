import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { describe, it } from "node:test";
import { readData } from "../../../runtime/cli/fetch/read-data.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";

const never = new AbortController().signal;

describe("readData()", { timeout: 60_000 }, () => {
  it("joins texts, files and standard input", async (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, "file"), "b=2\n");
    const input = new PassThrough();
    input.write("c=");
    input.end("3");
    const bytes = await readData(["a=1", "@file", "@-"], { cwd, input, signal: never });
    assert.equal(String(bytes), "a=1&b=2\n&c=3");
  });

  it("ends with the signal, before and while it reads", async () => {
    const ending = new AbortController();
    const input = new PassThrough();
    const reading = readData(["@-"], { cwd: "/", input, signal: ending.signal });
    ending.abort();
    await assert.rejects(reading, { name: "AbortError" });
    const again = readData(["@-"], { cwd: "/", input: new PassThrough(), signal: ending.signal });
    await assert.rejects(again, { name: "AbortError" });
  });

  it("stops at an input that is too long", async () => {
    const input = new PassThrough();
    const reading = readData(["@-"], { cwd: "/", input, signal: never, mostBytes: 10 });
    input.write("x".repeat(10));
    input.write("x");
    await assert.rejects(reading, {
      code: "ERR_CONFIG",
      message: /^Cannot read standard input: found more than 10 bytes, expected a shorter body/,
    });
    assert.ok(input.destroyed);
  });
});
