import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  resolveMatch,
  resolvePut,
  siteOfSpace,
  toNamedKey,
  toSpace,
} from "../../runtime/cache/named-caches.ts";
import { toPage } from "../../runtime/cache/cache-key.ts";
import { storedHead } from "./stored-heads.ts";

const NOW_MS = 1_000_000_000_000;
const HOUR_MS = 3_600_000;

describe("toSpace()", () => {
  const names = [null, "", "default", "a", "a:b", "a\nb", "%3A", "\u{1F600}"];
  const sites = ["default", "one.example", "*.one.example", "[::1]", "a:b", "a\nb"];

  it("gives each name of each site a space of its own, which tells the site", () => {
    const spaces = new Set<string>();
    for (const site of sites) {
      for (const name of names) {
        const space = toSpace(site, name);
        assert.equal(siteOfSpace(space), site);
        assert.ok(!space.includes("\n"), space);
        spaces.add(space);
      }
    }
    assert.equal(spaces.size, names.length * sites.length);
  });

  it("is never the space of routes", () => {
    for (const space of ["", "other"]) assert.equal(siteOfSpace(space), null);
  });
});

describe("toNamedKey()", () => {
  it("has the whole URL without its fragment", () => {
    const key = toNamedKey("https://X.example:443/a%7e/../b?c=d#e", "s");
    assert.deepEqual([key?.page, key?.search], [toPage("https://x.example/b", "s"), "?c=d"]);
  });

  it("refuses all but URLs of http and https", () => {
    for (const url of ["", "/a", "ftp://x.example/", "data:,a", "blob:https://x.example/1"]) {
      assert.equal(toNamedKey(url, "s"), null, url);
    }
  });
});

describe("resolvePut()", () => {
  const put = (
    fields: string,
    {
      status = 200,
      requestFields = "",
      codeTag = null,
    }: { status?: number; requestFields?: string; codeTag?: string | null } = {},
  ): string | number => {
    const answer = { status, statusText: "", fields, requestFields };
    const decision = resolvePut(answer, { nowMs: NOW_MS, codeTag });
    return decision.kind === "store" ? decision.head.lifetimeMs : decision.reason;
  };

  const lifetimes: [fields: string, status: number, expected: string | number][] = [
    ["cache-control\nmax-age=60", 200, 60_000],
    ["cache-control\nmax-age=60, s-maxage=7", 200, 7_000],
    ["cache-control\nmax-age=60\nage\n61", 200, "no-lifetime"],
    ['cache-control\nmax-age=0\netag\n"a"', 200, "no-lifetime"],
    ['cache-control\nno-cache\netag\n"a"', 200, "no-lifetime"],
    ["cache-control\nno-store", 200, "no-store"],
    ["cache-control\nprivate, max-age=60", 200, "private"],
    ["cache-control\nmax-age=60", 500, 60_000],
    [`expires\n${new Date(NOW_MS + HOUR_MS).toUTCString()}`, 200, HOUR_MS],
    ["expires\n0", 200, "no-lifetime"],
    ["", 200, 2 * HOUR_MS],
    ["", 301, 2 * HOUR_MS],
    ["", 302, HOUR_MS / 3],
    ["", 404, HOUR_MS / 20],
    ["", 500, "no-lifetime"],
    ["", 206, "partial"],
    ["", 304, "status"],
    ["vary\n*", 200, "vary"],
    ["set-cookie\na=b", 200, "set-cookie"],
    ["set-cookie\na=b\ncache-control\nprivate=Set-Cookie, max-age=60", 200, 60_000],
    ['set-cookie\na=b\ncache-control\nprivate="Set-Cookie", max-age=60', 200, 60_000],
  ];
  for (const [fields, status, expected] of lifetimes) {
    it(`decides about ${status} ${JSON.stringify(fields)}: ${expected}`, () => {
      assert.equal(put(fields, { status }), expected);
    });
  }

  it("stores no answer to a request with credentials, unless it may be for all", () => {
    const requestFields = "authorization\nBasic YTpi";
    assert.equal(put("cache-control\nmax-age=60", { requestFields }), "authorization");
    assert.equal(put("cache-control\npublic, max-age=60", { requestFields }), 60_000);
  });

  it("leaves out the field that the answer calls private, and adds the tag of the code", () => {
    const fields = 'set-cookie\na=b\ncache-tag\nt\ncache-control\nprivate="Set-Cookie", max-age=60';
    const answer = { status: 200, statusText: "", fields, requestFields: "" };
    const decision = resolvePut(answer, { nowMs: NOW_MS, codeTag: "code" });
    assert.ok(decision.kind === "store");
    assert.deepEqual(decision.head.tags, ["t", "code"]);
    assert.ok(!decision.head.fields.includes("a=b"));
  });
});

describe("resolveMatch()", () => {
  const head = storedHead({
    fields: 'content-type\ntext/plain\netag\n"a"',
    etag: '"a"',
    bodyBytes: 10,
    receivedMs: NOW_MS,
    lifetimeMs: 5_000,
    staleWhileRevalidateMs: 60_000,
    tags: ["old"],
  });
  const match = (requestFields = "", afterMs = 2_000, codeTags: string[] | null = null) =>
    resolveMatch(head, requestFields, {
      nowMs: NOW_MS + afterMs,
      codeTags: codeTags === null ? null : new Set(codeTags),
    });

  it("answers with age and size", () => {
    assert.deepEqual(match(), {
      status: 200,
      statusText: "",
      fields: `${head.fields}\nage\n2\ncache-status\nEdgicorn; hit; ttl=3\ncontent-length\n10`,
      body: { start: 0, lengthBytes: 10 },
    });
  });

  const rows: [fields: string, status: number, body: [number, number] | null][] = [
    ["range\nbytes=2-4", 206, [2, 3]],
    ["range\nbytes=20-", 416, [0, 0]],
    ['if-none-match\n"a"', 304, null],
    ['if-none-match\n"b"', 200, [0, 10]],
    ['range\nbytes=2-4\nif-range\n"b"', 200, [0, 10]],
  ];
  for (const [fields, status, body] of rows) {
    it(`answers ${status} to ${JSON.stringify(fields)}`, () => {
      const found = match(fields) ?? assert.fail();
      assert.equal(found.status, status);
      assert.deepEqual(found.body && [found.body.start, found.body.lengthBytes], body);
    });
  }

  it("finds no stale answer, and none of other code", () => {
    assert.equal(match("", 5_000), null);
    assert.equal(match("", 0, ["new"]), null);
    assert.equal(match("", 0, ["new", "old"])?.status, 200);
  });
});
