import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { type AnswerHead, planAnswer } from "../../runtime/compress/plan-answer.ts";
import { findPython, skipWithoutPython } from "../helpers/python.ts";

const SOURCES = join(import.meta.dirname, "../../runtime/python");

const PROGRAM = `
import json, sys
sys.path.insert(0, ${JSON.stringify(SOURCES)})
sys.dont_write_bytecode = True
from _edgicorn.compression import plan_answer, to_plain_tags
rows = []
for head, request in json.load(sys.stdin):
    plan = plan_answer(head["status"], head["fields"], head["sizeBytes"], request)
    rows.append(None if plan is None else [plan.coded, plan.plain])
json.dump(rows, sys.stdout)
`;

type Row = readonly [answer: AnswerHead, requestFields: string];

function inPython(rows: readonly Row[]): unknown {
  const { stdout, stderr } = spawnSync(findPython() ?? "python3", ["-c", PROGRAM], {
    input: JSON.stringify(rows),
    encoding: "utf8",
    maxBuffer: 64 * 1024 ** 2,
  });
  assert.equal(stderr, "");
  return JSON.parse(stdout);
}

/** Handlers' workers, with gzip only. */
function inTypeScript([answer, requestFields]: Row): unknown {
  const plan = planAnswer(answer, requestFields, ["gzip"]);
  if (plan === null) return null;
  return plan.coding === null ? [null, plan.fields] : [plan.fields, plan.plainFields];
}

const pairOf = (rows: readonly (readonly [string, readonly string[]])[]) =>
  fc.oneof(
    ...rows.map(([name, values]) => fc.constantFrom(...values).map((value) => `${name}\n${value}`)),
  );

const answerFields = fc
  .array(
    pairOf([
      ["content-type", ["text/html", "text/event-stream;x", "application/json", "image/png", ""]],
      ["vary", ["Cookie", "*", "Accept-Encoding", "cookie, accept-encoding"]],
      ["etag", ['"a"', 'W/"a"', '"a-gzip"', "odd"]],
      ["cache-control", ["no-store", "public, No-Transform"]],
      ["content-length", ["2000"]],
      ["content-encoding", ["br"]],
      ["content-range", ["bytes 0-1/2"]],
      ["x-note", ["etag", "content-encoding", "vary"]],
    ]),
    { maxLength: 5 },
  )
  .map((pairs) => pairs.join("\n"));

const requestFields = fc
  .array(
    pairOf([
      [
        "accept-encoding",
        ["gzip", "br", "gzip;q=0", "*", "identity, gzip;q=0.5", "x-gzip", "GZIP ;q=1"],
      ],
      ["sec-fetch-site", ["cross-site", "same-origin"]],
      ["if-none-match", ['W/"a-gzip"', '"a"', 'W/"a--gzip", "b"']],
    ]),
    { maxLength: 3 },
  )
  .map((pairs) => pairs.join("\n"));

const head = fc.record<AnswerHead>({
  status: fc.constantFrom(200, 200, 200, 204, 206, 304, 404, 500),
  fields: fc.oneof(
    answerFields,
    answerFields.map((fields) => `content-type\ntext/html${fields === "" ? "" : `\n${fields}`}`),
  ),
  sizeBytes: fc.constantFrom(null, 0, 1023, 1024, 100_000),
});

describe("plan_answer() of Python workers", { skip: skipWithoutPython() }, () => {
  it("decides as the workers of handlers do", () => {
    const rows = fc.sample(fc.tuple(head, requestFields), 3_000);
    const [found, expected] = [inPython(rows), rows.map(inTypeScript)];
    assert.ok(expected.some((plan) => Array.isArray(plan) && plan[0] !== null));
    assert.ok(Array.isArray(found));
    for (const [index, row] of rows.entries()) {
      assert.deepEqual(found[index], expected[index], JSON.stringify(row));
    }
  });
});
