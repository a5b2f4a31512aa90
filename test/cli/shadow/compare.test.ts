import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  compareAnswers,
  type ComparedAnswer,
  type Difference,
  IGNORED_FIELDS,
} from "../../../runtime/cli/shadow/compare.ts";
import type { SampledBody } from "../../../runtime/control/shadowing.ts";

function text(value: string): SampledBody {
  return { kind: "digest", lengthBytes: value.length, sha256: `hash of ${value}`, text: value };
}

function bytes(sha256: string): SampledBody {
  return { kind: "digest", lengthBytes: 7, sha256, text: null };
}

const PLAIN: ComparedAnswer = {
  status: 200,
  fields: [["content-type", "text/plain"]],
  body: text("a"),
};

describe("compareAnswers()", () => {
  const cases: [name: string, old: Partial<ComparedAnswer>, expected: Difference[]][] = [
    ["nothing", {}, []],
    [
      "a status, and nothing else then",
      { status: 404, fields: [], body: text("b") },
      [{ kind: "status", here: 200, old: 404 }],
    ],
    [
      "a missing field",
      { fields: [] },
      [{ kind: "field", name: "content-type", here: "text/plain", old: null }],
    ],
    [
      "another field, and a value",
      {
        fields: [
          ["content-type", "text/html"],
          ["x-a", "1"],
        ],
      },
      [
        { kind: "field", name: "content-type", here: "text/plain", old: "text/html" },
        { kind: "field", name: "x-a", here: null, old: "1" },
      ],
    ],
    ["no ignored field", { fields: [...PLAIN.fields, ["x-ignored", "1"]] }, []],
    ["no body that is unknown", { body: { kind: "unknown" } }, []],
    [
      "a text, with its first difference",
      { body: text("ab") },
      [{ kind: "body", hereBytes: 1, oldBytes: 2, first: { offset: 1, here: "", old: "b" } }],
    ],
    ["bytes", { body: bytes("other") }, [{ kind: "body", hereBytes: 1, oldBytes: 7, first: null }]],
  ];
  for (const [name, old, expected] of cases) {
    it(`finds ${name}`, () => {
      const found = compareAnswers(PLAIN, { ...PLAIN, ...old }, { ignored: ["x-ignored"] });
      assert.deepEqual(found, expected);
    });
  }

  it("ignores fields that differ between any two servers", () => {
    const fields = IGNORED_FIELDS.map((name): [string, string] => [name, "old"]);
    const old = { ...PLAIN, fields: [...PLAIN.fields, ...fields] };
    assert.deepEqual(compareAnswers(PLAIN, old, { ignored: [] }), []);
  });

  it("compares cookies in any order", () => {
    const [one, other] = [
      ["a", "b"],
      ["b", "a"],
    ].map((names) => ({
      ...PLAIN,
      fields: names.map((name): [string, string] => ["set-cookie", name]),
    }));
    assert.ok(one !== undefined && other !== undefined);
    assert.deepEqual(compareAnswers(one, other, { ignored: [] }), []);
  });
});
