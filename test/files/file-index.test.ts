import assert from "node:assert/strict";
import { realpathSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import {
  appendFile,
  chmod,
  link,
  mkdir,
  open,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";

import * as fc from "fast-check";

import { toTagPieces, type FileIndex } from "../../runtime/files/file-index.ts";
import { FileChangedError } from "../../runtime/files/file-body.ts";
import { OpenFileBudget } from "../../runtime/files/open-files.ts";
import { ResidentBytes } from "../../runtime/files/resident-bytes.ts";
import { lookup, lookupFile, PublicFolder, readBody } from "./public-folder.ts";

const SECOND = 1000;

/** Reads the entity tag of a file that has none yet. */
async function tagOf(index: FileIndex, path: string): Promise<string> {
  const file = lookupFile(index, path);
  assert.equal(file.needsContentTag, true, path);
  assert.equal(await index.readTag(file), true);
  assert.equal(file.needsContentTag, false);
  assert.ok(file.fields.includes(file.etag));
  return file.etag;
}

describe("FileIndex > what is served", () => {
  it("finds files by their decoded path", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({
      "a.txt": "A",
      "sub/deep/b c.txt": "B",
      "grüße/日本.txt": "C",
      "a%2fb": "D",
    });
    const index = await folder.open();
    const paths = {
      "/a.txt": "A",
      "/sub/deep/b c.txt": "B",
      "/grüße/日本.txt": "C",
      "/a%2fb": "D",
    };
    for (const [path, content] of Object.entries(paths)) {
      assert.equal(await readBody(index, lookupFile(index, path)), content, path);
    }
    assert.equal(index.stats.files, 4);
  });

  it("finds nothing for a path that is no file's", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.txt": "A", "sub/b.txt": "B" });
    await writeFile(join(folder.outside, "secret"), "S");
    const index = await folder.open();
    const paths = [
      "",
      "/",
      "a.txt",
      "//a.txt",
      "/a.txt/",
      "/A.TXT",
      "/sub",
      "/sub/",
      "/../secret",
      "/sub/../../secret",
      "/sub/../a.txt",
      "/./a.txt",
      "/..\\secret",
      "/%2e%2e/secret",
      "/a.txt\0",
      "/a.txt\0.html",
      folder.root,
      join(folder.outside, "secret"),
      "__proto__",
      "constructor",
    ];
    for (const path of paths) assert.equal(lookup(index, path), undefined, JSON.stringify(path));
  });

  it("finds nothing outside, whatever the path", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.txt": "A", "sub/b.txt": "B" });
    await writeFile(join(folder.outside, "secret"), "S");
    const index = await folder.open();
    const part = fc.constantFrom(
      "..",
      ".",
      "/",
      "\\",
      "a.txt",
      "sub",
      "secret",
      "public",
      "%2e",
      "\0",
    );
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const path = `/${parts.join("")}`;
        const isFile = path === "/a.txt" || path === "/sub/b.txt";
        assert.equal(lookup(index, path) !== undefined, isFile, path);
      }),
    );
  });

  it("answers a folder with its index page, and redirects to its slash", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "index.html": "root", "docs #1/index.html": "docs", "empty/a.txt": "A" });
    const index = await folder.open();
    assert.equal(await readBody(index, lookupFile(index, "/")), "root");
    assert.equal(await readBody(index, lookupFile(index, "/docs #1/")), "docs");
    assert.equal(await readBody(index, lookupFile(index, "/docs #1/index.html")), "docs");
    assert.equal(lookupFile(index, "/docs #1/").contentType, "text/html; charset=utf-8");
    const redirect = { kind: "redirect", path: "/docs #1/" };
    assert.deepEqual(lookup(index, "/docs #1"), redirect);
    assert.equal(lookup(index, "/empty"), undefined);
    assert.equal(lookup(index, "/empty/"), undefined);
  });

  it("hides what begins with a dot, but for /.well-known/, and files of rules", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({
      ".env": "S",
      ".git/config": "S",
      "sub/.htpasswd": "S",
      "sub/.well-known/x": "S",
      ".well-known/security.txt": "ok",
      ".well-known/.hidden": "S",
      _headers: "S",
      "sub/_redirects": "S",
    });
    const index = await folder.open();
    assert.equal(await readBody(index, lookupFile(index, "/.well-known/security.txt")), "ok");
    assert.equal(index.stats.files, 1);
    assert.equal(lookup(index, "/.env"), undefined);
    assert.equal(lookup(index, "/.git/config"), undefined);
  });

  it("hides the files that .assetsignore names, with their other forms and links to them", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({
      ".assetsignore": "*.map\n!/keep.map\n/drafts/\nabout.html\n",
      "a.js": "A",
      "a.js.map": "S",
      "a.js.map.br": "S",
      "x/B.MAP": "S",
      "keep.map": "K",
      "drafts/y/c.txt": "S",
      "x/drafts/c.txt": "C",
      "about.html": "S",
      "x/about.html": "S",
      "index.html": "I",
    });
    await symlink("a.js.map", join(folder.root, "link.txt"));
    await symlink("drafts/y", join(folder.root, "linked"));
    await symlink("x/drafts", join(folder.root, "other"));
    const index = await folder.open();
    assert.deepEqual(index.paths.toSorted(), [
      "/",
      "/a.js",
      "/index.html",
      "/keep.map",
      "/other/c.txt",
      "/x/drafts/c.txt",
    ]);
    assert.deepEqual(
      index.list("/x/")?.map(({ name }) => name),
      ["drafts"],
    );
    assert.equal(index.list("/drafts/"), null);
    const hidden = folder.warnings.filter((warning) => warning.includes("a hidden file"));
    assert.equal(hidden.length, 2, folder.warnings.join("\n"));
  });

  it("serves nothing while .assetsignore cannot be read", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ ".assetsignore/x": "", "a.txt": "A", "b.txt": "B" });
    const index = await folder.open();
    assert.deepEqual(index.paths, []);
    assert.match(
      folder.warnings[0] ?? "",
      /^Cannot use .*\.assetsignore: found a folder, expected /,
    );
    await rm(join(folder.root, ".assetsignore"), { recursive: true });
    await folder.until(() => index.stats.files === 2);
    await writeFile(join(folder.root, ".assetsignore"), "#".repeat(1024 * 1024 + 1));
    await folder.until(() => index.stats.files === 0);
    const tooLarge = /found 1048577 bytes, expected at most 1 MiB/;
    assert.ok(folder.warnings.some((warning) => tooLarge.test(warning)));
    await writeFile(join(folder.root, ".assetsignore"), "a.txt");
    await folder.until(() => index.paths.join() === "/b.txt");
  });

  it("follows symbolic links inside the root only", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "real/a.txt": "A", ".private/s.txt": "S", "index.html": "I" });
    await mkdir(join(folder.outside, "public-too"));
    await writeFile(join(folder.outside, "public-too", "secret.txt"), "S");
    const links: Record<string, string> = {
      "file.txt": "real/a.txt",
      "absolute.txt": join(folder.root, "real/a.txt"),
      folder: "real",
      "up-and-back": "../public/real",
      // None of these:
      "outside.txt": "../public-too/secret.txt",
      outside: "../public-too",
      etc: "/etc",
      "hidden.txt": ".private/s.txt",
      dangling: "nowhere",
      itself: "itself",
      root: ".",
      "real/parent": "..",
      "real/again": "../real",
    };
    for (const [path, target] of Object.entries(links))
      await symlink(target, join(folder.root, path));
    const index = await folder.open();
    for (const path of ["/file.txt", "/absolute.txt", "/folder/a.txt", "/up-and-back/a.txt"]) {
      assert.equal(await readBody(index, lookupFile(index, path)), "A", path);
    }
    assert.equal(index.stats.files, 6);
    for (const path of ["/outside.txt", "/outside/secret.txt", "/etc/passwd", "/hidden.txt"]) {
      assert.equal(lookup(index, path), undefined, path);
    }
    const refused = folder.warnings.filter((warning) => warning.includes("publicLinks"));
    assert.equal(refused.length, 4, refused.join("\n"));
    assert.ok(refused.some((warning) => warning.includes(`${folder.root}/etc: `)));
    assert.ok(refused.some((warning) => warning.includes(`${folder.outside}/public-too, outside`)));
    assert.ok(refused.some((warning) => warning.includes("/.private/s.txt, a hidden file")));
  });

  it("warns of a link to the outside that appears, and follows it when told to", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.txt": "A" });
    await mkdir(join(folder.outside, "shared"));
    await writeFile(join(folder.outside, "shared", "b.txt"), "B");
    const [inside, following] = [await folder.open(), await folder.open({ links: "follow" })];
    await symlink("../shared", join(folder.root, "s"));
    await folder.until(() => lookup(following, "/s/b.txt") !== undefined);
    assert.equal(await readBody(following, lookupFile(following, "/s/b.txt")), "B");
    await folder.until(() => folder.warnings.length > 0);
    assert.match(
      folder.warnings.join(),
      /public\/s: found a symbolic link to \S+\/shared, outside/,
    );
    assert.equal(folder.warnings.length, 1);
    assert.equal(lookup(inside, "/s/b.txt"), undefined);
  });

  it("serves a link whose target comes later, and says which leads nowhere", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.txt": "A", "files/b.txt": "B" });
    await symlink("nowhere", join(folder.root, "dangling.txt"));
    await symlink("files/later.txt", join(folder.root, "later.txt"));
    const index = await folder.open();
    assert.equal(lookup(index, "/later.txt"), undefined);
    await folder.write({ "files/later.txt": "L" });
    await folder.until(() => lookup(index, "/later.txt") !== undefined);
    assert.equal(await readBody(index, lookupFile(index, "/later.txt")), "L");
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (folder.warnings.length === 0) return;
        clearInterval(timer);
        resolve();
      }, 10);
      t.after(() => clearInterval(timer));
    });
    assert.match(folder.warnings.join(), /dangling\.txt: found a symbolic link that leads nowhere/);
  });

  it("serves the files of a ConfigMap, and sees all of them change at once", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({
      "..v1/c.json": "1",
      "..v1/sub/d.json": "1",
      "..v2/c.json": "2",
      "..v2/sub/d.json": "2",
      ".env": "S",
    });
    await symlink("..v1", join(folder.root, "..data"));
    await symlink("..data/c.json", join(folder.root, "c.json"));
    await symlink("..data/sub", join(folder.root, "sub"));
    await symlink(".env", join(folder.root, "env"));
    const index = await folder.open();
    const read = async (): Promise<(string | null)[]> => [
      await readBody(index, lookupFile(index, "/c.json")),
      await readBody(index, lookupFile(index, "/sub/d.json")),
    ];
    assert.deepEqual(await read(), ["1", "1"]);
    for (const path of ["/..data/c.json", "/..v1/c.json", "/env"]) {
      assert.equal(lookup(index, path), undefined, path);
    }
    await symlink("..v2", join(folder.root, "..tmp"));
    await rename(join(folder.root, "..tmp"), join(folder.root, "..data"));
    const sourceOf = (path: string): string => {
      const entry = lookup(index, path);
      return entry?.kind === "file" ? entry.source.realPath : "";
    };
    await folder.until(() =>
      ["/c.json", "/sub/d.json"].every((path) => sourceOf(path).includes("..v2")),
    );
    assert.deepEqual(await read(), ["2", "2"]);
  });

  it("finds the files of a linked folder at once when its old target is gone", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "..v1/sub/d.json": "1", "..v2/sub/d.json": "2" });
    symlinkSync("..v1", join(folder.root, "..data"));
    symlinkSync("..data/sub", join(folder.root, "sub"));
    const index = await folder.open();
    const laterMs = Date.now() + 10 * SECOND;
    assert.equal(index.lookup("/sub/d.json", laterMs)?.kind, "file");
    symlinkSync("..v2", join(folder.root, "..tmp"));
    renameSync(join(folder.root, "..tmp"), join(folder.root, "..data"));
    rmSync(join(folder.root, "..v1"), { recursive: true });
    // In the same turn of the loop: no watch has told of it yet.
    const entry = index.lookup("/sub/d.json", laterMs + 2 * SECOND);
    assert.ok(entry?.kind === "file");
    assert.equal(await readBody(index, entry), "2");
  });

  it("follows a link again whose target goes while it is read", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "..v1/c.json": "1", "..v2/c.json": "2" });
    symlinkSync("..v1", join(folder.root, "..data"));
    symlinkSync("..data/c.json", join(folder.root, "c.json"));
    const { native } = realpathSync;
    t.mock.method(realpathSync, "native", (path: string) => {
      const found = native(path);
      if (found.endsWith("..v1/c.json")) {
        symlinkSync("..v2", join(folder.root, "..tmp"));
        renameSync(join(folder.root, "..tmp"), join(folder.root, "..data"));
        rmSync(join(folder.root, "..v1"), { recursive: true });
      }
      return found;
    });
    const index = await folder.open();
    assert.equal(await readBody(index, lookupFile(index, "/c.json")), "2");
  });

  it("offers coded siblings, unless the file was edited without them", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.js": "plain", "a.js.br": "B", "a.js.gz": "G", "a.js.zst": "Z" });
    await utimes(join(folder.root, "a.js.gz"), new Date(), new Date(Date.now() - 60 * SECOND));
    const index = await folder.open();
    const file = lookupFile(index, "/a.js");
    assert.deepEqual(
      file.variants.map(({ coding }) => coding),
      ["br", "zstd"],
    );
    const [brotli] = file.variants;
    assert.ok(brotli !== undefined);
    assert.equal(brotli.contentType, "text/javascript; charset=utf-8");
    assert.equal(await readBody(index, brotli), "B");
    assert.equal(await readBody(index, lookupFile(index, "/a.js.gz")), "G");
  });

  it("says which coded sibling is too old, once", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.js": "plain", "a.js.gz": "G" });
    const minuteAgo = new Date(Date.now() - 60 * SECOND);
    await utimes(join(folder.root, "a.js"), minuteAgo, minuteAgo);
    const before = new Date(minuteAgo.getTime() - 2 * SECOND);
    await utimes(join(folder.root, "a.js.gz"), before, before);
    const index = await folder.open();
    // A sweep looks each second.
    const warned = new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        if (folder.warnings.length === 0) return;
        clearInterval(timer);
        resolve();
      }, 10);
      t.after(() => clearInterval(timer));
    });
    await warned;
    assert.match(folder.warnings.join(), /a\.js\.gz is not served: .*older.*compress/);
    assert.deepEqual(lookupFile(index, "/a.js").variants, []);
  });

  it("tells versions with a time of whole seconds by their content", async (t) => {
    const folder = new PublicFolder(t);
    const npmTime = new Date("1985-10-26T08:15:00Z");
    const day = new Date("2025-01-02T03:04:05Z");
    await folder.write({ "a.html": "one", "b.html": "one", "big.bin": "x".repeat(3 * 1024 ** 2) });
    await utimes(join(folder.root, "a.html"), npmTime, npmTime);
    await utimes(join(folder.root, "b.html"), day, day);
    await utimes(join(folder.root, "big.bin"), day, day);
    const index = await folder.open();
    const a = await tagOf(index, "/a.html");
    assert.equal(lookupFile(index, "/a.html").lastModifiedMs, null);
    const big = await tagOf(index, "/big.bin");
    // Equal files on two machines have equal tags.
    assert.equal(await tagOf(index, "/b.html"), a);
    const other = await folder.open();
    assert.equal(await tagOf(other, "/big.bin"), big);
    for (const [path, content] of [
      ["a.html", "two"],
      ["big.bin", `${"x".repeat(1.5 * 1024 ** 2)}y${"x".repeat(1.5 * 1024 ** 2 - 1)}`],
    ] as const) {
      await writeFile(join(folder.outside, "new"), content);
      const { mtime } = await stat(join(folder.root, path));
      await utimes(join(folder.outside, "new"), mtime, mtime);
      await rename(join(folder.outside, "new"), join(folder.root, path));
    }
    const fresh = await folder.open();
    assert.notEqual(await tagOf(fresh, "/a.html"), a);
    assert.notEqual(await tagOf(fresh, "/big.bin"), big);
  });

  it("takes the whole content for a tag, and spread pieces of a huge file", () => {
    const piece = 1024 ** 2;
    assert.deepEqual(toTagPieces(0), []);
    assert.deepEqual(toTagPieces(piece + 1), [
      { start: 0, lengthBytes: piece },
      { start: piece, lengthBytes: 1 },
    ]);
    const huge = toTagPieces(10 * 1024 ** 3);
    assert.equal(huge.length, 256);
    assert.equal(huge[0]?.start, 0);
    assert.equal(huge.at(-1)?.start, 10 * 1024 ** 3 - piece);
    assert.equal(new Set(huge.map(({ start }) => start)).size, 256);
  });

  it("reads any part of small and large files", async (t) => {
    const folder = new PublicFolder(t);
    const content = "abcdefghijklmnopqrstuvwxyz";
    await folder.write({ "a.txt": content, "empty.txt": "" });
    const small = await folder.open();
    const large = await folder.open({ residentFileBytes: 0 });
    for (const index of [small, large]) {
      const file = lookupFile(index, "/a.txt");
      assert.equal(await readBody(index, file), content);
      assert.equal(await readBody(index, file, { start: 3, end: 20 }), content.slice(3, 20));
      assert.equal(await readBody(index, file, { start: 25, pieceBytes: 100 }), "z");
      assert.equal(await readBody(index, lookupFile(index, "/empty.txt")), "");
    }
    assert.equal(small.stats.residentBytes, content.length);
    assert.equal(large.stats.residentBytes, 0);
    for (const index of [small, large]) {
      await index.close();
      assert.equal(index.stats.openFiles, 0);
    }
  });

  it("is empty where there is no folder", async (t) => {
    const folder = new PublicFolder(t);
    const index = await folder.open();
    assert.equal(lookup(index, "/"), undefined);
    assert.deepEqual(index.stats, { files: 0, folders: 0, openFiles: 0, residentBytes: 0 });
  });

  it("warns of more files than it may hold, and serves the others", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ a: "A", b: "B", "c/d": "D", "c/e": "E" });
    const index = await folder.open({ maxFiles: 3 });
    assert.equal(index.stats.files, 3);
    assert.equal(folder.warnings.length, 1);
    assert.match(folder.warnings[0] ?? "", /found more than 3/);
  });
});

