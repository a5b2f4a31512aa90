import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import * as fc from "fast-check";
import { LineBatch, MOST_LINE_BYTES } from "../../runtime/log/line-batch.ts";
import { type FakeDestination, fakeDestination } from "../helpers/fake-destination.ts";

function open(
  t: TestContext,
  atomicBytes: number,
): { batch: LineBatch; destination: FakeDestination } {
  const destination = fakeDestination(atomicBytes);
  const batch = new LineBatch(destination, 1000);
  t.after(() => batch.close());
  return { batch, destination };
}

function add(batch: LineBatch, line: string): void {
  batch.beginLine().ascii(line);
  batch.endLine();
}

describe("LineBatch", () => {
  it("passes all lines on, in batches that are no larger than an atomic write", (t) => {
    const line = fc
      .tuple(fc.nat(MOST_LINE_BYTES - 2), fc.boolean())
      .map(([length, isText]) => ({ text: `${"x".repeat(length)}\n`, isText }));
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 50 }),
        fc.constantFrom(100, 4096, 65_536),
        (lines, atomicBytes) => {
          const { batch, destination } = open(t, atomicBytes);
          for (const { text, isText } of lines) {
            if (isText) batch.addText(text);
            else add(batch, text);
          }
          batch.close();
          assert.equal(destination.writes.join(""), lines.map(({ text }) => text).join(""));
          for (const write of destination.writes) {
            assert.ok(write.length <= atomicBytes || write.split("\n").length === 2);
          }
        },
      ),
    );
  });

  it("fills batches", (t) => {
    const { batch, destination } = open(t, 65_536);
    for (let count = 0; count < 10_000; count++) add(batch, `${"x".repeat(99)}\n`);
    for (const write of destination.writes) assert.equal(write.length, 65_500);
    assert.equal(destination.writes.length, 15);
  });

  it("forgets a line that was not ended", (t) => {
    const { batch, destination } = open(t, 4096);
    add(batch, "one\n");
    batch.beginLine().ascii("an error interrupted th");
    add(batch, "two\n");
    batch.flush();
    assert.deepEqual(destination.writes, ["one\ntwo\n"]);
  });
});
