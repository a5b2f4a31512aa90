import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";

import { createProject } from "./project.ts";

const ALIASED = {
  "handlers/a.ts": `import { told } from "@/told"; export { told };`,
  "src/told.ts": `export const told = "aliased";`,
};

describe("tsconfig.json", { concurrency: 2 }, () => {
  it("gives aliases, whichever file has them", async (t) => {
    const paths = `"paths": { "@/*": ["./src/*"] }`;
    const app = `{ "compilerOptions": { ${paths} }, "include": ["src", "handlers"] }`;
    const cases: Record<string, Record<string, string>> = {
      "paths without baseUrl, and comments": {
        "tsconfig.json": `// a comment\n{ "compilerOptions": { ${paths}, }, }`,
      },
      baseUrl: {
        "tsconfig.json": `{ "compilerOptions": { "baseUrl": "src", "paths": { "@/*": ["*"] } } }`,
      },
      "a list of extended files": {
        "tsconfig.json": `{ "extends": ["./a.json", "./b.json"] }`,
        "a.json": `{ "compilerOptions": { "strict": true } }`,
        "b.json": `{ "compilerOptions": { ${paths} } }`,
      },
      "a package that is extended": {
        "tsconfig.json": `{ "extends": "@acme/tsconfig/base.json" }`,
        "node_modules/@acme/tsconfig/package.json": `{ "name": "@acme/tsconfig" }`,
        "node_modules/@acme/tsconfig/base.json": `{ "compilerOptions": { "paths": { "@/*": ["\${configDir}/src/*"] } } }`,
      },
      "references only": {
        "tsconfig.json": `{ "references": [{ "path": "./tsconfig.app.json" }] }`,
        "tsconfig.app.json": app,
      },
      "references to several, of which one has the handlers": {
        "tsconfig.json": `{ "files": [], "compilerOptions": { "strict": true }, "references": [{ "path": "./tsconfig.node.json" }, { "path": "./app" }, { "path": "./missing.json" }] }`,
        "tsconfig.node.json": `{ "compilerOptions": { "paths": { "@/*": ["./wrong/*"] } }, "include": ["vite.config.ts"] }`,
        "app/tsconfig.json": `{ "extends": "../base.json", "include": ["../handlers/**/*.ts"] }`,
        "base.json": `{ "compilerOptions": { ${paths} } }`,
      },
      "references to references": {
        "tsconfig.json": `{ "files": [], "references": [{ "path": "./all.json" }] }`,
        "all.json": `{ "files": [], "references": [{ "path": "./tsconfig.app.json" }] }`,
        "tsconfig.app.json": app,
      },
      "references beside options of its own": {
        "tsconfig.json": `{ "compilerOptions": { ${paths} }, "include": ["handlers"], "references": [{ "path": "./other.json" }] }`,
        "other.json": `{ "compilerOptions": { "paths": { "@/*": ["./wrong/*"] } } }`,
      },
    };
    for (const [name, files] of Object.entries(cases)) {
      await t.test(name, async (inner) => {
        const project = await createProject(inner, { ...ALIASED, ...files });
        const manifest = await project.build();
        assert.deepEqual(await project.load(manifest, ["a.ts"]), [{ told: "aliased" }]);
        assert.deepEqual(manifest.warnings, []);
        // In development they are watched.
        for (const file of Object.keys(files).filter((each) =>
          /^[ab]?\/?\w*tsconfig\.json$/.test(each),
        )) {
          assert.ok(manifest.inputs.includes(join(project.dir, file)), file);
        }
      });
    }
  });

  it("gives JSX and decorators, and is part of what the code is", async (t) => {
    const project = await createProject(t, {
      "tsconfig.json": `{ "files": [], "references": [{ "path": "./tsconfig.app.json" }] }`,
      "tsconfig.app.json": `{ "compilerOptions": { "jsx": "react-jsx", "jsxImportSource": "other", "experimentalDecorators": true } }`,
      "node_modules/other/package.json": `{ "name": "other", "type": "module", "exports": { "./jsx-runtime": "./j.js" } }`,
      "node_modules/other/j.js": `export const jsx = (type) => "other " + type;`,
      "handlers/a.tsx": `function mark(target: object, key: string, index?: number) { seen.push(typeof index); } const seen: string[] = [];
        class A { @mark b() {} c(@mark d: string) {} } export const all = [<p />, seen, typeof A];`,
    });
    const before = await project.build();
    assert.deepEqual(await project.load(before, ["a.tsx"]), [
      { all: ["other p", ["object", "number"], "function"] },
    ]);
    await project.write({
      "tsconfig.app.json": `{ "compilerOptions": { "jsxImportSource": "other", "experimentalDecorators": true, "target": "es2020" } }`,
    });
    assert.notEqual((await project.build()).modules[0]?.hash, before.modules[0]?.hash);
  });

  it("is named where an alias leads nowhere, and where an option has no effect", async (t) => {
    const project = await createProject(t, {
      "handlers/a.ts": `import "@/nope";`,
      "tsconfig.json": `{ "files": [], "references": [{ "path": "./tsconfig.app.json" }] }`,
      "tsconfig.app.json": `{ "compilerOptions": {\n "emitDecoratorMetadata": true, "paths": { "@/*": ["./src/*"] } } }`,
    });
    const file = join(project.dir, "tsconfig.app.json");
    await assert.rejects(project.build(), (error: Error) => {
      assert.ok(
        error.message.includes(`handlers/a.ts:1:8: Could not find "@/nope": `),
        error.message,
      );
      assert.ok(error.message.endsWith(`no file is where "paths" of ${file} lead`), error.message);
      return true;
    });
    await project.write({ "src/nope.ts": "" });
    const { warnings } = await project.build();
    assert.equal(warnings.length, 1);
    assert.ok(warnings[0]?.startsWith(`${file}:2: emitDecoratorMetadata has no effect`));
    assert.match(warnings[0] ?? "", /@Inject\(/);
  });
});
