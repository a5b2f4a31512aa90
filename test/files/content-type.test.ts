import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { resolveContentType } from "../../runtime/files/content-type.ts";

describe("resolveContentType()", () => {
  const cases: [string, string][] = [
    ["index.html", "text/html; charset=utf-8"],
    ["PAGE.HTML", "text/html; charset=utf-8"],
    ["app.min.js", "text/javascript; charset=utf-8"],
    ["app.mjs", "text/javascript; charset=utf-8"],
    ["style.css", "text/css; charset=utf-8"],
    ["data.json", "application/json"],
    ["feed.xml", "text/xml"],
    ["logo.svg", "image/svg+xml"],
    ["favicon.ico", "image/x-icon"],
    ["a.wasm", "application/wasm"],
    ["backup.tar.gz", "application/gzip"],
    ["LICENSE", "application/octet-stream"],
    ["js", "application/octet-stream"],
    ["x.", "application/octet-stream"],
    ["x.nobody-knows", "application/octet-stream"],
    ["x.constructor", "application/octet-stream"],
    ["x.__proto__", "application/octet-stream"],
  ];
  for (const [name, expected] of cases) {
    it(`takes ${name} for ${expected}`, () => {
      assert.equal(resolveContentType(name), expected);
    });
  }
});