describe("FileIndex > what changes", { timeout: 60_000 }, () => {
  it("notices files that come and go", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "old.txt": "O" });
    const index = await folder.open();
    await folder.write({ "new.txt": "N", "fresh/folder/deep.txt": "D" });
    await folder.until(() => lookup(index, "/new.txt") !== undefined);
    await folder.until(() => lookup(index, "/fresh/folder/deep.txt") !== undefined);
    assert.equal(await readBody(index, lookupFile(index, "/fresh/folder/deep.txt")), "D");
    await unlink(join(folder.root, "old.txt"));
    await folder.until(() => lookup(index, "/old.txt") === undefined);
    await rm(join(folder.root, "fresh"), { recursive: true });
    await folder.until(() => lookup(index, "/fresh/folder/deep.txt") === undefined);
    await folder.until(() => index.stats.folders === 1);
    assert.equal(index.stats.files, 1);
  });

  it("notices another .assetsignore", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.map": "A", "x/a.map": "A", "x/b.txt": "B" });
    const index = await folder.open();
    assert.equal(index.stats.files, 3);
    await folder.write({ ".assetsignore": "*.map" });
    await folder.until(() => index.stats.files === 1);
    await folder.write({ "x/y/new.map": "N", "x/y/new.txt": "N" });
    await folder.until(() => lookup(index, "/x/y/new.txt") !== undefined);
    assert.equal(index.stats.files, 2);
    await folder.write({ ".assetsignore": "x" });
    await folder.until(() => index.paths.join() === "/a.map");
    await unlink(join(folder.root, ".assetsignore"));
    await folder.until(() => index.stats.files === 5);
  });

  it("notices content, index pages and coded siblings", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.js": "one", "sub/x.txt": "X" });
    const index = await folder.open();
    const before = lookupFile(index, "/a.js");
    await readBody(index, before);
    await folder.write({ "a.js": "two two", "a.js.gz": "G", "sub/index.html": "I" });
    await folder.until(() => lookup(index, "/sub") !== undefined);
    await folder.until(() => lookupFile(index, "/a.js").variants.length === 1);
    await folder.until(() => lookupFile(index, "/a.js").sizeBytes === 7);
    assert.equal(before.bytes, null);
    assert.equal(await readBody(index, lookupFile(index, "/a.js")), "two two");
    await unlink(join(folder.root, "sub/index.html"));
    await unlink(join(folder.root, "a.js.gz"));
    await folder.until(() => lookup(index, "/sub") === undefined);
    await folder.until(() => lookupFile(index, "/a.js").variants.length === 0);
    assert.equal(lookup(index, "/sub/"), undefined);
    assert.notEqual(lookup(index, "/sub/x.txt"), undefined);
  });

  it("notices what happens in a folder that was moved there, and in one that took another's place", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "site/a.txt": "A", "site/in/old.txt": "O" });
    const index = await folder.open();
    await mkdir(join(folder.outside, "next", "in"), { recursive: true });
    await writeFile(join(folder.outside, "next", "in", "new.txt"), "N");
    await rename(join(folder.root, "site"), join(folder.root, "before"));
    await rename(join(folder.outside, "next"), join(folder.root, "site"));
    await folder.until(() => lookup(index, "/site/in/new.txt") !== undefined);
    await folder.until(() => lookup(index, "/before/in/old.txt") !== undefined);
    await folder.until(() => lookup(index, "/site/in/old.txt") === undefined);
    await folder.write({ "site/in/later.txt": "L", "before/in/later.txt": "L" });
    await folder.until(() => lookup(index, "/site/in/later.txt") !== undefined);
    await folder.until(() => lookup(index, "/before/in/later.txt") !== undefined);
  });

  it("turns a file into a folder and back", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ thing: "file" });
    const index = await folder.open();
    await unlink(join(folder.root, "thing"));
    await folder.write({ "thing/index.html": "folder" });
    await folder.until(() => lookup(index, "/thing")?.kind === "redirect");
    await rm(join(folder.root, "thing"), { recursive: true });
    await folder.write({ thing: "file" });
    await folder.until(() => lookup(index, "/thing")?.kind === "file");
    assert.equal(lookup(index, "/thing/"), undefined);
  });

  it("sees at a hit what nothing reported", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.txt": "one", "gone.txt": "G", "sub/index.html": "I" });
    const index = await folder.open();
    const before = index.lookup("/a.txt", SECOND);
    index.lookup("/gone.txt", SECOND);
    // No turn of the loop between the change and the hit, so no event can have arrived.
    writeFileSync(join(folder.outside, "new"), "longer");
    renameSync(join(folder.outside, "new"), join(folder.root, "a.txt"));
    unlinkSync(join(folder.root, "gone.txt"));
    writeFileSync(join(folder.root, "sub/index.html"), "other");
    assert.equal(index.lookup("/a.txt", 2 * SECOND - 1), before);
    const after = index.lookup("/a.txt", 2 * SECOND);
    assert.ok(after?.kind === "file");
    assert.equal(after.sizeBytes, 6);
    assert.equal(index.lookup("/gone.txt", 2 * SECOND), undefined);
    const page = index.lookup("/sub/", 2 * SECOND);
    assert.ok(page?.kind === "file");
    assert.equal(page.sizeBytes, 5);
  });

  it("sees at a hit that a link leads elsewhere, and that a coded sibling changed", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "one.txt": "1", "two.txt": "22", "a.js": "A", "a.js.gz": "G" });
    await symlink("one.txt", join(folder.root, "link.txt"));
    const index = await folder.open();
    index.lookup("/link.txt", SECOND);
    unlinkSync(join(folder.root, "link.txt"));
    symlinkSync("two.txt", join(folder.root, "link.txt"));
    writeFileSync(join(folder.root, "a.js.gz"), "longer");
    const file = index.lookup("/link.txt", 2 * SECOND);
    assert.ok(file?.kind === "file");
    assert.equal(file.sizeBytes, 2);
    const coded = index.lookup("/a.js", 2 * SECOND);
    assert.ok(coded?.kind === "file");
    assert.equal(coded.variants[0]?.sizeBytes, 6);
  });

  it("sees a change at a hit though the clock was set back", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.txt": "one" });
    const index = await folder.open();
    index.lookup("/a.txt", 100 * SECOND);
    writeFileSync(join(folder.root, "a.txt"), "longer");
    const file = index.lookup("/a.txt", 50 * SECOND);
    assert.ok(file?.kind === "file");
    assert.equal(file.sizeBytes, 6);
  });

  it("picks up a root that appears, is replaced, or is linked elsewhere", async (t) => {
    const folder = new PublicFolder(t);
    const index = await folder.open();
    await folder.write({ "one.txt": "1" });
    await folder.until(() => lookup(index, "/one.txt") !== undefined);
    await rename(folder.root, join(folder.outside, "v1"));
    await folder.write({ "two.txt": "2" });
    await folder.until(() => lookup(index, "/two.txt") !== undefined);
    assert.equal(lookup(index, "/one.txt"), undefined);
    await rm(folder.root, { recursive: true });
    await symlink("v1", folder.root);
    await folder.until(() => lookup(index, "/one.txt") !== undefined);
    assert.equal(await readBody(index, lookupFile(index, "/one.txt")), "1");
    await rm(folder.root);
    await folder.until(() => index.stats.files === 0);
  });

  it("finds the root again after a folder above it was moved, and a link leads there", async (t) => {
    const folder = new PublicFolder(t);
    const app = join(folder.outside, "app");
    await mkdir(join(app, "public"), { recursive: true });
    await writeFile(join(app, "public", "a.txt"), "A");
    const index = await folder.open({ root: join(app, "public"), residentFileBytes: 0 });
    const before = lookupFile(index, "/a.txt");
    await rename(app, join(folder.outside, "app-1"));
    await symlink("app-1", app);
    assert.equal(await readBody(index, before), null);
    await folder.until(() => lookup(index, "/a.txt") !== undefined);
    assert.equal(await readBody(index, lookupFile(index, "/a.txt")), "A");
  });
});

