import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseFetch } from "../../../runtime/cli/fetch/parse-fetch.ts";
import type { OwnValues } from "../../../runtime/cli/own-flags.ts";

describe("parseFetch()", () => {
  const accepted: [words: string[], own: OwnValues, wish: object][] = [
    [["/"], {}, { method: "GET", url: "/", fields: [], data: null, include: false }],
    [["/a?b=c"], { include: [""] }, { include: true, url: "/a?b=c" }],
    [["https://example.com/a"], {}, { url: "https://example.com/a" }],
    [["/a"], { data: ["b"] }, { method: "POST", data: ["b"] }],
    [["/a"], { data: [""] }, { method: "POST", data: [""] }],
    [["/a"], { data: ["b"], request: ["PUT"] }, { method: "PUT" }],
    [
      ["/a"],
      { header: ["A: b: c", "d:"] },
      {
        fields: [
          ["A", "b: c"],
          ["d", ""],
        ],
      },
    ],
  ];
  for (const [words, own, wish] of accepted) {
    it(`accepts ${words.join(" ")} ${JSON.stringify(own)}`, () => {
      const parsed = parseFetch(words, own);
      assert.deepEqual(parsed.problems, []);
      for (const [name, value] of Object.entries(wish)) {
        assert.deepEqual(Reflect.get(parsed.wish, name), value, name);
      }
    });
  }

  const refused: [words: string[], own: OwnValues, problem: RegExp][] = [
    [[], {}, /^Cannot run fetch: found nothing, expected a path or a URL/],
    [["users"], {}, /found "users", expected a path or a URL/],
    [["http://a:b/"], {}, /found "http:\/\/a:b\/"/],
    [["ftp://a/b"], {}, /found "ftp:/],
    [["/a"], { request: ["GET /"] }, /^Cannot use --request: found "GET \/"/],
    [["/a"], { request: [""] }, /^Cannot use --request: found ""/],
    [["/a"], { header: ["no colon"] }, /^Cannot use --header: found "no colon"/],
  ];
  for (const [words, own, problem] of refused) {
    it(`refuses ${words.join(" ")} ${JSON.stringify(own)}`, () => {
      const { problems } = parseFetch(words, own);
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? "", problem);
    });
  }
});
