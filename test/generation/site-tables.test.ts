import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { toGenerationDir } from "../../runtime/generation/generation-store.ts";
import { loadManifest } from "../../runtime/generation/manifest.ts";
import { createProject } from "./project.ts";

const FILES = {
  "handlers/index.ts": `import { shared } from "../shared.ts"; export default shared;`,
  "shared.ts": `export const shared: string = "shared";`,
  "sites/a.example/handlers/_middleware.ts": "export default 1;",
  "sites/a.example/handlers/_404.ts": "export default 2;",
  "sites/a.example/handlers/index.ts": `import { shared } from "../../../shared.ts"; export default "a" + shared;`,
  "sites/a.example/handlers/report.ts": `export const config = { pool: "reports" }; export default 3;`,
  "b/index.ts": "export default 'b';",
};

describe("addSites()", { timeout: 60_000 }, () => {
  it("builds the handlers of sites beside those of the default one", async (t) => {
    const project = await createProject(t, FILES);
    const at = (path: string): string => join(project.dir, path);
    const sites = [
      { name: "a.example", handlersDir: at("sites/a.example/handlers"), pool: "site-a-example" },
      { name: "b.example", handlersDir: at("b"), pool: "shared" },
      { name: "c.example", handlersDir: at("b"), pool: "shared" },
    ];
    const manifest = await project.build({ sites });
    assert.equal(manifest.formatVersion, 3);
    assert.deepEqual(manifest.sites, [
      { name: "a.example", dir: "../sites/a.example/handlers", pool: "site-a-example" },
      { name: "b.example", dir: "../b", pool: "shared" },
      { name: "c.example", dir: "../b", pool: "shared" },
    ]);
    const sourceOf = (number: number): string => manifest.modules[number]?.source ?? "";
    assert.deepEqual(
      [...manifest.routes, ...manifest.fallbacks].map((scope) => [
        scope.site,
        scope.pattern,
        scope.pool,
        sourceOf("module" in scope ? scope.module : (scope.handlers[0]?.module ?? -1)),
        scope.middleware.map(sourceOf),
      ]),
      [
        [undefined, "/", "default", "index.ts", []],
        ...[
          ["a.example", "/", "site-a-example", "index.ts"],
          ["a.example", "/report", "reports", "report.ts"],
        ].map(([site, pattern, pool, file]) => [
          site,
          pattern,
          pool,
          `../sites/a.example/handlers/${file}`,
          ["../sites/a.example/handlers/_middleware.ts"],
        ]),
        ["b.example", "/", "shared", "../b/index.ts", []],
        ["c.example", "/", "shared", "../b/index.ts", []],
        [
          "a.example",
          "/**",
          "site-a-example",
          "../sites/a.example/handlers/_404.ts",
          ["../sites/a.example/handlers/_middleware.ts"],
        ],
      ],
    );
    // Sites with the same folder share its modules.
    assert.equal(manifest.modules.filter(({ source }) => source === "../b/index.ts").length, 1);
    assert.deepEqual(await loadManifest(toGenerationDir(project.stateDir, manifest.id)), manifest);
    assert.deepEqual(
      await project.load(manifest, ["../sites/a.example/handlers/index.ts", "../b/index.ts"]),
      [{ default: "ashared" }, { default: "b" }],
    );
  });

  it("needs no handlers of the default site", async (t) => {
    const project = await createProject(t, FILES);
    await rm(join(project.dir, "handlers"), { recursive: true });
    const sites = [{ name: "b.example", handlersDir: join(project.dir, "b"), pool: "x" }];
    const { routes, modules } = await project.build({ sites });
    assert.deepEqual(
      routes.map(({ site, pattern }) => [site, pattern]),
      [["b.example", "/"]],
    );
    assert.deepEqual(
      modules.map(({ source }) => source),
      ["b/index.ts"],
    );
  });
});
