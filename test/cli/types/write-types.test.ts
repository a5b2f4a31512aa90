import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { type TypedProject, writeTypes } from "../../../runtime/cli/types/write-types.ts";
import type { BindingValue } from "../../../runtime/lib/binding-settings.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";

const run = promisify(execFile);
const ROOT = join(import.meta.dirname, "../../..");

const EMPTY: TypedProject = { bindings: [], variables: null, routes: [] };

function bind(name: string, value: BindingValue, scope: object = {}): TypedProject["bindings"][0] {
  return { name, pools: null, sites: null, value, ...scope };
}

const SPACE = { space: "a", store: "default" } as const;

const PROJECT: TypedProject = {
  bindings: [
    bind("GREETING", { kind: "var", text: "hello" }),
    bind("LEVELS", {
      kind: "json",
      data: { low: [1, "a", null], "b-c": { on: true }, none: [], empty: {} },
    }),
    bind("COUNT", { kind: "json", data: 7 }),
    bind("API_KEY", { kind: "secret", file: "/k", secret: "s3cret" }),
    bind("CARTS", { kind: "kv", ...SPACE }, { pools: ["shop"] }),
    bind("SESSIONS", { kind: "kv", ...SPACE }),
    bind("HITS", { kind: "counter", ...SPACE }),
    bind("LOCKS", { kind: "lock", ...SPACE }),
    bind("API", { kind: "service", site: "default" }),
    bind("ASSETS", { kind: "assets", site: null }, { sites: ["default"] }),
    bind("LIMITER", { kind: "rateLimit", ...SPACE, limit: 1, periodMs: 1000 }),
  ],
  variables: ["DATABASE_URL", "APP_*", "GREETING", "odd-name"],
  routes: [
    { site: null, pattern: "/", files: ["handlers/index.ts"], methods: null },
    { site: null, pattern: "/docs/**:path", files: ["handlers/docs/[...path].ts"], methods: null },
    {
      site: null,
      pattern: "/users/:id/:tab.json",
      files: ["handlers/users/[id]/[tab].json.get.ts", "handlers/users/*/[tab].json.post.ts"],
      methods: ["GET", "POST"],
    },
    {
      site: "shop.example",
      pattern: "/:id",
      files: ["sites/shop.example/handlers/[id].ts"],
      methods: null,
    },
  ],
};

describe("writeTypes()", () => {
  it("writes the same text whatever the order of its input", () => {
    const turned = {
      ...PROJECT,
      bindings: PROJECT.bindings.toReversed(),
      routes: PROJECT.routes.toReversed(),
      variables: PROJECT.variables?.toReversed() ?? null,
    };
    assert.equal(writeTypes(turned), writeTypes(PROJECT));
  });

  it("has no value of a variable or a secret", () => {
    assert.doesNotMatch(writeTypes(PROJECT), /s3cret|hello/);
  });

  it(
    "gives a compiler the types of env, routes and parameters",
    { timeout: 120_000 },
    async (t) => {
      const dir = temporaryFolder(t);
      mkdirSync(join(dir, "node_modules"));
      symlinkSync(ROOT, join(dir, "node_modules/edgicorn"));
      symlinkSync(join(ROOT, "node_modules/@types"), join(dir, "node_modules/@types"));
      writeFileSync(join(dir, "edgicorn-env.d.ts"), writeTypes(PROJECT));
      writeFileSync(join(dir, "package.json"), '{ "type": "module" }');
      writeFileSync(
        join(dir, "handler.ts"),
        `import { defineHandler, type Context, type RouteParams, type Routes } from "edgicorn";
      export const one = defineHandler<RouteParams<"/users/:id/:tab.json">>(async (_, { params, env }) => {
        const texts: string[] = [params.id, params.tab, env.GREETING, env.API_KEY];
        const count: number = await env.HITS.add("a");
        await env.SESSIONS.put("a", "b");
        await env.CARTS?.put("a", "b");
        const answers: (Response | undefined)[] = [await env.API.fetch("/a"), await env.ASSETS?.fetch(new URL("http://a"))];
        const { success } = await env.LIMITER.limit({ key: "a" });
        const level: string | number | null | undefined = env.LEVELS.low[0];
        const on: boolean = env.LEVELS["b-c"].on && env.LEVELS.none.length < env.COUNT;
        // @ts-expect-error it is a number
        env.COUNT.length;
        const url: string | undefined = env.DATABASE_URL ?? env["odd-name"] ?? env["APP_NAME"];
        // @ts-expect-error a parameter of another route
        params.path;
        // @ts-expect-error other handlers have it
        await env.CARTS.put("a", "b");
        // @ts-expect-error env is frozen
        env.GREETING = "b";
        return Response.json([texts, count, level, on, success, url, answers.length]);
      });
      export type Rest = RouteParams<"/docs/**:path">;
      export const rest = (context: Context<Rest>): string => context.params.path;
      export const other: RouteParams<"shop.example/:id"> = { id: "7" };
      export const method: Routes["/users/:id/:tab.json"]["methods"] = "POST";
      // @ts-expect-error no such route
      export type Missing = RouteParams<"/missing">;
      // @ts-expect-error it has no parameters
      export const none = (context: Context<RouteParams<"/">>): string => context.params.id;`,
      );
      const compilerOptions = {
        strict: true,
        noEmit: true,
        module: "Preserve",
        target: "ES2023",
        lib: ["ES2023"],
        types: ["node"],
        skipLibCheck: true,
        allowImportingTsExtensions: true,
        customConditions: ["edgicorn:source"],
      };
      writeFileSync(
        join(dir, "tsconfig.json"),
        JSON.stringify({ compilerOptions, files: ["handler.ts", "edgicorn-env.d.ts"] }),
      );
      const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
      const { stdout } = await run(process.execPath, [tsc, "-p", dir]).catch(
        (error: { stdout: string }) => error,
      );
      assert.equal(stdout, "");
    },
  );

  it("writes a module also for a project without bindings and routes", () => {
    const text = writeTypes(EMPTY);
    assert.match(text, /^export \{\};$/m);
    assert.match(text, /^ {2}interface Env \{\}$/m);
  });

  it("ends no comment early", () => {
    const routes = [{ site: null, pattern: "/a", files: ["handlers/*/a.ts"], methods: null }];
    assert.match(writeTypes({ ...EMPTY, routes }), /\/\*\* handlers\/\*\\\/a\.ts \*\//);
  });
});
