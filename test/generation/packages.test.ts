import assert from "node:assert/strict";
import { mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";

import { createProject, packageFiles } from "./project.ts";

/** A package of a workspace: its `package.json` with what is given. */
function describePackage(name: string, fields: object): string {
  return JSON.stringify({ name, version: "1.0.0", type: "module", ...fields });
}

/** Code that tells a copy of a package, and how often it was loaded. */
function tell(what: string): string {
  return `globalThis.loads = (globalThis.loads ?? 0) + 1; export const told = ${JSON.stringify(what)}; export const load = globalThis.loads;`;
}

/** Files of a package that tells its version, and how it was imported. */
const both = (version: string): Record<string, string> => ({
  "package.json": JSON.stringify({
    name: "v",
    version,
    exports: {
      ".": { import: "./i.mjs", require: "./r.cjs" },
      "./part": "./part.mjs",
      "./package.json": "./package.json",
    },
  }),
  "i.mjs": `${tell(`import ${version}`)} export const url = import.meta.url;`,
  "r.cjs": `exports.told = "require ${version}";`,
  "part.mjs": `export { load } from "v"; export const part = "${version}";`,
});

const at = (folder: string, version: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(both(version)).map(([file, text]) => [`${folder}/${file}`, text]),
  );

describe("packages whose source Node cannot load", { concurrency: 2 }, () => {
  it("are compiled when a workspace links them, with all that they import", async (t) => {
    const project = await createProject(t, {
      "handlers/a.ts": `import { util } from "shared-util"; import { page } from "shared-util/page"; import { inner } from "shared-util/deep/inner"; export const all = [...util, page, inner];`,
      "handlers/b.ts": `import { counter } from "shared-util/counter"; counter.n++; export { counter };`,
      "handlers/c.ts": `import { counter } from "shared-util/counter"; counter.n++; export { counter };`,
      "packages/util/package.json": describePackage("shared-util", {
        exports: {
          ".": { types: "./i.d.ts", require: "./never.cjs", import: "./i.ts" },
          "./page": "./page.tsx",
          "./deep/*": "./deep/*.mts",
          "./counter": "./counter.ts",
        },
        imports: { "#local": "./local.ts", "#outer": "outer" },
      }),
      "packages/util/i.ts": `import { local } from "#local"; import { told as outer } from "#outer"; import { other } from "other-util"; import css from "./s.css"; import data from "./d.json"; import { counter } from "./counter.ts";
        export const util: string[] = [local, outer, other, css, data.d, typeof counter];`,
      "packages/util/page.tsx": `export const page = <p />;`,
      "packages/util/deep/inner.mts": `export const inner: string = "inner";`,
      "packages/util/local.ts": `export const local = "local" as const;`,
      "packages/util/counter.ts": `export const counter: { n: number } = { n: 0 };`,
      "packages/util/s.css": "p {}",
      "packages/util/d.json": `{ "d": "json" }`,
      "packages/other/package.json": describePackage("other-util", { main: "o.ts" }),
      "packages/other/o.ts": `export const other: string = "other";`,
      ...packageFiles("outer", "1.0.0", tell("outer"), "packages/util/"),
      "node_modules/react/package.json": describePackage("react", {
        exports: { "./jsx-runtime": "./jsx.js" },
      }),
      "node_modules/react/jsx.js": `export const jsx = (type) => "jsx " + type;`,
    });
    await project.link({
      "node_modules/shared-util": "../packages/util",
      "packages/util/node_modules/other-util": "../../other",
    });
    const manifest = await project.build();
    const [a, b, c] = await project.load(manifest, ["a.ts", "b.ts", "c.ts"]);
    assert.deepEqual(a, {
      all: ["local", "outer", "other", "p {}", "json", "object", "jsx p", "inner"],
    });
    assert.deepEqual([b, c], [{ counter: { n: 2 } }, { counter: { n: 2 } }]);
    for (const file of ["packages/util/i.ts", "packages/util/s.css", "packages/other/o.ts"]) {
      assert.ok(manifest.inputs.includes(join(project.dir, file)), file);
    }
    await project.write({ "packages/other/o.ts": `export const other = "new";` });
    const after = await project.build();
    const changed = manifest.modules.filter(
      ({ hash }, number) => after.modules[number]?.hash !== hash,
    );
    assert.deepEqual(
      changed.map(({ source }) => source),
      ["a.ts"],
    );
  });

  it("are compiled when a deployment has copied them into node_modules", async (t) => {
    const project = await createProject(t, {
      "handlers/a.ts": `export { util } from "@acme/util"; export { told } from "plain";`,
      "node_modules/@acme/util/package.json": describePackage("@acme/util", {
        exports: "./src/i.ts",
      }),
      "node_modules/@acme/util/src/i.ts": `import { told } from "plain"; export const util: string = told;`,
      ...packageFiles("plain", "1.0.0", tell("inner"), "node_modules/@acme/util/"),
      ...packageFiles("plain", "1.0.0", tell("outer")),
    });
    const [a] = await project.load(await project.build(), ["a.ts"]);
    assert.deepEqual(a, { util: "inner", told: "outer" });
  });

  it("are all of a workspace that reaches TypeScript; other JavaScript stays Node's, one instance for all", async (t) => {
    const whereabouts = "export const url = import.meta.url;";
    const project = await createProject(t, {
      "handlers/a.ts": `export { url, typed } from "mixed"; export { url as plain, told, load } from "plain"; export { load as again } from "user";`,
      "packages/mixed/package.json": describePackage("mixed", { exports: "./i.js" }),
      "packages/mixed/i.js": `${whereabouts} export { typed } from "./typed.ts";`,
      "packages/mixed/typed.ts": `export const typed: string = "typed";`,
      "packages/plain/package.json": describePackage("plain", { exports: "./i.js" }),
      "packages/plain/i.js": `${whereabouts} ${tell("plain")}`,
      ...packageFiles("user", "1.0.0", `export { load } from "plain";`),
    });
    await project.link({
      "node_modules/mixed": "../packages/mixed",
      "node_modules/plain": "../packages/plain",
    });
    const manifest = await project.build();
    const [a] = await project.load(manifest, ["a.ts"]);
    assert.deepEqual(a, {
      url: pathToFileURL(join(project.dir, "packages/mixed/i.js")).href,
      typed: "typed",
      plain: pathToFileURL(join(project.dir, "packages/plain/i.js")).href,
      told: "plain",
      load: 1,
      again: 1,
    });
    // In development its folder is watched.
    assert.ok(manifest.inputs.includes(join(project.dir, "packages/plain")));
    assert.ok(!manifest.inputs.includes(join(project.dir, "packages/plain/i.js")));
  });

  it("are not those that pnpm has linked into its store", async (t) => {
    const store = "node_modules/.pnpm/v@1.0.0/";
    const project = await createProject(t, {
      "handlers/a.ts": `export { url } from "v";`,
      ...packageFiles("v", "1.0.0", `import "beside"; export const url = import.meta.url;`, store),
      ...packageFiles("beside", "1.0.0", "", store),
    });
    await project.link({ "node_modules/v": ".pnpm/v@1.0.0/node_modules/v" });
    const [a] = await project.load(await project.build(), ["a.ts"]);
    const file = join(project.dir, store, "node_modules/v/index.js");
    assert.deepEqual(a, { url: pathToFileURL(file).href });
  });

  it("are not those without exports: a subpath gets the extension that Node asks for", async (t) => {
    const project = await createProject(t, {
      "handlers/a.ts": `import { told } from "v/i"; import { told as folder } from "v/folder"; import { defineConfig } from "edgicorn"; export const all = [told, folder, require("v/c"), typeof defineConfig];`,
      "node_modules/v/package.json": `{ "name": "v", "publishConfig": { "exports": "./i.js" } }`,
      "node_modules/v/i.js": `exports.told = "file";`,
      "node_modules/v/folder/index.js": `exports.told = "folder";`,
      "node_modules/v/c.js": `module.exports = "required";`,
    });
    const [a] = await project.load(await project.build(), ["a.ts"]);
    // The package of this program is there without an installation.
    assert.deepEqual(a, { all: ["file", "folder", "required", "function"] });
  });

  it("are the project itself, imported by its own name", async (t) => {
    const project = await createProject(t, {
      "package.json": describePackage("project", { exports: { "./counter": "./src/counter.ts" } }),
      "handlers/a.ts": `import { counter } from "project/counter"; import { counter as same } from "../src/counter.ts"; export const isSame = counter === same;`,
      "src/counter.ts": `export const counter: object = {};`,
    });
    assert.deepEqual(await project.load(await project.build(), ["a.ts"]), [{ isSame: true }]);
  });
});

describe("two copies of a package", { concurrency: 2 }, () => {
  it("each go to the files that Node gives them to", async (t) => {
    const use = `import { told, url, load } from "v"; import { part, load as again } from "v/part"; import about from "v/package.json" with { type: "json" }; const required = require("v").told; const lazy = (await import("v")).told;
      export const all = [told, url, part, about.version, required, lazy, load === again];`;
    const project = await createProject(t, {
      "handlers/u.ts": `${use} export { all as lib } from "../lib/x.ts"; export { all as same } from "../lib/deep/y.ts";`,
      "lib/x.ts": use,
      "lib/deep/y.ts": use,
      ...at("node_modules/v", "1.0.0"),
      ...at("lib/node_modules/v", "2.0.0"),
    });
    const expected = (folder: string, version: string): unknown[] => [
      `import ${version}`,
      pathToFileURL(join(project.dir, folder, "node_modules/v/i.mjs")).href,
      version,
      version,
      `require ${version}`,
      `import ${version}`,
      true,
    ];
    const all = {
      all: expected("", "1.0.0"),
      lib: expected("lib", "2.0.0"),
      same: expected("lib", "2.0.0"),
    };
    const manifest = await project.build();
    assert.deepEqual(await project.load(manifest, ["u.ts"]), [all]);
    // Wherever the generation lies, the code is the same.
    const stateDir = await realpath(await mkdtemp(join(tmpdir(), "edgicorn-state-")));
    t.after(() => rm(stateDir, { recursive: true, force: true }));
    const elsewhere = await project.build({ stateDir });
    assert.equal(elsewhere.modules[0]?.hash, manifest.modules[0]?.hash);
    const file = join(stateDir, "generations", elsewhere.id, elsewhere.modules[0]?.compiled ?? "");
    assert.deepEqual({ ...((await import(pathToFileURL(file).href)) as object) }, all);
    // The version of a copy is part of what the code is.
    await project.write(at("lib/node_modules/v", "2.0.1"));
    assert.notEqual((await project.build()).modules[0]?.hash, manifest.modules[0]?.hash);
  });

  it("are one instance when one is a link to the other", async (t) => {
    const project = await createProject(t, {
      "handlers/u.ts": `export { load } from "v"; export { load as lib } from "../lib/x.ts";`,
      "lib/x.ts": `export { load } from "v";`,
      ...packageFiles("v", "1.0.0", tell("v")),
    });
    await project.link({ "lib/node_modules/v": "../../node_modules/v" });
    assert.deepEqual(await project.load(await project.build(), ["u.ts"]), [{ load: 1, lib: 1 }]);
  });
});
