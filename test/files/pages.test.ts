import assert from "node:assert/strict";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { EntryTable } from "../../runtime/files/entry-table.ts";
import type { FileIndex } from "../../runtime/files/file-index.ts";
import {
  DEFAULT_FILE_SETTINGS,
  FilePolicy,
  type FileSettings,
} from "../../runtime/files/file-policy.ts";
import { toFolder, type Folder } from "../../runtime/files/folder.ts";
import { PublicFolder, lookup } from "./public-folder.ts";

const FILES = {
  "index.html": "root",
  "about.html": "about",
  "docs/index.html": "docs",
  "both.html": "both",
  "both/index.html": "both/",
  "exact.html": "exact.html",
  exact: "exact",
  "v1.2.html": "version",
  "img/a.png": "a",
};

const PATHS = [
  "/",
  "/index.html",
  "/index",
  "/about",
  "/about/",
  "/about.html",
  "/docs",
  "/docs/",
  "/docs/index.html",
  "/docs/index",
  "/both",
  "/both/",
  "/both.html",
  "/exact",
  "/exact/",
  "/exact.html",
  "/v1.2",
  "/img",
  "/img/",
  "/img/a.png",
  "/about.html/",
  "/nothing",
];

/** Shows each path with its file, or with `->` and the path of its redirect. */
function show(index: FileIndex): Record<string, string> {
  const shown = PATHS.flatMap((path): [string, string][] => {
    const entry = lookup(index, path);
    if (entry === undefined) return [];
    return [[path, entry.kind === "file" ? entry.path : `-> ${entry.path}`]];
  });
  return Object.fromEntries(shown);
}

function toPolicy(settings: Partial<FileSettings>): FilePolicy {
  return new FilePolicy({ ...DEFAULT_FILE_SETTINGS, ...settings });
}

const FILES_THEMSELVES = {
  "/": "/index.html",
  "/index.html": "/index.html",
  "/about.html": "/about.html",
  "/docs/index.html": "/docs/index.html",
  "/both.html": "/both.html",
  "/exact": "/exact",
  "/exact.html": "/exact.html",
  "/img/a.png": "/img/a.png",
};

const AUTO = {
  ...FILES_THEMSELVES,
  "/about": "/about.html",
  "/about/": "-> /about",
  "/docs": "-> /docs/",
  "/docs/": "/docs/index.html",
  "/both": "/both.html",
  "/both/": "/both/index.html",
  "/v1.2": "/v1.2.html",
};

describe("FileIndex > pages", { timeout: 20_000 }, () => {
  const rows: [Partial<FileSettings>, Record<string, string>][] = [
    [{}, AUTO],
    [
      { cleanUrls: false },
      {
        ...FILES_THEMSELVES,
        "/docs": "-> /docs/",
        "/docs/": "/docs/index.html",
        "/both": "-> /both/",
        "/both/": "/both/index.html",
      },
    ],
    [
      { cleanUrls: "redirect" },
      {
        ...AUTO,
        "/index.html": "-> /",
        "/about.html": "-> /about",
        "/docs/index.html": "-> /docs/",
        "/both.html": "-> /both",
      },
    ],
    [
      { trailingSlash: "always" },
      { ...AUTO, "/about": "-> /about/", "/about/": "/about.html", "/v1.2": "-> /v1.2/" },
    ],
    [
      { trailingSlash: "never", cleanUrls: "redirect" },
      {
        ...AUTO,
        "/docs": "/docs/index.html",
        "/docs/": "-> /docs",
        "/index.html": "-> /",
        "/about.html": "-> /about",
        "/docs/index.html": "-> /docs",
        "/both.html": "-> /both",
      },
    ],
  ];
  for (const [settings, expected] of rows) {
    it(`have these paths with ${JSON.stringify(settings)}`, async (t) => {
      const folder = new PublicFolder(t);
      await folder.write(FILES);
      const index = await folder.open({ policy: toPolicy(settings) });
      assert.deepEqual(show(index), expected);
    });
  }

  it("change their paths with the files beside them", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "about.html": "page" });
    const index = await folder.open({ policy: toPolicy({ cleanUrls: "redirect" }) });
    const pathOf = (path: string): string | undefined => lookup(index, path)?.path;
    assert.equal(pathOf("/about.html"), "/about");
    await writeFile(join(folder.root, "about"), "exact");
    await folder.until(() => pathOf("/about.html") === "/about.html");
    assert.equal(pathOf("/about"), "/about");
    await rm(join(folder.root, "about"));
    await folder.until(() => pathOf("/about") === "/about.html");
    await rename(join(folder.root, "about.html"), join(folder.root, "us.html"));
    await folder.until(() => lookup(index, "/us")?.kind === "file");
    for (const path of ["/about", "/about/", "/about.html"]) assert.equal(pathOf(path), undefined);
  });
});

const DATE = { device: 1, inode: 1, sizeBytes: 1, modifiedMs: 1, changedMs: 1 };

describe("EntryTable", () => {
  it("has the same entries, in whichever order files come and go, and no redirect that leads nowhere", () => {
    const names = [
      "index.html",
      "a",
      "a.html",
      "a.html.br",
      "b.html",
      "b/index.html",
      "b/c.html",
      "index",
    ];
    const steps = fc.array(fc.tuple(fc.constantFrom(...names), fc.boolean()), { maxLength: 20 });
    const settings = fc.record<Pick<FileSettings, "cleanUrls" | "trailingSlash">>({
      cleanUrls: fc.constantFrom<FileSettings["cleanUrls"]>(true, false, "redirect"),
      trailingSlash: fc.constantFrom("auto", "always", "never"),
    });
    fc.assert(
      fc.property(steps, settings, (changes, own) => {
        const policy = toPolicy(own);
        const grown = grow(policy, changes);
        const last = new Map(changes);
        const fresh = grow(
          policy,
          names.filter((name) => last.get(name) === true).map((name) => [name, true]),
        );
        assert.deepEqual(grown, fresh);
        for (const target of Object.values(grown)) {
          if (!target.startsWith("-> ")) continue;
          const end = grown[target.slice(3)] ?? "";
          assert.ok(end !== "" && !end.startsWith("->"), `${target} leads to "${end}"`);
        }
      }),
    );
  });
});

/** Adds and removes files in this order, and returns the entries. */
function grow(policy: FilePolicy, changes: readonly (readonly [string, boolean])[]) {
  const table = new EntryTable(policy, () => {});
  const root = toFolder({ path: "/", name: "", realPath: "/r", inode: 1, parent: null });
  const inner = toFolder({ path: "/b/", name: "b", realPath: "/r/b", inode: 2, parent: root });
  root.children.set("b", inner);
  for (const [path, isThere] of changes) {
    const folder: Folder = path.startsWith("b/") ? inner : root;
    const name = path.replace(/^b\//, "");
    const realPath = join(folder.realPath, name);
    if (isThere) folder.children.set(name, { isFolder: false, realPath, version: DATE });
    else folder.children.delete(name);
    table.publish(folder, name);
  }
  return Object.fromEntries(
    [...table.byPath].map(([path, entry]) => [
      path,
      entry.kind === "file" ? entry.path : `-> ${entry.path}`,
    ]),
  );
}
