import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Packr } from "msgpackr";
import { findPython, skipWithoutPython } from "../helpers/python.ts";

const SOURCES = join(import.meta.dirname, "../../runtime/python");

/** Reads values with a length in front, decodes each, encodes it again, and writes it with its length. */
const PROGRAM = `
import sys
sys.path.insert(0, ${JSON.stringify(SOURCES)})
sys.dont_write_bytecode = True
from _edgicorn.small_msgpack import pack, unpack
while True:
    head = sys.stdin.buffer.read(4)
    if not head:
        break
    data = sys.stdin.buffer.read(int.from_bytes(head, "little"))
    try:
        out = pack(unpack(data))
    except ValueError as error:
        out = pack(f"refused: {error}")
    sys.stdout.buffer.write(len(out).to_bytes(4, "little") + out)
`;

const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true, moreTypes: false });

/** Sends values through Python's decoder and encoder. */
function throughPython(payloads: readonly Uint8Array[]): unknown[] {
  const input = payloads.flatMap((payload) => {
    const head = Buffer.alloc(4);
    head.writeUInt32LE(payload.length);
    return [head, payload];
  });
  const { stdout, stderr } = spawnSync(findPython() ?? "python3", ["-c", PROGRAM], {
    input: Buffer.concat(input),
    maxBuffer: 64 * 1024 ** 2,
  });
  assert.equal(stderr.toString(), "");
  const values: unknown[] = [];
  for (let at = 0; at < stdout.length;) {
    const length = stdout.readUInt32LE(at);
    values.push(packr.unpack(stdout.subarray(at + 4, at + 4 + length)));
    at += 4 + length;
  }
  return values;
}

describe("small_msgpack", { timeout: 180_000, skip: skipWithoutPython() }, () => {
  it("reads what msgpackr writes, and writes what msgpackr reads", () => {
    const leaf = fc.oneof(
      fc.string({ unit: "binary", maxLength: 40 }),
      fc.integer(),
      fc.maxSafeInteger(),
      fc.double({ noNaN: true }).filter((number) => !Object.is(number, -0)),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
    );
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        leaf,
        fc.array(tie("value"), { maxLength: 20 }),
        fc.dictionary(fc.string({ maxLength: 8 }), tie("value"), { noNullPrototype: true }),
      ),
    }));
    const values = fc.sample(value, 300);
    const sent = values.map((each) => Buffer.from(packr.pack(each)));
    const expected = sent.map((payload) => packr.unpack(payload) as unknown);
    assert.deepEqual(throughPython(sent), expected);
  });

  it("carries texts, bytes and arrays of every size of length", () => {
    const sizes = [0, 31, 32, 255, 256, 65_535, 65_536];
    const values = sizes.flatMap((size) => [
      "é".repeat(Math.ceil(size / 2)),
      "a".repeat(size),
      Buffer.alloc(size, 7),
      Array.from({ length: size }, () => 1),
    ]);
    assert.deepEqual(throughPython(values.map((value) => Buffer.from(packr.pack(value)))), values);
  });

  it("refuses values that end early, have a rest, or are of other types", () => {
    const whole = Buffer.from(packr.pack(["abc", Buffer.from("def"), 70_000]));
    const cut = Array.from({ length: whole.length }, (_, at) => whole.subarray(0, at));
    const others = [
      Buffer.concat([whole, Buffer.from([1])]),
      Buffer.from([0xc1]),
      Buffer.from([0xd4, 1, 1]),
    ];
    for (const answer of throughPython([...cut, ...others]))
      assert.match(String(answer), /^refused: /);
  });
});