describe("FileIndex > links that are swapped later", { timeout: 60_000 }, () => {
  it("does not serve what a file's name leads to now", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.txt": "A" });
    await writeFile(join(folder.outside, "secret"), "S");
    const index = await folder.open();
    const file = lookupFile(index, "/a.txt");
    await unlink(join(folder.root, "a.txt"));
    await symlink("../secret", join(folder.root, "a.txt"));
    assert.equal(await readBody(index, file), null);
    assert.equal(index.lookup("/a.txt", 5 * SECOND), undefined);
  });

  it("does not serve what a folder's name leads to now", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "sub/passwd": "A" });
    await mkdir(join(folder.outside, "etc"));
    await writeFile(join(folder.outside, "etc", "passwd"), "S");
    const index = await folder.open();
    const file = lookupFile(index, "/sub/passwd");
    renameSync(join(folder.root, "sub"), join(folder.outside, "moved"));
    symlinkSync("../etc", join(folder.root, "sub"));
    assert.equal(index.lookup("/sub/passwd", 5 * SECOND), undefined);
    assert.equal(await readBody(index, file), null);
    await folder.until(() => index.stats.folders === 1);
    assert.equal(lookup(index, "/sub/passwd"), undefined);
  });

  it("does not open the same file at another place", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "sub/a.txt": "A" });
    await mkdir(join(folder.outside, "elsewhere"));
    await link(join(folder.root, "sub/a.txt"), join(folder.outside, "elsewhere", "a.txt"));
    const index = await folder.open();
    const file = lookupFile(index, "/sub/a.txt");
    await rename(join(folder.root, "sub"), join(folder.outside, "moved"));
    await symlink("../elsewhere", join(folder.root, "sub"));
    assert.equal(await readBody(index, file), null);
  });

  it("follows a link that is pointed elsewhere inside", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "v1/a.txt": "1", "v2/a.txt": "22" });
    await symlink("v1", join(folder.root, "current"));
    const index = await folder.open();
    assert.equal(await readBody(index, lookupFile(index, "/current/a.txt")), "1");
    await symlink("v2", join(folder.root, "next"));
    await rename(join(folder.root, "next"), join(folder.root, "current"));
    await folder.until(() => lookupFile(index, "/current/a.txt").sizeBytes === 2);
    assert.equal(await readBody(index, lookupFile(index, "/current/a.txt")), "22");
  });
});

