import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { DEFAULT_SECRET_NAMES } from "../../runtime/lib/secret-names.ts";
import { findPython, skipWithoutPython } from "../helpers/python.ts";

const SOURCES = join(import.meta.dirname, "../../runtime/python");

const PROGRAM = `
import json, sys
sys.path.insert(0, ${JSON.stringify(SOURCES)})
sys.dont_write_bytecode = True
from _edgicorn.redactor import Redactor
names, texts = json.load(sys.stdin)
redactor = Redactor(names)
json.dump([redactor.redact(text) for text in texts], sys.stdout)
`;

const CASES: [given: string, expected: string][] = [
  ["GET /a?x=1&access_token=S#b", "GET /a?x=1&access_token=[redacted]#b"],
  ["/?accessToken=S&%74oken=S&tokens=1", "/?accessToken=[redacted]&%74oken=[redacted]&tokens=1"],
  ["/?token=S;S?S&b=1;2", "/?token=[redacted]&b=1;2"],
  ["/?next=/b?token=S", "/?next=/b?token=[redacted]"],
  ["/?next=%2Fb%3Ftoken%3DS&d=%3D", "/?next=[redacted]&d=%3D"],
  ['{"msg":"Cookie: a=S; b=S\\nnext"}', '{"msg":"Cookie: [redacted]\\nnext"}'],
  ["{'HTTP_COOKIE': 'a=S', 'x': 'y'}", "{'HTTP_COOKIE': '[redacted]', 'x': 'y'}"],
  [
    '{"authorization":"Basic S","password":"S"}',
    '{"authorization":"[redacted]","password":"[redacted]"}',
  ],
  ["sent Bearer eyJhbGci.S.S to b", "sent Bearer [redacted] to b"],
  ["basic authentication failed", "basic authentication failed"],
  ["a cookie was refused, wrong password", "a cookie was refused, wrong password"],
];

describe("the redactor of Python's log lines", { skip: skipWithoutPython() }, () => {
  it("replaces the secrets that the primary's redactor replaces", () => {
    const input = JSON.stringify([DEFAULT_SECRET_NAMES, CASES.map(([given]) => given)]);
    const { stdout, stderr } = spawnSync(findPython() ?? "python3", ["-c", PROGRAM], { input });
    assert.equal(String(stderr), "");
    assert.deepEqual(
      JSON.parse(String(stdout)),
      CASES.map(([, expected]) => expected),
    );
  });
});
