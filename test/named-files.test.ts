import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

const ROOT = join(import.meta.dirname, "..");
const FOLDERS = ["runtime", "test", "scripts", "handlers"];

/** Paths of files below the folders, with slashes: `runtime/engine/uws/listener.ts`. */
function listFiles(): string[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" }).map(
      (name) => `${folder}/${name.replaceAll("\\", "/")}`,
    ),
  );
}

/** Pages that describe the inside, where each named source file is one of the project's. */
function listPages(): string[] {
  const decisions = readdirSync(join(ROOT, "runtime/decisions"));
  return ["runtime/README.md", ...decisions.map((name) => `runtime/decisions/${name}`)];
}

describe("pages about the inside", () => {
  it("name files that exist", () => {
    const files = listFiles();
    const exists = (name: string): boolean =>
      files.some((file) => file === name || file.endsWith(`/${name}`));
    const gone = listPages().flatMap((page) =>
      [...readFileSync(join(ROOT, page), "utf8").matchAll(/`([a-z][\w./-]*\.(?:ts|mjs))`/g)]
        .map(([, name = ""]) => name)
        .filter((name) => !exists(name))
        .map((name) => `${page} names ${name}`),
    );
    assert.deepEqual(gone, []);
  });
});