describe("FileIndex > a root that is a symbolic link", { timeout: 20_000 }, () => {
  it("is the new folder at the next look after a switch, before all of it is read", async (t) => {
    const folder = new PublicFolder(t);
    const release = (name: string) => join(folder.outside, "releases", name, "public");
    const put = async (name: string, files: Record<string, string>): Promise<void> => {
      for (const [path, content] of Object.entries(files)) {
        await mkdir(join(release(name), path, ".."), { recursive: true });
        await writeFile(join(release(name), path), content);
      }
    };
    await put("1", { "a.txt": "1", "only-1.txt": "1", "sub/page.html": "1" });
    await put("2", { "a.txt": "2", "sub/page.html": "2", "sub/deep/index.html": "2", "b.js": "2" });
    await put("2", { ".assetsignore": "*.map\n/private/", "b.js.map": "2", "private/a.txt": "2" });
    await writeFile(join(release("2"), "b.js.br"), "coded");
    await symlink("releases/1", join(folder.outside, "current"));
    await symlink("current/public", folder.root);
    const index = await folder.open();
    assert.equal(await readBody(index, lookupFile(index, "/a.txt")), "1");
    const old = await index.openBody(lookupFile(index, "/sub/page"), 0, 1);
    symlinkSync("releases/2", join(folder.outside, "next"));
    await nextTurn();
    renameSync(join(folder.outside, "next"), join(folder.outside, "current"));
    // No turn of the event loop since the switch: nothing has told the index.
    const pages = ["/a.txt", "/sub/page", "/sub/page/", "/sub/deep/", "/b.js"];
    const found = pages.map((path) => lookup(index, path));
    assert.deepEqual(
      found.map((entry) => entry?.path),
      ["/a.txt", "/sub/page.html", "/sub/page", "/sub/deep/index.html", "/b.js"],
    );
    const [a, , , , script] = found;
    assert.ok(a?.kind === "file" && script?.kind === "file");
    assert.equal(script.variants.length, 1);
    for (const path of ["/only-1.txt", "/b.js.map", "/private/a.txt"]) {
      assert.equal(lookup(index, path), undefined, path);
    }
    for (const path of ["/../releases/1/public/a.txt", "/sub/../a.txt", "/./a.txt", "/\0"]) {
      assert.equal(lookup(index, path), undefined, path);
    }
    assert.deepEqual(
      index.list("/sub/")?.map(({ name }) => name),
      ["page.html", "deep"],
    );
    assert.equal(await readBody(index, a), "2");
    // An answer that has begun is of one release.
    assert.equal(await old?.read(Buffer.alloc(1), 0), 1);
    old?.close();
    await folder.until(() => index.stats.files === 5);
    assert.equal(lookup(index, "/sub/page")?.path, "/sub/page.html");
  });
});

