import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type JsonText, parseJsonText } from "../../../runtime/cli/init/edit-json.ts";
import { fitGitignore } from "../../../runtime/cli/init/fit-gitignore.ts";
import { fitPackageJson, newPackageJson } from "../../../runtime/cli/init/fit-package-json.ts";
import { fitTsconfig, NEW_TSCONFIG } from "../../../runtime/cli/init/fit-tsconfig.ts";
import { TEMPLATES } from "../../../runtime/cli/init/templates.ts";

const { hello, hono, react } = TEMPLATES;

function parse(text: string, comments = false): JsonText {
  const parsed = parseJsonText(text, { comments });
  assert.ok("value" in parsed, text);
  return parsed;
}

describe("parseJsonText()", () => {
  for (const [text, line, column, expected] of [
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, "comma expected"],
    ["", 1, 1, "value expected"],
    ["[]", 1, 1, "object expected"],
    ['{ "a": 1, }', 1, 11, "property name expected"],
    ["{ // why\n}", 1, 3, "invalid comment token"],
  ] as const) {
    it(`says where ${JSON.stringify(text)} ends to be JSON`, () => {
      assert.deepEqual(parseJsonText(text, { comments: false }), { line, column, expected });
    });
  }

  it("takes a byte order mark", () => {
    assert.deepEqual(parse('\uFEFF{"a":1}').value, { a: 1 });
  });
});

describe("fitPackageJson()", () => {
  it("keeps the form and the scripts of a file, and sorts packages", () => {
    const before = `{\n\t"name": "shop",\n\t"files": ["a", "b"],\n\t"scripts": {\n\t\t"start": "node server.js"\n\t},\n\t"dependencies": {\n\t\t"edgicorn": "1",\n\t\t"zod": "1"\n\t},\n\t"devDependencies": { "typescript": "5.0.0" }\n}\n`;
    const { text, added, foreign, hasEdgicorn } = fitPackageJson(parse(before), hono);
    assert.equal(
      text,
      `{\n\t"name": "shop",\n\t"files": ["a", "b"],\n\t"scripts": {\n\t\t"start": "node server.js",\n\t\t"dev": "edgicorn dev",\n\t\t"check": "tsc --noEmit && edgicorn check"\n\t},\n\t"dependencies": {\n\t\t"edgicorn": "1",\n\t\t"hono": "${hono.dependencies["hono"]}",\n\t\t"zod": "1"\n\t},\n\t"devDependencies": {\n\t\t"@types/node": "${hono.devDependencies["@types/node"]}",\n\t\t"typescript": "5.0.0"\n\t}\n}\n`,
    );
    assert.deepEqual(foreign, ["start"]);
    assert.equal(hasEdgicorn, true);
    assert.deepEqual(added, [
      "script dev",
      "script check",
      "dependency hono",
      "devDependency @types/node",
    ]);
    assert.deepEqual(fitPackageJson(parse(text), hono).added, [], "nothing is added twice");
  });

  it("makes ES modules of a file that npm install has just made, and of no other", () => {
    const made = fitPackageJson(
      parse('{\n  "dependencies": { "edgicorn": "file:a.tgz" }\n}'),
      hello,
    );
    assert.match(made.text, /"type": "module"/);
    const own = fitPackageJson(parse('{ "name": "a", "dependencies": {} }'), hello);
    assert.doesNotMatch(own.text, /"type"/);
    assert.equal(parse(newPackageJson("My Site!")).value["name"], "my-site");
    assert.equal(parse(newPackageJson("äö")).value["name"], "my-site");
  });
});

describe("fitTsconfig()", () => {
  it("leaves a file alone that takes all files", () => {
    const file = parse(NEW_TSCONFIG);
    for (const template of Object.values(TEMPLATES)) {
      assert.deepEqual(fitTsconfig(file, template), { text: NEW_TSCONFIG, added: [], notes: [] });
    }
    for (const include of ["**/*", "**/*.ts", ".", "./**/*"]) {
      const text = JSON.stringify({ include: [include] });
      assert.deepEqual(fitTsconfig(parse(text), hello).added, [], include);
    }
  });

  it("adds what is missing, and keeps comments", () => {
    const before = `{\n  // Ours.\n  "compilerOptions": { "noEmit": true, /* old */ "strict": false },\n  "include": ["src/**/*"],\n}\n`;
    const { text, added, notes } = fitTsconfig(parse(before, true), {
      ...react,
      ...hono,
      hasJsx: true,
    });
    assert.match(text, /\/\/ Ours\.\n/);
    assert.match(text, /\/\* old \*\//);
    assert.deepEqual(notes, []);
    assert.deepEqual(added, [
      '"handlers", "edgicorn.config.ts", "edgicorn-env.d.ts" in include',
      '"jsx": "react-jsx"',
      '"allowImportingTsExtensions": true',
    ]);
    assert.deepEqual(parse(text, true).value, {
      compilerOptions: {
        noEmit: true,
        strict: false,
        jsx: "react-jsx",
        allowImportingTsExtensions: true,
      },
      include: ["src/**/*", "handlers", "edgicorn.config.ts", "edgicorn-env.d.ts"],
    });
  });

  it("only tells what to add where adding could break the project", () => {
    for (const [config, pattern] of [
      [{ files: [], references: [{ path: "./app" }] }, /include "handlers"/],
      [{ files: ["a.ts"] }, /include "handlers"/],
      [{ compilerOptions: { rootDir: "src" }, include: ["src"] }, /include "handlers"/],
      [{ extends: "./base.json" }, /"jsx": "react-jsx", unless the extended file has it/],
      [{ compilerOptions: { outDir: "out" } }, /"noEmit": true and "allowImportingTsExtensions"/],
    ] as const) {
      const text = JSON.stringify(config);
      const fitted = fitTsconfig(parse(text), { ...hono, hasJsx: "extends" in config });
      assert.equal(fitted.text, text);
      assert.match(fitted.notes.join("\n"), pattern);
    }
  });
});

describe("fitGitignore()", () => {
  const all = ["certs/*.key", "secrets/", ".edgicorn/", "node_modules/", ".env.local"];
  for (const [before, added] of [
    ["", all],
    ["/node_modules\n*.key", ["secrets/", ".edgicorn/", ".env.local"]],
    [".env*\r\n.edgicorn\r\nnode_modules/\r\ncerts/\r\nsecrets/*\r\n", []],
  ] as const) {
    it(`adds ${added.length} lines to ${JSON.stringify(before)}`, () => {
      const fitted = fitGitignore(before);
      assert.deepEqual(fitted.added, added);
      assert.ok(fitted.text.startsWith(before));
      assert.deepEqual(fitGitignore(fitted.text).added, []);
    });
  }
});
