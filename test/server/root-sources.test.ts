import assert from "node:assert/strict";
import { chmodSync, mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { listSourcePlaces } from "../../runtime/server/root-sources.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("listSourcePlaces()", () => {
  it("has the file and all folders above it, by its name and without links, once each", (t) => {
    const dir = realpathSync(temporaryFolder(t));
    mkdirSync(join(dir, "releases/1"), { recursive: true });
    writeFileSync(join(dir, "releases/1/edgicorn.config.ts"), "");
    symlinkSync("releases/1", join(dir, "current"));
    const path = join(dir, "current/edgicorn.config.ts");
    const found = listSourcePlaces([path, path]).map((place) => place.path);
    const above: string[] = [];
    for (let at = dir; ; at = dirname(at)) {
      above.push(at);
      if (at === dirname(at)) break;
    }
    const below = ["current", "current/edgicorn.config.ts", "releases", "releases/1"];
    const file = "releases/1/edgicorn.config.ts";
    assert.deepEqual(
      found.toSorted(),
      [...above, ...[...below, file].map((name) => join(dir, name))].toSorted(),
    );
  });

  it("tells the folder in which only owners may rename files", { skip: isRoot() }, (t) => {
    const dir = realpathSync(temporaryFolder(t));
    const sticky = join(dir, "sticky");
    mkdirSync(join(sticky, "project"), { recursive: true });
    chmodSync(sticky, 0o1777);
    const protectedOf = (paths: string[]): string[] =>
      listSourcePlaces(paths)
        .filter(({ isProtected, path }) => isProtected && path.startsWith(dir))
        .map(({ path }) => path);
    assert.deepEqual(protectedOf([join(sticky, "project")]), [sticky]);
    // Any user may create the file that is missing.
    assert.deepEqual(protectedOf([join(sticky, "missing.ts")]), []);
    assert.deepEqual(protectedOf([join(sticky, "project"), join(sticky, "missing.ts")]), []);
  });
});

function isRoot(): string | false {
  return process.getuid?.() === 0 ? false : "needs root, to which the folders belong";
}
