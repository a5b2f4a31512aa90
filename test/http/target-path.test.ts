import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { parseTarget, toSafePath } from "../../runtime/http/target-path.ts";
import type { ParsedTarget } from "../../runtime/http/target-path.ts";

function parsed(target: string): ParsedTarget {
  const result = parseTarget(target);
  assert.ok(result.ok, `refused ${JSON.stringify(target)}`);
  return result;
}

/** Any text that the front door may hand over, with what is special made likely. */
const targets = fc
  .array(
    fc.oneof(
      fc.constantFrom(...Array.from("/.\\%?#'\"<>{}|^`[]~:@")),
      fc.constantFrom(
        "%2e",
        "%2E",
        "%2f",
        "%5C",
        "%00",
        "%zz",
        "..",
        "//",
        "/./",
        "/../",
        "a",
        "b.c",
      ),
      fc.string({ unit: "binary", maxLength: 3 }),
    ),
    { maxLength: 12 },
  )
  .map((parts) => `/${parts.join("")}`);

describe("parseTarget()", () => {
  const cases: [target: string, pathname: string, search: string, path: string | null][] = [
    ["/", "/", "", "/"],
    ["/a/b.txt?x=1&y=2", "/a/b.txt", "?x=1&y=2", "/a/b.txt"],
    ["/a?", "/a", "?", "/a"],
    ["/%C3%A9?", "/%C3%A9", "?", "/é"],
    ["/a?#", "/a", "?", "/a"],
    ["/a??b", "/a", "??b", "/a"],
    ["/a#b?c", "/a", "", "/a"],
    ["/a/./b/../c", "/a/c", "", "/a/c"],
    ["/a/%2e%2E/b", "/b", "", "/b"],
    ["/a/.%2e/b", "/b", "", "/b"],
    ["/../../etc/passwd", "/etc/passwd", "", "/etc/passwd"],
    ["/..\\..\\etc", "/etc", "", "/etc"],
    ["/a\\b?\\", "/a/b", "?\\", "/a/b"],
    ["//host/x", "//host/x", "", "/host/x"],
    ["///x", "///x", "", "/x"],
    ["/\\host/x", "//host/x", "", "/host/x"],
    ["/a//b", "/a//b", "", "/a/b"],
    ["/a/", "/a/", "", "/a/"],
    ["/.well-known/acme", "/.well-known/acme", "", "/.well-known/acme"],
    ["/a%20b", "/a%20b", "", "/a b"],
    ["/100%", "/100%", "", null],
    ["/%zz", "/%zz", "", null],
    ["/%ff", "/%ff", "", null],
    ["/%c0%ae%c0%ae/x", "/%c0%ae%c0%ae/x", "", null],
    ["/a%2fb", "/a%2fb", "", null],
    ["/a%5Cb", "/a%5Cb", "", null],
    ["/a%00.txt", "/a%00.txt", "", null],
    ["/..%2f..%2fetc", "/..%2f..%2fetc", "", null],
    ["/..%5c..%5cetc", "/..%5c..%5cetc", "", null],
    ["/it's?it's", "/it's", "?it%27s", "/it's"],
    ["/a?next=/../b", "/a", "?next=/../b", "/a"],
    ["/a@b:c;d=e,f", "/a@b:c;d=e,f", "", "/a@b:c;d=e,f"],
    ['/a"<>{}`', "/a%22%3C%3E%7B%7D%60", "", '/a"<>{}`'],
  ];
  for (const [target, pathname, search, path] of cases) {
    it(`takes ${target}`, () => {
      assert.deepEqual(parseTarget(target), { ok: true, pathname, search, path, params: null });
    });
  }

  for (const target of [
    "",
    "*",
    "a",
    "?x",
    "http://h/",
    "h:80",
    "\\a",
    "/a b",
    "/a\0",
    "/a\tb",
    "/\n",
    "/a\x7f",
    "/a\x80",
    "/é",
    "/a?é",
    "/\ufffd",
    " /a",
  ]) {
    it(`refuses ${JSON.stringify(target)}`, () => {
      assert.equal(parseTarget(target).ok, false);
    });
  }

  it("treats each ASCII character as the URL standard does, in path and query", () => {
    for (let code = 0x21; code < 0x7f; code++) {
      const character = String.fromCharCode(code);
      for (const target of [`/a${character}b`, `/${character}`, `/a?${character}x`]) {
        const { pathname, search } = parsed(target);
        const url = new URL(`http://h${target}`);
        assert.deepEqual([pathname, search || url.search], [url.pathname, search], target);
        assert.equal(`http://h${pathname}${search}`, url.href.replace(/#.*$/, ""), target);
      }
    }
  });

  it("means the same URL as the URL standard", () => {
    fc.assert(
      fc.property(targets, (target) => {
        const result = parseTarget(target);
        assert.equal(result.ok, /^[!-~]*$/.test(target));
        fc.pre(result.ok);
        const url = new URL(`http://h${target}`);
        url.hash = "";
        assert.equal(`http://h${result.pathname}${result.search}`, url.href);
        assert.equal(result.pathname, url.pathname);
      }),
      { numRuns: 2000 },
    );
  });

  it("is done when done once", () => {
    fc.assert(
      fc.property(targets, (target) => {
        const once = parseTarget(target);
        fc.pre(once.ok);
        assert.deepEqual(parseTarget(once.pathname + once.search), once);
      }),
      { numRuns: 2000 },
    );
  });

  it("never gives a path out of the root", () => {
    fc.assert(
      fc.property(targets, (target) => {
        const result = parseTarget(target);
        fc.pre(result.ok && result.path !== null);
        assertInside(result.path);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("toSafePath()", () => {
  it("decodes", () => {
    assert.equal(toSafePath("/caf%C3%A9/a%20b"), "/café/a b");
  });

  it("refuses dot segments although parseTarget resolves them", () => {
    for (const pathname of [
      "/..",
      "/a/..",
      "/../a",
      "/.",
      "/a/./b",
      "/%2e%2e/a",
      "/a/%2e",
      "a",
      "",
    ]) {
      assert.equal(toSafePath(pathname), null, pathname);
    }
  });

  it("keeps names that only look like dot segments", () => {
    for (const pathname of ["/...", "/..a", "/a..", "/.a", "/a.b."]) {
      assert.equal(toSafePath(pathname), pathname);
    }
  });

  it("never gives a path out of the root, whatever it is given", () => {
    fc.assert(
      fc.property(fc.oneof(targets, fc.string()), (pathname) => {
        const path = toSafePath(pathname);
        fc.pre(path !== null);
        assertInside(path);
      }),
      { numRuns: 2000 },
    );
  });
});

function assertInside(path: string | null): void {
  assert.ok(path !== null);
  assert.equal(
    join("/root", path),
    `/root${path}`,
    "join() changes nothing, so nothing is left to resolve",
  );
  assert.doesNotMatch(path, /[\\\0]/);
}
