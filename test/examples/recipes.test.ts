import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

const APPS = join(import.meta.dirname, "../recipes/apps");

/** Sections whose project has another name. `null`: not shown as it was tried, or tried by hand. */
const PROJECTS: Readonly<Record<string, string | null>> = {
  NestJS: "nest",
  "React Router": "react-router",
  "GraphQL Yoga": null,
  "Next.js": null,
  "Single-page applications": null,
};

describe("docs/recipes.md", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/recipes.md"), "utf8");
  for (const section of text.split(/^## /m).slice(1)) {
    const name = section.slice(0, section.indexOf("\n"));
    const project = PROJECTS[name] === undefined ? name.toLowerCase() : PROJECTS[name];
    if (project === null || project === "others") continue;
    it(`shows the files of ${project} as they were tried`, () => {
      const blocks = [...section.matchAll(/^```[jt]s\n\/\/ (.+)\n([^]*?)^```$/gm)];
      assert.ok(blocks.length > 0, "has a file");
      for (const [, path = "", code = ""] of blocks) {
        const file = join(APPS, project, path);
        assert.ok(existsSync(file), `${project}/${path} exists`);
        assert.equal(code, readFileSync(file, "utf8"), path);
      }
      const config = existsSync(join(APPS, project, "edgicorn.config.ts"));
      assert.equal(section.includes("// edgicorn.config.ts"), config, "shows the config file");
    });
  }

  it("imports JavaScript only from handlers that are JavaScript", () => {
    const files = [...text.matchAll(/^```[jt]s\n\/\/ (.+\.tsx?)\n([^]*?)^```$/gm)];
    assert.ok(files.length > 0);
    for (const [, path, code = ""] of files) {
      // TS7016 with the tsconfig.json of `edgicorn init`.
      assert.doesNotMatch(code, /from "\.{1,2}\/[^"]+\.[cm]?js"/, path);
    }
  });
});