describe("FileIndex.openBody()", { timeout: 60_000 }, () => {
  const LARGE = { residentFileBytes: 0 };

  it("gives nothing for a file that was replaced, and the new one at the next look", async (t) => {
    for (const options of [{}, LARGE]) {
      const folder = new PublicFolder(t);
      await folder.write({ "a.txt": "one" });
      const index = await folder.open(options);
      const file = lookupFile(index, "/a.txt");
      await writeFile(join(folder.outside, "new"), "two");
      await rename(join(folder.outside, "new"), join(folder.root, "a.txt"));
      assert.equal(await readBody(index, file), null);
      const replaced = lookupFile(index, "/a.txt");
      assert.notEqual(replaced, file);
      assert.equal(await readBody(index, replaced), "two");
    }
  });

  it("gives nothing for a coded sibling that was replaced, and the new one at the next look", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.js": "A", "a.js.br": "old" });
    const index = await folder.open(LARGE);
    const [variant] = lookupFile(index, "/a.js").variants;
    assert.ok(variant !== undefined);
    writeFileSync(join(folder.root, "a.js.br"), "newer");
    assert.equal(await readBody(index, variant), null);
    const [next] = lookupFile(index, "/a.js").variants;
    assert.ok(next !== undefined);
    assert.equal(await readBody(index, next), "newer");
  });

  it("goes on with a file that was replaced or removed after it was opened", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.txt": "old content", "b.txt": "old content" });
    const index = await folder.open(LARGE);
    for (const name of ["a.txt", "b.txt"]) {
      const body = await index.openBody(lookupFile(index, `/${name}`), 0, 11);
      assert.ok(body !== null);
      const into = Buffer.alloc(4);
      await body.read(into, 0);
      await unlink(join(folder.root, name));
      if (name === "a.txt") await folder.write({ [name]: "completely new" });
      const rest = Buffer.alloc(7);
      assert.equal(await body.read(rest, 4), 7);
      assert.equal(into.toString() + rest.toString(), "old content");
      body.close();
    }
  });

  it("fails when the file becomes shorter while it is read", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.txt": "0123456789" });
    const index = await folder.open(LARGE);
    const body = await index.openBody(lookupFile(index, "/a.txt"), 0, 10);
    assert.ok(body !== null);
    assert.equal(await body.read(Buffer.alloc(4), 0), 4);
    await truncate(join(folder.root, "a.txt"), 6);
    await assert.rejects(body.read(Buffer.alloc(4), 4), FileChangedError);
    body.close();
  });

  it("withholds the end when the file was overwritten while it is read", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "a.txt": "0123456789" });
    const past = new Date(Date.now() - 3600 * SECOND);
    await utimes(join(folder.root, "a.txt"), past, past);
    const index = await folder.open(LARGE);
    const body = await index.openBody(lookupFile(index, "/a.txt"), 0, 10);
    assert.ok(body !== null);
    assert.equal(await body.read(Buffer.alloc(4), 0), 4);
    const handle = await open(join(folder.root, "a.txt"), "r+");
    await handle.write("XXXXXXXXXX", 0);
    await handle.close();
    assert.equal(await body.read(Buffer.alloc(4), 4), 4);
    await assert.rejects(body.read(Buffer.alloc(4), 8), FileChangedError);
    body.close();
  });

  it("sends a file that grows as long as it was", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ "log.txt": "0123456789" });
    const index = await folder.open(LARGE);
    const body = await index.openBody(lookupFile(index, "/log.txt"), 0, 10);
    assert.ok(body !== null);
    await appendFile(join(folder.root, "log.txt"), "more");
    const into = Buffer.alloc(100);
    assert.equal(await body.read(into, 0), 10);
    assert.equal(await body.read(into, 10), 0);
    body.close();
  });

  it("shares one descriptor among those who read one file, and bounds their number", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ a: "A", b: "B", c: "C" });
    const index = await folder.open({ ...LARGE, openFiles: new OpenFileBudget(2) });
    const openBody = async (path: string) => index.openBody(lookupFile(index, path), 0, 1);
    const bodies = await Promise.all([
      openBody("/a"),
      openBody("/a"),
      openBody("/a"),
      openBody("/b"),
    ]);
    assert.equal(index.stats.openFiles, 2);
    await assert.rejects(openBody("/c"), { code: "ERR_OVERLOADED" });
    for (const body of bodies) {
      body?.close();
      body?.close();
    }
    await index.close();
    assert.equal(index.stats.openFiles, 0);
  });

  it("reads a small file once for all who ask at a time", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ a: "A" });
    const index = await folder.open({ openFiles: new OpenFileBudget(1) });
    const file = lookupFile(index, "/a");
    const contents = await Promise.all(Array.from({ length: 20 }, () => readBody(index, file)));
    assert.deepEqual(new Set(contents), new Set(["A"]));
    assert.equal(file.bytes?.toString(), "A");
    assert.equal(index.stats.residentBytes, 1);
  });

  it("keeps the budget, and what is used rather than what is not", async (t) => {
    const folder = new PublicFolder(t);
    const names = Array.from({ length: 20 }, (_, at) => `f${at}`);
    await folder.write(Object.fromEntries(names.map((name) => [name, "x".repeat(100)])));
    const index = await folder.open({ resident: new ResidentBytes(500) });
    const hot = lookupFile(index, "/f0");
    for (const name of names) {
      await readBody(index, lookupFile(index, `/${name}`));
      hot.isRecentlyUsed = true;
      assert.ok(index.stats.residentBytes <= 500);
    }
    assert.equal(index.stats.residentBytes, 500);
    assert.notEqual(hot.bytes, null);
    assert.equal(lookupFile(index, "/f5").bytes, null);
  });

  it("takes a file out that cannot be read, until its permissions change", async (t) => {
    if (process.getuid?.() === 0) return t.skip("root may read everything");
    const folder = new PublicFolder(t);
    await folder.write({ a: "A" });
    await folder.write({ "b.js": "B", "b.js.gz": "G" });
    for (const name of ["a", "b.js.gz"]) await chmod(join(folder.root, name), 0o000);
    const index = await folder.open();
    assert.equal(await readBody(index, lookupFile(index, "/a")), null);
    assert.equal(lookup(index, "/a"), undefined);
    const [variant] = lookupFile(index, "/b.js").variants;
    assert.ok(variant !== undefined);
    assert.equal(await readBody(index, variant), null);
    assert.equal(lookupFile(index, "/b.js").variants.length, 0);
    assert.match(folder.warnings[0] ?? "", /Cannot read/);
    await chmod(join(folder.root, "a"), 0o644);
    await folder.until(() => lookup(index, "/a") !== undefined);
    assert.equal(await readBody(index, lookupFile(index, "/a")), "A");
  });

  it("waits at its end for those who still read", async (t) => {
    const folder = new PublicFolder(t);
    await folder.write({ a: "A" });
    const index = await folder.open(LARGE);
    const file = lookupFile(index, "/a");
    const body = await index.openBody(file, 0, 1);
    assert.ok(body !== null);
    let isClosed = false;
    const closed = index.close().then(() => (isClosed = true));
    assert.equal(await index.openBody(file, 0, 1), null);
    await nextTurn();
    assert.equal(isClosed, false);
    assert.equal(await body.read(Buffer.alloc(1), 0), 1);
    body.close();
    await closed;
    assert.equal(lookup(index, "/a"), undefined);
  });
});
