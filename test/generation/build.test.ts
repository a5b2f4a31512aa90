import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import {
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rename,
  rm,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import type { BuildOptions } from "../../runtime/generation/build.ts";
import { releaseLease } from "../../runtime/generation/lease.ts";
import { loadManifest } from "../../runtime/generation/manifest.ts";
import type { Manifest } from "../../runtime/generation/manifest.ts";
import { createProject, packageFiles } from "./project.ts";

function hashes({ modules }: Manifest): Record<string, string> {
  return Object.fromEntries(modules.map(({ source, hash }) => [source, hash]));
}

/** Names of the modules whose hash differs. */
function changes(before: Manifest, after: Manifest): string[] {
  const old = hashes(before);
  return Object.entries(hashes(after)).flatMap(([source, hash]) =>
    old[source] === hash ? [] : [source],
  );
}

/** What a module knows about its own place, if it asks in the order of the test. */
function whereabouts(folder: string, file: string): string[] {
  return [
    pathToFileURL(join(folder, file)).href,
    folder,
    join(folder, file),
    pathToFileURL(join(folder, "x")).href,
    folder,
    join(folder, file),
  ];
}

describe("buildGeneration()", { concurrency: 2 }, () => {
  it("builds what the manifest says", async (t) => {
    const project = await createProject(t, {
      "handlers/index.ts": "export default (): string => 'root';",
      "handlers/users/[id].get.ts": "export const name: string = 'user';",
      "handlers/_middleware.ts": "export default 1;",
    });
    const manifest = await project.build();
    assert.deepEqual(manifest.routes, [
      {
        pattern: "/",
        handlers: [{ method: null, module: 1 }],
        middleware: [0],
        error: null,
        pool: "default",
      },
      {
        pattern: "/users/:id",
        handlers: [{ method: "GET", module: 2 }],
        middleware: [0],
        error: null,
        pool: "default",
      },
    ]);
    assert.equal(manifest.sourceDir, join(project.dir, "handlers"));
    assert.deepEqual(manifest.warnings, []);
    assert.deepEqual(
      await loadManifest(join(project.stateDir, "generations", manifest.id)),
      manifest,
    );
    assert.deepEqual(await project.load(manifest, ["users/[id].get.ts"]), [{ name: "user" }]);
  });

  it("takes an empty folder", async (t) => {
    const project = await createProject(t, {});
    const manifest = await project.build();
    assert.deepEqual([manifest.modules, manifest.routes, manifest.fallbacks], [[], [], []]);
  });

  it("keeps what modules know about their own place", async (t) => {
    const reveal = `[import.meta.url, import.meta.dirname, import.meta.filename, import.meta.resolve("./x"), __dirname, __filename]`;
    const project = await createProject(t, {
      "handlers/a/[id].ts": `export const here = ${reveal};\nexport { there } from "../../src/b.ts";\nexport { default as common } from "./_c.cjs";`,
      "handlers/a/_c.cjs": `"use strict";\nmodule.exports = [__dirname, __filename];`,
      "handlers/a/own.ts": `import { dirname } from "node:path"; import { fileURLToPath } from "node:url";
        const __dirname = dirname(fileURLToPath(import.meta.url)); export const own = __dirname;`,
      "src/b.ts": `#!/usr/bin/env node\nexport const there = ${reveal};`,
    });
    const manifest = await project.build();
    const folder = join(project.dir, "handlers", "a");
    assert.deepEqual(await project.load(manifest, ["a/[id].ts", "a/own.ts"]), [
      {
        here: whereabouts(folder, "[id].ts"),
        there: whereabouts(join(project.dir, "src"), "b.ts"),
        common: [folder, join(folder, "_c.cjs")],
      },
      { own: folder },
    ]);
  });

  it("bundles local code from outside the folder and leaves packages to Node", async (t) => {
    const project = await createProject(t, {
      ...packageFiles("dep", "1.0.0", "export const dep = import.meta.url;"),
      "handlers/a.ts": `export { default } from "../src/app.ts"; export { dep } from "dep"; import fs from "fs"; export const fsOk = typeof fs.readFile;`,
      "handlers/c.cjs": `const { createRequire } = require("node:module"); exports.version = require("dep/package.json") === undefined;`,
      "src/app.ts": `export default "app";`,
      "node_modules/dep/package.json": `{"name":"dep","version":"1.0.0","type":"module","exports":{".":"./index.js","./package.json":"./package.json"}}`,
    });
    const [a, c] = await project.load(await project.build(), ["a.ts", "c.cjs"]);
    const dep = pathToFileURL(join(project.dir, "node_modules/dep/index.js")).href;
    assert.deepEqual(a, { default: "app", dep, fsOk: "function" });
    assert.deepEqual(c?.["default"], { version: false });
  });

  it("gives all handlers one instance of what they share, whichever is loaded first", async (t) => {
    const use = `import { counter } from "../src/counter.ts"; import { tally } from "tally"; counter.n++; tally.n++;`;
    const project = await createProject(t, {
      ...packageFiles("tally", "1.0.0", "export const tally = { n: 0 };"),
      "src/counter.ts": "export const counter = { n: 0 };",
      "handlers/a.ts": `${use} export const seen = [counter.n, tally.n];`,
      "handlers/b.ts": `${use} export const seen = [counter.n, tally.n];`,
      "handlers/c.ts": `import "./a.ts"; ${use} export const seen = [counter.n, tally.n];`,
    });
    const manifest = await project.build();
    assert.deepEqual(await project.load(manifest, ["a.ts", "b.ts"]), [
      { seen: [1, 1] },
      { seen: [2, 2] },
    ]);
    assert.deepEqual(await project.load(manifest, ["b.ts", "a.ts"]), [
      { seen: [1, 1] },
      { seen: [2, 2] },
    ]);
    assert.deepEqual(await project.load(manifest, ["c.ts", "a.ts"]), [
      { seen: [2, 2] },
      { seen: [1, 1] },
    ]);
  });

  it("compiles JSX as the tsconfig.json says, and the automatic way without one", async (t) => {
    const runtime = "export const jsx = (type) => 'jsx ' + type; export const jsxs = jsx;";
    const project = await createProject(t, {
      "node_modules/react/package.json": `{"name":"react","version":"1.0.0","type":"module","exports":{"./jsx-runtime":"./jsx.js"}}`,
      "node_modules/react/jsx.js": runtime,
      "handlers/a.tsx": "export const a = <p />;",
      "handlers/b.jsx": "export const b = <p />;",
    });
    assert.deepEqual(await project.load(await project.build(), ["a.tsx", "b.jsx"]), [
      { a: "jsx p" },
      { b: "jsx p" },
    ]);
    await project.write({
      "tsconfig.json": `{ "compilerOptions": { "jsx": "react", "jsxFactory": "h" } }`,
      "handlers/a.tsx": "const h = (type: string) => 'h ' + type; export const a = <p />;",
      "handlers/b.jsx": "const h = (type) => 'h ' + type; export const b = <p />;",
    });
    assert.deepEqual(await project.load(await project.build(), ["a.tsx", "b.jsx"]), [
      { a: "h p" },
      { b: "h p" },
    ]);
  });

  it("imports JSON, text, bytes and WebAssembly", async (t) => {
    const project = await createProject(t, {
      "handlers/a.ts": `import data from "./d.json"; import same from "./d.json" with { type: "json" };
        import text from "./t.txt"; import page from "./p.html"; import bytes from "./b.bin"; import wasm from "./w.wasm";
        export const all = [data.n, same.n, text, page, [...bytes], wasm instanceof WebAssembly.Module];`,
      "handlers/d.json": `{"n":1}`,
      "handlers/t.txt": "text",
      "handlers/p.html": "<p>",
      "handlers/b.bin": "ab",
      "handlers/w.wasm": "\0asm\u0001\0\0\0",
    });
    const [a] = await project.load(await project.build(), ["a.ts"]);
    assert.deepEqual(a, { all: [1, 1, "text", "<p>", [97, 98], true] });
  });

  it("waits for top-level await", async (t) => {
    const project = await createProject(t, {
      "src/slow.ts":
        "export const slow = await new Promise((resolve) => setImmediate(resolve, 'done'));",
      "handlers/a.ts": `export { slow } from "../src/slow.ts";`,
      "handlers/b.ts": `import { slow } from "../src/slow.ts"; export const b = await Promise.resolve(slow);`,
    });
    assert.deepEqual(await project.load(await project.build(), ["a.ts", "b.ts"]), [
      { slow: "done" },
      { b: "done" },
    ]);
  });

  it("maps stack traces to the source", async (t) => {
    const code =
      "type T = string;\n\nexport const stack = ((): T => new Error('x').stack as T)();\n";
    const project = await createProject(t, { "handlers/a.ts": code });
    const manifest = await project.build();
    const generation = join(project.stateDir, "generations", manifest.id);
    const file = join(generation, manifest.modules[0]?.compiled ?? "");
    const script = `console.log((await import(${JSON.stringify(pathToFileURL(file).href)})).stack)`;
    const args = ["--enable-source-maps", "--input-type=module", "-e", script];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    assert.ok(stdout.includes(`${project.dir}/handlers/a.ts:3:`), stdout);
    const maps = async (mode: BuildOptions["mode"]): Promise<string> => {
      const { id, modules } = await project.build({ mode });
      return readFile(
        join(project.stateDir, "generations", id, `${modules[0]?.compiled}.map`),
        "utf8",
      );
    };
    assert.match(await maps("development"), /type T = string/);
    assert.doesNotMatch(await maps("production"), /type T = string/);
  });

  it("resolves packages when the state folder is elsewhere or a source has its own", async (t) => {
    const project = await createProject(t, {
      ...packageFiles("dep", "1.0.0", "export const dep = 'outer';"),
      ...packageFiles("@scope/own", "1.0.0", "export const own = 'inner';", "src/"),
      "handlers/a.ts": `export { dep } from "dep"; export { own } from "../src/own.ts";`,
      "src/own.ts": `export { own } from "@scope/own";`,
    });
    const stateDir = await realpath(await mkdtemp(join(tmpdir(), "edgicorn-state-")));
    t.after(() => rm(stateDir, { recursive: true, force: true }));
    const expected = [{ dep: "outer", own: "inner" }];
    assert.deepEqual(await project.load(await project.build(), ["a.ts"]), expected);
    const manifest = await project.build({ stateDir });
    await rename(join(stateDir, "generations", manifest.id), join(project.dir, "moved"));
    assert.deepEqual(await readdir(join(project.dir, "moved", "node_modules")), ["@scope", "dep"]);
    await rename(join(project.dir, "moved"), join(stateDir, "generations", manifest.id));
    const url = pathToFileURL(
      join(stateDir, "generations", manifest.id, manifest.modules[0]?.compiled ?? ""),
    );
    assert.deepEqual({ ...((await import(url.href)) as object) }, expected[0]);
  });

  it("says which packages are not installed, and where they are needed", async (t) => {
    const project = await createProject(t, {
      ...packageFiles("dep", "1.0.0", ""),
      "tsconfig.json": `{ "compilerOptions": { "paths": { "@/*": ["./src/*"] } } }`,
      "package.json": `{ "name": "project", "imports": { "#b": "./src/b.ts" } }`,
      "src/b.ts": `import "dep"; import "fs"; import "node:fs"; import type {} from "types-only";`,
      "handlers/a.tsx": `import "dep"; import "@/b.ts"; import "#b";
        import("optional").catch(() => {}); try { require("optional"); } catch {}
        import "nope/part"; export default <p />;`,
    });
    await assert.rejects(project.build(), (error: Error) => {
      const [, ...lines] = error.message.split("\n");
      assert.equal(lines.length, 2, error.message);
      assert.match(
        lines[0] ?? "",
        /handlers\/a\.tsx:3:16: Could not find package "nope": not installed\. Run "npm install nope"$/,
      );
      assert.match(
        lines[1] ?? "",
        /handlers\/a\.tsx:3:44: Could not find package "react": not installed\. Run "npm install react"$/,
      );
      return true;
    });
  });

  it("names file, line and column of every error", async (t) => {
    const project = await createProject(t, {
      "handlers/a.ts": "export default 1;\nconst é = 'é'; const = 3;\n",
      "handlers/b.ts": `console.log(import.meta.url); import x from "./nope.ts"; export default x;`,
      "handlers/c.ts": `import { nope } from "../src/c.ts"; export default nope;`,
      "src/c.ts": "export const yes = 1;",
    });
    await assert.rejects(project.build(), (error: Error) => {
      assert.equal(Reflect.get(error, "code"), "ERR_HANDLER_LOAD");
      assert.match(error.message, /^Cannot compile .*\/handlers: \d errors\n/);
      assert.match(error.message, /\/handlers\/a\.ts:2:22: Expected identifier but found "="/);
      assert.match(error.message, /\/handlers\/b\.ts:1:45: Could not resolve "\.\/nope\.ts"/);
      return true;
    });
    await project.write({ "handlers/a.ts": "", "handlers/b.ts": "" });
    await assert.rejects(
      project.build(),
      /\/handlers\/c\.ts:1:10: No matching export in .* for import "nope"/,
    );
    assert.deepEqual(await readdir(join(project.stateDir, "generations")), []);
  });

  it("refuses conflicts before it compiles", async (t) => {
    const project = await createProject(t, { "handlers/a.ts": "", "handlers/a.js": "" });
    await assert.rejects(project.build(), {
      code: "ERR_HANDLER_LOAD",
      message: /both are \/a, expected one file$/,
    });
  });

  it("passes the compiler's warnings on", async (t) => {
    const project = await createProject(t, {
      "handlers/a.ts": "export default 1;\nexport const y = (x: number) => x === -0;",
    });
    const { warnings } = await project.build();
    assert.ok(
      warnings.some((warning) => /\/handlers\/a\.ts:2:\d+: /.test(warning)),
      warnings.join("\n"),
    );
  });

  it("says that the state folder cannot be written", async (t) => {
    const project = await createProject(t, { file: "" });
    await assert.rejects(project.build({ stateDir: join(project.dir, "file") }), {
      code: "ERR_HANDLER_LOAD",
      message: /^Cannot build handlers into .*\/file: ENOTDIR/,
    });
  });
});

describe("buildGeneration() > hash", { concurrency: 2 }, () => {
  it("changes for exactly the modules that import what changed", async (t) => {
    const project = await createProject(t, {
      ...packageFiles("dep", "1.0.0", "export const d = 1;"),
      "handlers/a.ts": `import "../src/shared.ts"; export { d } from "dep";`,
      "handlers/b.ts": `import "../src/middle.ts";`,
      "handlers/c.ts": `import text from "./t.txt"; export { text };`,
      "handlers/d.ts": `export default 1;`,
      "handlers/t.txt": "one",
      "src/middle.ts": `import "./shared.ts";`,
      "src/shared.ts": "console.log(1);",
    });
    const first = await project.build();
    const again = await project.build();
    assert.notEqual(again.id, first.id);
    assert.deepEqual(changes(first, again), []);
    assert.equal(new Set(Object.values(hashes(first))).size, 4);

    await project.write({ "src/shared.ts": "console.log(2);" });
    const shared = await project.build();
    assert.deepEqual(changes(first, shared), ["a.ts", "b.ts"]);

    await project.write({ "handlers/t.txt": "two" });
    const text = await project.build();
    assert.deepEqual(changes(shared, text), ["c.ts"]);

    await project.write({ "handlers/d.ts": "export default 2;", "handlers/0.ts": "" });
    const own = await project.build();
    assert.deepEqual(changes(text, own), ["0.ts", "d.ts"]);

    await project.write(packageFiles("dep", "1.0.1", "export const d = 1;"));
    assert.deepEqual(changes(own, await project.build()), ["a.ts"]);
  });

  it("sees a change of a file that is imported in two ways", async (t) => {
    const project = await createProject(t, {
      "handlers/a.ts": `import a from "./t.json"; import b from "./t.json" with { type: "text" }; import c from "./w.wasm"; export { a, b, c };`,
      "handlers/t.json": "1",
      "handlers/w.wasm": "\0asm\u0001\0\0\0",
    });
    const first = await project.build();
    await project.write({ "handlers/t.json": "2" });
    const second = await project.build();
    assert.deepEqual(changes(first, second), ["a.ts"]);
    await project.write({ "handlers/w.wasm": "\0asm\u0001\0\0\0\0\u0001\0" });
    assert.deepEqual(changes(second, await project.build()), ["a.ts"]);
  });

  it("does not depend on where the project lies", async (t) => {
    const files = {
      "handlers/a.ts": `export * from "../src/b.ts"; import w from "./w.wasm"; export { w };`,
      "src/b.ts": "export const u = import.meta.url;",
      "handlers/w.wasm": "\0asm\u0001\0\0\0",
    };
    const [one, other] = await Promise.all([createProject(t, files), createProject(t, files)]);
    assert.deepEqual(hashes(await one.build()), hashes(await other.build()));
  });
});

describe("buildGeneration() > generations", () => {
  it("keeps the last and those that a living process uses", async (t) => {
    const project = await createProject(t, { "handlers/a.ts": "" });
    const dead = spawnSync(process.execPath, ["-e", ""]).pid;
    const leases = [undefined, process.pid, dead, process.ppid];
    const ids: string[] = [];
    for (let count = 0; count < 6; count++) {
      const { id } = await project.build({ keepLast: 2, leaseTo: leases[count] });
      ids.push(id);
    }
    assert.deepEqual(ids.toSorted(), ids, "ids sort by time");
    const generations = join(project.stateDir, "generations");
    assert.deepEqual(await readdir(generations), [ids[1], ids[3], ids[4], ids[5]]);

    await releaseLease(join(generations, ids[1] ?? ""), process.pid);
    const { id } = await project.build({ keepLast: 2 });
    assert.deepEqual(await readdir(generations), [ids[3], ids[5], id]);
  });

  it("builds several at once", async (t) => {
    const project = await createProject(t, { "handlers/a.ts": "export const a = 1;" });
    const manifests = await Promise.all(Array.from({ length: 5 }, () => project.build()));
    const ids = manifests.map(({ id }) => id).toSorted();
    assert.equal(new Set(ids).size, 5);
    assert.deepEqual((await readdir(join(project.stateDir, "generations"))).toSorted(), ids);
    for (const manifest of manifests)
      assert.deepEqual(await project.load(manifest, ["a.ts"]), [{ a: 1 }]);
  });

  it("leaves nothing behind when it is aborted", async (t) => {
    const project = await createProject(t, { "handlers/a.ts": "" });
    const stop = new AbortController();
    const build = project.build({ signal: stop.signal });
    stop.abort(new Error("enough"));
    await assert.rejects(build, { message: "enough" });
    assert.deepEqual(await readdir(join(project.stateDir, "generations")), []);
  });

  it("keeps a new generation although an old one cannot be removed", async (t) => {
    const project = await createProject(t, { "handlers/a.ts": "" });
    const old = join(project.stateDir, "generations", "20200101-000000000000-00000000");
    await mkdir(dirname(old), { recursive: true });
    await writeFile(old, "");
    await mkdir(join(dirname(old), ".removing-20200101-000000000000-00000000", "x"), {
      recursive: true,
    });
    const { id, warnings } = await project.build({ keepLast: 1 });
    assert.match(warnings.join(), /^Cannot remove old generations: /);
    assert.equal((await loadManifest(join(dirname(old), id))).id, id);
  });

  it("removes drafts that were left behind long ago", async (t) => {
    const project = await createProject(t, { "handlers/a.ts": "" });
    const generations = join(project.stateDir, "generations");
    await mkdir(join(generations, ".building-old", "x"), { recursive: true });
    await mkdir(join(generations, ".building-new"));
    await utimes(join(generations, ".building-old"), 0, 0);
    const { id } = await project.build();
    assert.deepEqual((await readdir(generations)).toSorted(), [".building-new", id]);
  });
});
