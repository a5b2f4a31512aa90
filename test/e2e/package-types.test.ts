import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { writeTypes } from "../../runtime/cli/types/write-types.ts";
import { packPackage } from "../helpers/packed-package.ts";
import { startServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../..");

const H =
  "/** @jsxRuntime classic @jsx h */\nconst h = (tag, _, ...children) => tag + children.join();\n";

/** One of each kind, two of which share a module. */
const HANDLERS = {
  "_shared.ts": `export const name: string = "shared";`,
  "js.js": `import { name } from "./_shared.ts";\nexport default () => new Response(name);`,
  "ts.ts": `import { name } from "./_shared.ts";\nexport default (): Response => new Response(name);`,
  "jsx.jsx": `${H}export const GET = () => new Response(<p>jsx</p>);`,
  "tsx.tsx": `${H.replace("tag, _, ...children", "tag: string, _: unknown, ...children: string[]")}
    export default { fetch: (): Response => new Response(<p>tsx</p> as unknown as string) };`,
  "own.mjs": `import { inPackage } from "#own";\nexport default () => new Response(inPackage);`,
  "cjs.cjs": `module.exports = () => new Response("cjs");`,
  "late.js": `export default async () => new Response((await import("./_late.js")).late);`,
  "_late.js": `export const late = "late";`,
};

const ANSWERS = {
  "/js": "shared",
  "/ts": "shared",
  "/jsx": "pjsx",
  "/tsx": "ptsx",
  "/own": "own",
  "/cjs": "cjs",
  "/late": "late",
};

describe("handlers of a project", { timeout: 180_000 }, () => {
  for (const [title, type] of [
    ["of CommonJS modules", { type: "commonjs" }],
    ["of ES modules", { type: "module" }],
    ["that does not say what its modules are", {}],
  ] as const) {
    it(`${title} load, whatever they are written in`, async (t) => {
      const description = { name: "project", imports: { "#own": "./own.mjs" }, ...type };
      const server = await startServer(t, {
        handlers: HANDLERS,
        workers: 1,
        files: {
          "package.json": JSON.stringify(description),
          "own.mjs": `export const inPackage = "own";`,
        },
      });
      const answers: Record<string, string> = {};
      for (const path of Object.keys(ANSWERS)) {
        answers[path] = await (await server.fetch(path)).text();
      }
      assert.deepEqual(answers, ANSWERS);
    });
  }
});

/** A project that uses all that the package exports. `@ts-expect-error` marks what the compiler must refuse. */
const PROJECT = {
  "edgicorn.config.ts": `import { defineConfig, type UserConfig } from "edgicorn";
    export const other: UserConfig = { workers: "auto", pools: { a: { workers: 2 } } };
    // @ts-expect-error
    defineConfig({ htttp: 1 });
    // @ts-expect-error
    defineConfig({ logLevel: "loud" });
    export default defineConfig({ http: 8080, bodyLimit: "10mb" });`,
  "env.d.ts": `/// <reference types="edgicorn/types" />
    export {};
    declare module "edgicorn" { interface Env { CACHE: { get(key: string): Promise<string> }; DATABASE_URL: string } }`,
  // As `edgicorn types` writes it, beside the declarations of env.d.ts.
  "edgicorn-env.d.ts": writeTypes({
    bindings: [
      { name: "SESSIONS", pools: null, sites: null, value: { kind: "kv", space: "a", store: "b" } },
    ],
    variables: null,
    routes: [{ site: null, pattern: "/users/:id", files: ["handlers/users.ts"], methods: null }],
  }),
  "handlers/users.ts": `import { defineHandler, type RouteParams } from "edgicorn";
    export default defineHandler<RouteParams<"/users/:id">>(async (_, { params, env }) => {
      // @ts-expect-error
      const missing = params.name;
      return new Response([params.id, env.DATABASE_URL, await env.SESSIONS.get("a"), missing].join());
    });`,
  "handlers/module.ts": `import { defineHandler, type Context, type Environment, type Env } from "edgicorn";
    export const config = { timeoutMs: 1000 };
    export default {
      async fetch(request: Request, env: Environment, context: Context): Promise<Response> {
        const url: string = env.DATABASE_URL;
        const other: string | undefined = env["OTHER"] ?? context.env["OTHER"];
        // @ts-expect-error
        const missing: string = env["OTHER"];
        // @ts-expect-error
        env.CACHE.put("a");
        return new Response([await context.env.CACHE.get(request.url), url, other, missing].join());
      },
    };
    export const same = defineHandler({ fetch: async (_, env) => new Response(await env.CACHE.get("a")) });
    export const named = defineHandler({ fetch: (_: Request, env: Env) => new Response(env.DATABASE_URL) });
    export const one = defineHandler<{ id: string }>((_, { params, env }) => new Response(params.id + env.DATABASE_URL));`,
  "handlers/node.ts": `import { fromNode } from "edgicorn";
    // @ts-expect-error
    fromNode({ listen: true });
    export default fromNode((req, res) => { res.end(req.url); });`,
  "handlers/sockets.ts": `import { upgradeWebSocket } from "edgicorn";
    export default (request: Request): Response => {
      const { socket, response } = upgradeWebSocket(request);
      socket.accept();
      socket.addEventListener("message", (event) => socket.send(event.data));
      socket.addEventListener("close", ({ code, reason }) => { console.log(code + 1, reason.trim()); });
      socket.addEventListener("error", ({ message }) => { console.log(message.trim()); });
      // @ts-expect-error
      socket.addEventListener("message", (event) => event.code);
      return response;
    };
    export const GET = (_: Request, context: import("edgicorn").Context) => context.sse("news", { first: "hello" });`,
  "handlers/caches.ts": `export default async (request: Request): Promise<Response> => {
      const named: Cache = await caches.open("name");
      const found = await caches.default.match(request, { ignoreMethod: true });
      // @ts-expect-error
      const text: string = await found.text();
      const gone: boolean = await named.delete(new URL(request.url));
      const done: void = await named.put("https://example.com/", new Response(text));
      // @ts-expect-error
      await caches.default.put(request, "text");
      return found ?? new Response([gone, done].join());
    };`,
  "handlers/imports.ts": `import type { HandlerConfig, Logger, Middleware } from "edgicorn";
    import text from "./a.sql";
    import page from "./a.html";
    import readme from "./a.md";
    import bytes from "./a.bin";
    import program from "./a.wasm";
    export const upper = text.toUpperCase() + page.trim() + readme.trim() + bytes.byteLength;
    export const wasm: object = program;
    // @ts-expect-error
    export const count: number = text;
    export function log(logger: Logger): void {
      logger.child({ a: 1 }).info({ b: 2 }, "text");
      // @ts-expect-error
      logger.shout("text");
    }
    export const config: HandlerConfig = { methods: ["GET"] };
    // @ts-expect-error
    export const wrong: HandlerConfig = { method: "GET" };
    export const middleware: Middleware = async (request, context, next) => {
      context.waitUntil(request.text());
      return next();
    };`,
};

describe("types of the packed package", { timeout: 300_000 }, () => {
  it("compile in strict projects, with TypeScript 5 and 7", async (t) => {
    const { dir: packed } = await packPackage(t);
    const dir = temporaryFolder(t);
    for (const [path, text] of Object.entries(PROJECT)) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), text);
    }
    mkdirSync(join(dir, "node_modules"));
    cpSync(packed, join(dir, "node_modules/edgicorn"), { recursive: true });
    for (const name of ["@types", "pino"]) {
      symlinkSync(join(ROOT, "node_modules", name), join(dir, "node_modules", name));
    }
    writeFileSync(join(dir, "package.json"), JSON.stringify({ name: "project", type: "module" }));

    const runs = ["typescript-5", "typescript"].flatMap((compiler) =>
      [
        { ...NODE_NEXT, lib: ["ES2023"] },
        { ...BUNDLER, lib: ["ES2023", "DOM"] },
        { ...BUNDLER, lib: ["ES2023"], skipLibCheck: true },
      ].map((options) => ({ compiler, options })),
    );
    const results = runs.map(({ compiler, options }, index) => async (): Promise<string> => {
      const file = join(dir, `tsconfig.${index}.json`);
      const compilerOptions = { ...STRICT, ...options };
      writeFileSync(file, JSON.stringify({ compilerOptions, include: ["**/*.ts"] }));
      const tsc = join(ROOT, "node_modules", compiler, "bin/tsc");
      const { stdout } = await run(process.execPath, [tsc, "-p", file], { cwd: dir }).catch(
        (error: { stdout: string }) => error,
      );
      return stdout === "" ? "" : `${compiler} ${JSON.stringify(options)}\n${stdout}`;
    });
    // Two at a time: the compiler of version 5 uses one processor.
    const half = Math.ceil(results.length / 2);
    const texts = await Promise.all(
      [results.slice(0, half), results.slice(half)].map(async (part) => {
        const found: string[] = [];
        for (const result of part) found.push(await result());
        return found.join("");
      }),
    );
    assert.equal(texts.join(""), "");
  });

  it("know every kind of file that a handler may import", () => {
    const source = readFileSync(join(ROOT, "runtime/generation/compile.ts"), "utf8");
    const [, loaders = ""] = /^const LOADERS = \{$([^}]*)\}/m.exec(source) ?? [];
    const extensions = [...loaders.matchAll(/"(\.\w+)":/g)].map(([, extension = ""]) => extension);
    const types = readFileSync(join(ROOT, "runtime/imports.d.ts"), "utf8");
    const declared = [...types.matchAll(/module "\*(\.\w+)"/g)].map(
      ([, extension = ""]) => extension,
    );
    assert.ok(extensions.length > 5, "extensions were found");
    assert.deepEqual(new Set(declared), new Set([...extensions, ".wasm"]));
  });
});

const NODE_NEXT = { module: "NodeNext", moduleResolution: "NodeNext" };
const BUNDLER = { module: "ESNext", moduleResolution: "bundler" };

const STRICT = {
  target: "ES2023",
  noEmit: true,
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  noUncheckedSideEffectImports: true,
  verbatimModuleSyntax: true,
  isolatedModules: true,
  types: ["node"],
  skipLibCheck: false,
  // The compiler's own files.
  skipDefaultLibCheck: true,
};
