import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { pathToFileURL } from "node:url";
import { findConfigFile, loadConfigFile } from "../../runtime/config/config-file.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

function write(dir: string, files: Record<string, string>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
}

async function evaluate(
  t: TestContext,
  files: Record<string, string>,
  options: { timeoutMs?: number } = {},
): Promise<unknown> {
  const cwd = temporaryFolder(t);
  write(cwd, files);
  const [first = ""] = Object.keys(files);
  const file = await loadConfigFile(join(cwd, first), { cwd, namedBy: "--config", ...options });
  return file.values;
}

async function refusal(
  t: TestContext,
  files: Record<string, string>,
  options: { timeoutMs?: number } = {},
): Promise<string> {
  try {
    await evaluate(t, files, options);
  } catch (error) {
    assert.ok(error instanceof RuntimeError, String(error));
    assert.equal(error.code, "ERR_CONFIG");
    return error.message;
  }
  return assert.fail("accepted");
}

describe("loadConfigFile()", { timeout: 120_000 }, () => {
  it("runs TypeScript that imports defineConfig, local modules and packages", async (t) => {
    const values = await evaluate(t, {
      "edgicorn.config.ts": `
        import { defineConfig } from "edgicorn";
        import { port } from "./lib/port.ts";
        import level from "a-package";
        interface Ports { http: number }
        const ports: Ports = { http: port };
        export default defineConfig({ ...ports, logLevel: level });`,
      "lib/port.ts": "export const port: number = 4000;",
      "node_modules/a-package/package.json": '{ "type": "module", "exports": "./a.js" }',
      "node_modules/a-package/a.js": 'export default "debug";',
    });
    assert.deepEqual(values, { http: 4000, logLevel: "debug" });
  });

  it("gives each module its own import.meta", async (t) => {
    const cwd = temporaryFolder(t);
    write(cwd, {
      "edgicorn.config.ts": `import { inner } from "./lib/inner.mjs";
        export default { outer: import.meta.url, inner, dir: import.meta.dirname, cwd: process.cwd() };`,
      "lib/inner.mjs": "export const inner = import.meta.filename;",
    });
    const path = join(cwd, "edgicorn.config.ts");
    const { values } = await loadConfigFile(path, { cwd: "/", namedBy: "--config" });
    assert.deepEqual(values, {
      outer: pathToFileURL(path).href,
      inner: join(cwd, "lib/inner.mjs"),
      dir: cwd,
      cwd,
    });
  });

  it("runs apart from this process, which outlives whatever the file does", async (t) => {
    const values = await evaluate(t, {
      "edgicorn.config.js": `
        globalThis.leftByConfig = true;
        process.env.LEFT_BY_CONFIG = "yes";
        process.title = "left-by-config";
        setInterval(() => {}, 1000);
        export default { workers: process.pid };`,
    });
    assert.ok(!("leftByConfig" in globalThis));
    assert.equal(process.env["LEFT_BY_CONFIG"], undefined);
    assert.notEqual(process.title, "left-by-config");
    assert.notDeepEqual(values, { workers: process.pid });
  });

  it("accepts JSON, CommonJS and a promise", async (t) => {
    assert.deepEqual(await evaluate(t, { "a.json": '{ "http": 1 }' }), { http: 1 });
    assert.deepEqual(await evaluate(t, { "a.js": "module.exports = { http: 2 }" }), { http: 2 });
    assert.deepEqual(
      await evaluate(t, { "a.mjs": "export default Promise.resolve({ http: 3 })" }),
      { http: 3 },
    );
  });

  it("is not disturbed by what the file prints", async (t) => {
    // To standard error of this test run, where a line or two does no harm.
    const file = 'process.stdout.write("\\n"); export default { http: 1 };';
    assert.deepEqual(await evaluate(t, { "a.mjs": file }), { http: 1 });
  });

  const refused: [title: string, files: Record<string, string>, message: string][] = [
    [
      "a file that throws, with its line",
      {
        "c.ts": 'interface A {}\n\nconst a: string = "x";\nthrow new TypeError(`bad ${a}\nvalue`);',
      },
      "Cannot load c.ts:4: TypeError: bad x value",
    ],
    [
      "a module of it that throws, with its line",
      { "c.ts": 'import "./lib/a.ts";\nexport default {};', "lib/a.ts": "\n\nnull.x;" },
      "Cannot load lib/a.ts:3: TypeError: Cannot read properties of null (reading 'x')",
    ],
    ["what is thrown but no error", { "c.mjs": "throw 'soup'" }, "Cannot load c.mjs: threw soup"],
    [
      "a syntax error, with its line",
      { "c.ts": "export default {\n  http: 8080\n  https: 8443,\n};" },
      'Cannot load c.ts:3: Expected "}" but found "https"',
    ],
    [
      "broken JSON, with its line",
      { "c.json": '{\n  "http": 8080\n  "https": 1 }' },
      'Cannot load c.json:3: Expected "," in JSON but found "\\"https\\""',
    ],
    [
      "a missing module, with its line",
      { "c.ts": '\nimport "./gone.ts";' },
      'Cannot load c.ts:2: Could not resolve "./gone.ts"',
    ],
    [
      "a missing package",
      { "c.ts": 'import a from "gone"; export default a;' },
      "Cannot load c.ts: Error: Cannot find package 'gone'",
    ],
    [
      "a function",
      { "c.ts": "export default { http: 1, tls: { ask: () => 1 } };" },
      "Cannot use tls.ask in c.ts: found a function, expected plain data",
    ],
    [
      "a class instance",
      { "c.ts": "export default { http: new Date() };" },
      "Cannot use http in c.ts: found a Date, expected plain data",
    ],
    [
      "a number that JSON has not",
      { "c.ts": "export default { http: NaN, https: 1n };" },
      "Cannot use http in c.ts: found NaN, expected plain data",
    ],
    [
      "a default export that is a function",
      { "c.ts": "export default () => ({});" },
      "Cannot use the default export in c.ts: found a function, expected plain data",
    ],
    [
      "no default export",
      { "c.ts": "export const config = {};" },
      'Cannot use c.ts: found no default export, expected "export default defineConfig({ ... })"',
    ],
    [
      "an array",
      { "c.ts": "export default [];" },
      'Cannot use c.ts: found an array, expected "export default defineConfig({ ... })"',
    ],
    [
      "a cycle",
      { "c.ts": "const a: any = {}; a.a = a; export default a;" },
      "Cannot load c.ts: TypeError: Converting circular structure to JSON",
    ],
    [
      "a file that ends the process",
      { "c.mjs": "process.exit(5)" },
      "Cannot load c.mjs: it ended the process with exit code 5",
    ],
    [
      "a wait without end",
      { "c.mjs": "await new Promise(() => {});" },
      "Cannot load c.mjs: a top-level await never finished",
    ],
    [
      "another kind of file",
      { "c.yaml": "http: 1" },
      "Cannot use --config: found c.yaml, expected a file that ends with .ts, .mts, .js, .mjs, .json",
    ],
  ];
  for (const [title, files, message] of refused) {
    it(`refuses ${title}`, async (t) => {
      const found = await refusal(t, files);
      assert.equal(found.slice(0, message.length), message);
      assert.ok(!found.includes("\n"), "one line");
    });
  }

  it("ends a file that never does", async (t) => {
    const message = await refusal(t, { "c.mjs": "for (;;);" }, { timeoutMs: 500 });
    assert.equal(message, "Cannot load c.mjs: it did not finish within 500 ms");
  });
});

describe("findConfigFile()", () => {
  it("finds the one there is", (t) => {
    const dir = temporaryFolder(t);
    assert.equal(findConfigFile(dir), null);
    write(dir, { "edgicorn.config.mts": "" });
    assert.equal(findConfigFile(dir), join(dir, "edgicorn.config.mts"));
  });

  it("refuses two", (t) => {
    const dir = temporaryFolder(t);
    write(dir, { "edgicorn.config.js": "", "edgicorn.config.ts": "" });
    assert.throws(() => findConfigFile(dir), {
      code: "ERR_CONFIG",
      message:
        "Cannot choose a config file: found edgicorn.config.ts and edgicorn.config.js, " +
        "expected one of them, or --config FILE",
    });
  });
});
