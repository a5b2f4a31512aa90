import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseArguments } from "../../runtime/cli/arguments.ts";
import type { Question } from "../../runtime/control/explanation.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";

const PLAIN = { method: "GET", fields: [], client: null };

describe("edgicorn explain", () => {
  const accepted: [argv: string[], question: Question][] = [
    [["/a"], { ...PLAIN, url: "/a" }],
    [["https://example.com"], { ...PLAIN, url: "https://example.com" }],
    [["post", "/a?b"], { ...PLAIN, method: "post", url: "/a?b" }],
    [
      ["-H", "Cookie: a=b: c", "PUT", "/a", "--header", "x-empty:", "--client=::1"],
      {
        method: "PUT",
        url: "/a",
        fields: [
          ["Cookie", "a=b: c"],
          ["x-empty", ""],
        ],
        client: "::1",
      },
    ],
  ];
  for (const [argv, question] of accepted) {
    it(`takes ${argv.join(" ")}`, () => {
      const invocation = parseArguments(["explain", ...argv]);
      assert.deepEqual(invocation, {
        command: "explain",
        flags: {},
        json: false,
        id: null,
        question,
      });
    });
  }

  const refused: [argv: string[], problem: RegExp][] = [
    [["explain"], /^Cannot run explain: found nothing, expected a URL/],
    [["explain", "GET"], /^Cannot run explain: found "GET", expected a URL/],
    [["explain", "GET", "example.com/a"], /^Cannot run explain: found "GET example.com\/a"/],
    [["explain", "GET", "/a", "/b"], /^Cannot run explain: found "GET \/a \/b"/],
    [["explain", "G E T", "/a"], /^Cannot run explain: /],
    [
      ["explain", "/a", "-H", "cookie"],
      /^Cannot use --header: found "cookie", expected "NAME: VALUE"/,
    ],
    [["explain", "/a", "-H"], /^Cannot use -H: found no value, expected -H 'NAME: VALUE'/],
    [["explain", "/a", "--http", "81"], /^Cannot use --http with explain: /],
    [["status", "--client", "::1"], /^Cannot use --client: only explain has it/],
  ];
  for (const [argv, problem] of refused) {
    it(`refuses ${argv.join(" ")}`, () => {
      assert.throws(
        () => parseArguments(argv),
        (error) => error instanceof RuntimeError && problem.test(error.message),
      );
    });
  }
});
