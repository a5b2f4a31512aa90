import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { describe, it, type TestContext } from "node:test";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import {
  loadGeneration,
  toReport,
  type LoadedGeneration,
} from "../../runtime/worker/load-handlers.ts";
import { writeGeneration, type GenerationPlan } from "./write-generation.ts";

async function load(t: TestContext, plan: GenerationPlan): Promise<LoadedGeneration> {
  const { cwd, generationDir } = await writeGeneration(t, plan);
  return loadGeneration(generationDir, { mode: "production", cwd });
}

/** The lines of the error with which a generation of these files, a route for each, does not load. */
async function linesOfFailure(
  t: TestContext,
  plan: GenerationPlan,
  timeoutMs = 5000,
): Promise<string[]> {
  const { cwd, generationDir } = await writeGeneration(t, plan);
  const timeout = { ms: timeoutMs, limit: "bootTimeout (1 s)" };
  const options = { mode: "production", cwd, timeout } as const;
  const error: unknown = await loadGeneration(generationDir, options).then(
    () => assert.fail("it loaded"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof RuntimeError, String(error));
  assert.equal(error.code, "ERR_HANDLER_LOAD");
  const [first, ...lines] = error.message.split("\n");
  assert.equal(first, "Cannot load handlers:");
  return lines;
}

function routeFor(file: string) {
  return { pattern: `/${file}`, handlers: [[null, file]] as [null, string][] };
}

describe("loadGeneration()", () => {
  it("reports methods and config of each route", async (t) => {
    const generation = await load(t, {
      files: {
        "any.ts": "export default () => new Response()",
        "methods.ts": "export const POST = () => new Response(); export const GET = POST;",
        "both.ts": "export const GET = () => new Response(); export default GET;",
        "restricted.ts":
          "export const config = { methods: ['PROPFIND', 'GET'], timeoutMs: 5 }; export default () => new Response();",
        "users.get.ts":
          "export const config = { timeoutMs: 1 }; export default () => new Response();",
        "users.post.ts":
          "export const config = { bodyLimitBytes: 9 }; export default { fetch: () => new Response() };",
        "_middleware.ts":
          "export const config = { timeoutMs: 7, pool: 'a' }; export default (r, c, next) => next();",
        "deep/_middleware.ts":
          "export const config = { pool: 'b' }; export default (r, c, next) => next();",
      },
      routes: [
        routeFor("any.ts"),
        routeFor("methods.ts"),
        routeFor("both.ts"),
        routeFor("restricted.ts"),
        {
          pattern: "/users",
          handlers: [
            ["GET", "users.get.ts"],
            ["POST", "users.post.ts"],
          ],
          middleware: ["_middleware.ts", "deep/_middleware.ts"],
          pool: "b",
        },
      ],
    });
    const folder = { timeoutMs: 7, pool: "b" };
    const get = { ...folder, timeoutMs: 1 };
    assert.deepEqual(toReport(generation), [
      { methods: null, config: {}, methodConfig: {}, hasSockets: false },
      {
        methods: ["GET", "HEAD", "POST", "OPTIONS"],
        config: {},
        methodConfig: {},
        hasSockets: false,
      },
      { methods: null, config: {}, methodConfig: {}, hasSockets: false },
      {
        methods: ["GET", "HEAD", "OPTIONS", "PROPFIND"],
        config: { methods: ["PROPFIND", "GET"], timeoutMs: 5 },
        methodConfig: {},
        hasSockets: false,
      },
      {
        methods: ["GET", "HEAD", "POST", "OPTIONS"],
        config: folder,
        methodConfig: { GET: get, HEAD: get, POST: { ...folder, bodyLimitBytes: 9 } },
        hasSockets: false,
      },
    ]);
    assert.equal(generation.id, "test");
    assert.ok(generation.durationMs > 0);
    // It crosses to the primary.
    assert.deepEqual(structuredClone(toReport(generation)), toReport(generation));
  });

  it("takes the default out of CommonJS modules, also of those compiled from a module", async (t) => {
    const generation = await load(t, {
      files: {
        "plain.cjs": "module.exports = () => new Response()",
        "compiled.cjs":
          "Object.defineProperty(exports, '__esModule', { value: true }); exports.default = { fetch() {} };",
        "methods.cjs": "exports.GET = () => new Response()",
      },
      routes: ["plain.cjs", "compiled.cjs", "methods.cjs"].map(routeFor),
    });
    assert.deepEqual(
      toReport(generation).map((route) => route?.methods),
      [null, null, ["GET", "HEAD", "OPTIONS"]],
    );
  });

  it("names file, line and column in the source of every module that does not load", async (t) => {
    const lines = await linesOfFailure(t, {
      files: {
        "throws.ts": "interface A {\n  a: string;\n}\nexport const a: A = { a: '' };\n  foo();\n",
        "helper.ts":
          "type B = string;\n\nexport function fail(b: B): never {\n  throw new RangeError(b);\n}\n",
        "imports.ts": "import { fail } from './helper.ts';\nfail('no');\nexport default fail;\n",
        "missing.ts":
          "type C = 1;\nexport const c: C = 1;\nimport x from 'not-there/sub';\nexport default x;\n",
        "renamed.ts": "type D = 1;\nimport { nope } from 'hono';\nexport default nope;\n",
        "string.ts": "throw 'boom';\n",
        "nothing.ts": "throw undefined;\n",
        "library.ts": "import assert from 'node:assert';\nexport default 1;\nassert.equal(1, 2);\n",
        "good.ts": "export default () => new Response();\n",
      },
      routes: [
        "throws.ts",
        "imports.ts",
        "missing.ts",
        "renamed.ts",
        "string.ts",
        "nothing.ts",
        "library.ts",
        "good.ts",
      ].map(routeFor),
    });
    assert.deepEqual(lines, [
      "handlers/throws.ts:5:3: ReferenceError: foo is not defined",
      "handlers/helper.ts:4:9: RangeError: no",
      'handlers/missing.ts:3:15: cannot find "not-there": not installed, run "npm install not-there"',
      'handlers/renamed.ts:2: "hono" has no export "nope", it has "Context", "Hono"',
      'handlers/string.ts: threw string "boom"',
      "handlers/nothing.ts: threw undefined",
      "handlers/library.ts:3:8: AssertionError: 1 == 2",
    ]);
  });

  it("names a module that never gets past its top-level await, and still checks the others", async (t) => {
    const files = {
      "hangs.ts": "await new Promise(() => {});\nexport default () => new Response();",
      "bad.ts": "export default 3;",
    };
    const plan = { files, routes: ["hangs.ts", "bad.ts"].map(routeFor) };
    assert.deepEqual(await linesOfFailure(t, plan, 20), [
      "handlers/hangs.ts:1:1: its top-level await has not finished within bootTimeout (1 s)",
      "handlers/bad.ts:1:1: default export is number 3, expected a function or an object with fetch()",
    ]);
  });

  it("names the line of an export of the wrong shape, of handlers and of what surrounds them", async (t) => {
    const plan: GenerationPlan = {
      files: {
        "lower.ts": "// first\nexport const get = () => new Response();",
        "users.get.ts": "\n\nexport const POST = () => new Response();\nexport default POST;",
        "users.ts": "export const GET = () => new Response();\nexport const POST = GET;",
        "_middleware.ts": "const x = 1;\nexport default { x };",
        "_error.ts": "export default 'oops';",
        "_404.ts": "export const GET = () => new Response();",
        "config.ts": "export default () => new Response();\nexport const config = { timeout: 5 };",
        "same.get.ts": "export default () => new Response();",
      },
      routes: [
        { ...routeFor("lower.ts"), middleware: ["_middleware.ts"], error: "_error.ts" },
        { ...routeFor("config.ts"), middleware: ["_middleware.ts"], error: "_error.ts" },
        { pattern: "/users", handlers: [["GET", "users.get.ts"]] },
        {
          pattern: "/same",
          handlers: [
            ["GET", "same.get.ts"],
            [null, "users.ts"],
          ],
        },
      ],
      fallbacks: [{ pattern: "/**", handlers: [[null, "_404.ts"]] }],
    };
    assert.deepEqual(await linesOfFailure(t, plan), [
      'handlers/lower.ts:2:1: exports "get", expected "GET": names of methods are upper case',
      "handlers/_middleware.ts:2:1: default export is object { x }, expected a function (request, context, next) => Response",
      'handlers/_error.ts:1:1: default export is string "oops", expected a function (error, request, context) => Response',
      'handlers/config.ts:2:1: config has an unknown key "timeout", did you mean "timeoutMs"?',
      'handlers/users.get.ts:3:1: exports "POST", expected "GET" or a default: the file\'s name says GET only',
      "handlers/users.ts: answers GET of /same, which handlers/same.get.ts answers too",
      'handlers/_404.ts:1:1: exports "GET", expected only "export default"',
    ]);
  });

  it("refuses a folder without a manifest, and a manifest of another format", async (t) => {
    const { cwd, generationDir } = await writeGeneration(t, {
      files: { "a.ts": "export default () => new Response()" },
      routes: [routeFor("a.ts")],
    });
    const code = { code: "ERR_HANDLER_LOAD" };
    await assert.rejects(loadGeneration(cwd, { mode: "production" }), code);
    await writeFile(`${generationDir}/manifest.json`, '{"formatVersion":1}');
    await assert.rejects(loadGeneration(generationDir, { mode: "production" }), {
      ...code,
      message: /format version 1, expected 2/,
    });
  });
});
