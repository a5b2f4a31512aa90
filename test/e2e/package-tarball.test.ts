import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, it } from "node:test";
import { packPackage } from "../helpers/packed-package.ts";

describe("npm pack", { timeout: 600_000 }, () => {
  it("packs the compiled program, types, templates and documents, and no source", async (t) => {
    const { files, dir } = await packPackage(t);
    const expected = ["LICENSE", "README.md", "dist/main.js", "dist/api.d.ts", "dist/types.d.ts"];
    for (const file of expected) assert.ok(files.includes(file), file);
    assert.ok(files.includes("dist/templates/hello/handlers/index.ts"));
    // Python keeps caches beside the modules that it runs.
    assert.ok(files.includes("dist/python/start.py"));
    assert.ok(!files.some((file) => file.endsWith(".pyc")), "no caches of Python");
    // V8 accepts its code in one version only.
    assert.ok(!files.some((file) => file.endsWith(".cache")), "no caches of V8");
    const sources = files.filter(
      (file) => /(?<!\.d)\.tsx?$/.test(file) && !file.startsWith("dist/templates/"),
    );
    assert.deepEqual(sources, []);
    const description = readFileSync(join(dir, "package.json"), "utf8");
    for (const [path] of description.matchAll(/\.\/dist\/[\w./-]+/g)) {
      assert.ok(files.includes(normalize(path)), `${path} of package.json`);
    }
    assert.deepEqual(findDeadLinks(files, dir), []);
  });
});

/** Returns `file -> target` for each relative link of a Markdown file whose file or heading the package does not have. */
function findDeadLinks(files: readonly string[], dir: string): string[] {
  const documents = files.filter((file) => file.endsWith(".md"));
  assert.ok(documents.length > 10, "documents were found");
  return documents.flatMap((file) => {
    const text = readFileSync(join(dir, file), "utf8").replaceAll(
      /^(?: {4}|```[^]*?^```$).*/gm,
      "",
    );
    return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = ""]) => {
      const [path = "", anchor] = link.split("#");
      if (/^[a-z]+:/.test(path)) return [];
      const target = path === "" ? file : normalize(join(dirname(file), path)).replace(/\/$/, "");
      const exists = files.some((name) => name === target || name.startsWith(`${target}/`));
      const isDead = !exists || (anchor !== undefined && !hasHeading(join(dir, target), anchor));
      return isDead ? [`${file} -> ${link}`] : [];
    });
  });
}

/** Whether a Markdown file has a heading of this name, as GitHub and npm make anchors of headings. */
function hasHeading(path: string, anchor: string): boolean {
  const headings = readFileSync(path, "utf8").matchAll(/^#+ (.+)$/gm);
  return [...headings].some(
    ([, text = ""]) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-") === anchor,
  );
}
