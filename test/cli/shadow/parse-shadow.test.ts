import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { OwnValues } from "../../../runtime/cli/own-flags.ts";
import { parseShadow } from "../../../runtime/cli/shadow/parse-shadow.ts";

describe("parseShadow()", () => {
  it("has defaults, and reads all flags", () => {
    assert.deepEqual(parseShadow(["https://old.example:8443/"], {}), {
      wish: {
        old: "https://old.example:8443",
        request: { share: 0.05, withCredentials: false },
        ignored: [],
        keepHost: false,
        seconds: null,
      },
      problems: [],
    });
    const own = {
      sample: ["5%", "0.5%"],
      seconds: ["60"],
      ignore: ["X-A,x-b", "x-c"],
      "with-credentials": [""],
      "keep-host": [""],
    };
    assert.deepEqual(parseShadow(["http://old.example"], own), {
      wish: {
        old: "http://old.example",
        request: { share: 0.005, withCredentials: true },
        ignored: ["x-a", "x-b", "x-c"],
        keepHost: true,
        seconds: 60,
      },
      problems: [],
    });
  });

  const refused: [words: string[], own: OwnValues, problem: RegExp][] = [
    [[], {}, /^Cannot run shadow: found nothing/],
    [["old.example"], {}, /found "old\.example", expected scheme and host/],
    [["https://old.example/path"], {}, /found "https:\/\/old\.example\/path", expected/],
    [
      ["https://user:secret@old.example"],
      {},
      /^Cannot run shadow: found a URL with a password, expected/,
    ],
    [["ftp://old.example"], {}, /found "ftp:\/\/old\.example"/],
    ...["0%", "5", "101%", "-1%", "", "x%"].map((sample): [string[], OwnValues, RegExp] => [
      ["http://a"],
      { sample: [sample] },
      /^Cannot use --sample: found/,
    ]),
    [["http://a"], { seconds: ["0"] }, /^Cannot use --seconds: found "0"/],
    [["http://a"], { seconds: ["1e9"] }, /^Cannot use --seconds/],
    [["http://a"], { ignore: ["a b"] }, /^Cannot use --ignore: found "a b"/],
    [["http://a"], { ignore: ["a,"] }, /^Cannot use --ignore: found ""/],
  ];
  for (const [words, own, problem] of refused) {
    it(`refuses ${words.join(" ")} ${JSON.stringify(own)}`, () => {
      const { problems } = parseShadow(words, own);
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? "", problem);
    });
  }
});
