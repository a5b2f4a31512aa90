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
};

describe("docs/recipes.md", () => {
  const text = readFileSync(join(import.meta.dirname, "../../docs/recipes.md"), "utf8");
  for (const section of text.split(/^## /m).slice(1)) {
    const name = section.slice(0, section.indexOf("\n"));
    const project = PROJECTS[name] === undefined ? name.toLowerCase() : PROJECTS[name];
    if (project === null || project === "others") continue;
    it(`shows the files of ${project} as they were tried`, () => {
      const blocks = [...section.matchAll(/^```ts\n\/\/ (.+)\n([^]*?)^```$/gm)];
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
});
