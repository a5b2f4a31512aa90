import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  formatSize,
  type ListedName,
  PAGE_NAMES,
  parseListingView,
  pickListed,
  toListingJson,
  toListingPage,
} from "../../runtime/files/listing.ts";

const DAY = Date.UTC(2026, 10, 29, 12, 30);
const NAMES: ListedName[] = [
  { name: "b10.txt", isFolder: false, sizeBytes: 5, modifiedMs: DAY },
  { name: "b9.txt", isFolder: false, sizeBytes: 1536, modifiedMs: DAY - 86_400_000 },
  { name: "sub", isFolder: true, sizeBytes: null, modifiedMs: null },
];

function orderOf(search: string): string[] {
  return pickListed(NAMES, parseListingView(search)).shown.map(({ name }) => name);
}

describe("pickListed()", () => {
  const rows: [search: string, order: string[]][] = [
    ["", ["sub", "b9.txt", "b10.txt"]],
    ["?order=desc", ["sub", "b10.txt", "b9.txt"]],
    ["?sort=size", ["sub", "b10.txt", "b9.txt"]],
    ["?sort=date&order=desc", ["sub", "b10.txt", "b9.txt"]],
    ["?sort=constructor&offset=-1&x", ["sub", "b9.txt", "b10.txt"]],
    ["?offset=2", ["b10.txt"]],
    ["?offset=999", []],
    ["?offset=1e99", ["sub", "b9.txt", "b10.txt"]],
  ];
  for (const [search, order] of rows) {
    it(`orders by "${search}"`, () => assert.deepEqual(orderOf(search), order));
  }

  it("shows a large folder in pages", () => {
    const many = Array.from({ length: 2 * PAGE_NAMES + 1 }, (_, at): ListedName => ({
      name: `f${at}`,
      isFolder: false,
      sizeBytes: at,
      modifiedMs: DAY,
    }));
    const first = pickListed(many, parseListingView("?sort=size"));
    assert.deepEqual([first.shown.length, first.next], [PAGE_NAMES, PAGE_NAMES]);
    const last = pickListed(many, parseListingView(`?sort=size&offset=${2 * PAGE_NAMES}`));
    assert.deepEqual(
      [last.shown.map(({ name }) => name), last.next],
      [[`f${2 * PAGE_NAMES}`], null],
    );
  });
});

describe("toListingPage()", () => {
  it("escapes names, and links to paths only", () => {
    const names = [`<img src=x>"'&`, "javascript:alert(1)", "a b#?%.txt", "..\\x"];
    const shown = names.map((name) => ({ name, isFolder: false, sizeBytes: 1, modifiedMs: DAY }));
    const view = parseListingView("");
    const page = toListingPage(`/<b>"/`, { shown, view, next: null });
    assert.ok(!page.includes("<img") && !page.includes("<b>"));
    const hrefs = [...page.matchAll(/href="([^"]*)"/g)].map(([, href = ""]) => href);
    for (const href of hrefs) assert.match(href, /^(?:\/[^/\\]|\/$|\?)/, href);
    assert.ok(hrefs.includes("/%3Cb%3E%22/a%20b%23%3F%25.txt"));
    assert.ok(page.includes("2026-11-29 12:30"));
  });

  it("says when a folder is empty, and leads to the next page", () => {
    const view = parseListingView("?sort=size");
    assert.ok(toListingPage("/", { shown: [], view, next: null }).includes("empty"));
    const page = toListingPage("/a/", { shown: NAMES, view, next: 1000 });
    assert.ok(page.includes(`href="?sort=size&amp;order=asc&amp;offset=1000"`));
    assert.ok(page.includes(`href="/"`));
  });
});

describe("toListingJson()", () => {
  it("has the form of Nginx", () => {
    assert.deepEqual(JSON.parse(toListingJson(NAMES.slice(1))), [
      { name: "b9.txt", type: "file", mtime: "Sat, 28 Nov 2026 12:30:00 GMT", size: 1536 },
      { name: "sub", type: "directory" },
    ]);
  });
});

describe("formatSize()", () => {
  const rows: [number, string][] = [
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KB"],
    [1536, "1.5 KB"],
    [10 * 1024 ** 2, "10 MB"],
    [5 * 1024 ** 4, "5.0 TB"],
  ];
  for (const [bytes, text] of rows) it(text, () => assert.equal(formatSize(bytes), text));
});
