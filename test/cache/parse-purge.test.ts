import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parsePurge } from "../../runtime/cache/parse-purge.ts";

describe("parsePurge()", () => {
  it("takes URLs, prefixes, tags and all", () => {
    const rows: [string, unknown][] = [
      ["all", { kind: "all" }],
      ["tag:menu", { kind: "tag", tag: "menu" }],
      ["https://Example.com/a?b=1#c", { kind: "url", url: "https://example.com/a?b=1" }],
      ["http://localhost:8080", { kind: "url", url: "http://localhost:8080/" }],
      ["https://example.com/a*", { kind: "prefix", prefix: "https://example.com/a" }],
      // Not also https://example.com.other/.
      ["https://example.com*", { kind: "prefix", prefix: "https://example.com/" }],
    ];
    for (const [text, purge] of rows) assert.deepEqual(parsePurge(text), purge, text);
  });

  it("refuses everything else", () => {
    for (const text of [
      "",
      "*",
      "/a",
      "tag:",
      "tag:a b",
      "tag:a,b",
      "ftp://a/",
      "https://",
      "https://u:p@a/",
    ])
      assert.equal(parsePurge(text), null, text);
  });
});
