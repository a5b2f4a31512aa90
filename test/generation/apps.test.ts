import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import {
  type BuiltApp,
  findChangedApp,
  readApps,
  toFileApps,
} from "../../runtime/generation/apps.ts";
import { buildGeneration } from "../../runtime/generation/build.ts";
import { createRouteTable } from "../../runtime/route/route-table.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

function write(dir: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
}

function toApp(dir: string, changes: Partial<BuiltApp> = {}): BuiltApp {
  const app = { pool: "app", mount: "", spec: "shop.wsgi:app", dir, python: "python3" } as const;
  return { ...app, kind: "auto", ...changes };
}

describe("readApps()", () => {
  it("makes a route of each mount, after those of the handlers", async (t) => {
    const dir = temporaryFolder(t);
    write(dir, { "shop/wsgi.py": "", "api/__init__.py": "" });
    const handlers = [{ method: null, module: 0 }];
    const taken = {
      modules: ["hello.ts"],
      routes: [{ pattern: "/hello", handlers, middleware: [], error: null, pool: "default" }],
    };
    const apps = [toApp(dir), toApp(dir, { pool: "app-api", mount: "/api", spec: "api:app" })];
    const { modules, routes, problems } = await readApps(apps, {
      sourceDir: join(dir, "handlers"),
      taken,
    });
    assert.deepEqual(
      modules.map(({ source, app }) => [source, app?.mount]),
      [
        ["../shop/wsgi.py", ""],
        ["../api/__init__.py", "/api"],
      ],
    );
    assert.deepEqual(
      routes.map(({ pattern, handlers: own, pool }) => [pattern, own[0]?.module, pool]),
      [
        ["/**", 1, "app"],
        ["/api/**", 2, "app-api"],
      ],
    );
    assert.deepEqual(problems, []);
  });

  it("refuses handlers for the same paths, or in the same pool", async (t) => {
    const dir = temporaryFolder(t);
    const route = { handlers: [{ method: null, module: 0 }], middleware: [], error: null };
    const taken = {
      modules: ["a.ts"],
      routes: [
        { ...route, pattern: "/**:path", pool: "default" },
        { ...route, pattern: "/a", pool: "app" },
      ],
    };
    const { problems } = await readApps([toApp(dir)], { sourceDir: dir, taken });
    assert.match(problems[0] ?? "", /a\.ts and the application shop\.wsgi:app: both answer \/\*\*/);
    assert.match(problems[1] ?? "", /its pool "app" is that of the application/);
    assert.equal(problems.length, 2);
  });
});

describe("toFileApps()", () => {
  const rows: [path: string, mount: string, pool: string, depth: number | null][] = [
    ["legacy/[...path].py", "/legacy", "app-legacy", null],
    ["[...path].py", "", "app", null],
    ["name.py", "/name", "app-name", null],
    ["(shop)/index.py", "", "app", null],
    ["users/[id]/[...path].py", "/users/:id", "app-users-id", 2],
    ["café.py", "/café", "app-caf", 1],
  ];
  for (const [path, mount, pool, depth] of rows) {
    it(`mounts ${path}`, () => {
      const { apps } = createRouteTable([path], "handlers");
      const defaults = { dir: "/p", python: "python3", kind: "auto" } as const;
      const [app] = toFileApps(apps, { defaults, apps: [], sourceDir: "/p/handlers" });
      assert.deepEqual(app, {
        ...defaults,
        pool,
        mount,
        spec: `/p/handlers/${path}`,
        source: path,
        pattern: apps[0]?.pattern,
        file: { path: `/p/handlers/${path}`, handlersDir: "/p/handlers", depth, methods: null },
      });
    });
  }

  it("gives each file a pool of its own, and its methods", () => {
    const { apps } = createRouteTable(["a.get.py", "b.post.py", "[a].py"], "handlers");
    const defaults = { dir: "/p", python: "python3", kind: "auto" } as const;
    const named = [toApp("/p", { pool: "app-a" })];
    const found = toFileApps(apps, { defaults, apps: named, sourceDir: "/p/handlers" });
    assert.deepEqual(
      found.map(({ pool, file }) => [pool, file?.methods]),
      [
        ["app-a-2", null],
        ["app-a-3", ["GET", "HEAD"]],
        ["app-b", ["POST"]],
      ],
    );
  });
});

describe("a generation with an application", () => {
  it("takes files of the handlers folder, of which the name and the text count", async (t) => {
    const dir = temporaryFolder(t);
    const handlersDir = join(dir, "handlers");
    write(handlersDir, { "static/[...path].py": "app = 1", "_models.py": "", "a.js": "" });
    const options = { handlersDir, stateDir: join(dir, ".edgicorn"), mode: "production" } as const;
    const fileApps = { dir: join(dir, "elsewhere"), python: "python3", kind: "auto" } as const;
    const manifest = await buildGeneration({ ...options, fileApps });
    const [route] = manifest.routes.filter(({ pool }) => pool === "app-static");
    assert.equal(route?.pattern, "/static/**:path");
    const module = manifest.modules[route.handlers[0]?.module ?? -1];
    assert.deepEqual([module?.source, module?.app?.mount], ["static/[...path].py", "/static"]);
    assert.deepEqual(
      manifest.inputs.filter((path) => path.endsWith(".py")),
      [join(handlersDir, "_models.py"), join(handlersDir, "static/[...path].py")],
    );
    assert.equal(await findChangedApp(manifest), null);
    write(handlersDir, { "static/[...path].py": "app = 2" });
    assert.notEqual(await findChangedApp(manifest), null);
    write(handlersDir, { "static/[...path].py": "app = 1", "_models.py": "X = 1" });
    assert.notEqual(await findChangedApp(manifest), null);
  });

  it("refuses a file and an application of the settings for one mount", async (t) => {
    const dir = temporaryFolder(t);
    const handlersDir = join(dir, "handlers");
    write(handlersDir, { "api/[...path].py": "app = 1" });
    const stateDir = join(dir, ".edgicorn");
    const apps = [toApp(dir, { mount: "/api", pool: "app-api" })];
    await assert.rejects(buildGeneration({ handlersDir, stateDir, mode: "production", apps }), {
      message:
        /api\/\[\.\.\.path\]\.py and the application shop\.wsgi:app: both answer \/api\/\*\*:path/,
    });
  });

  it("needs no handlers, and knows whether the code of the application has changed", async (t) => {
    const dir = temporaryFolder(t);
    write(dir, { "shop/wsgi.py": "app = 1", "shop/templates/a.html": "a" });
    const manifest = await buildGeneration({
      handlersDir: join(dir, "handlers"),
      stateDir: join(dir, ".edgicorn"),
      mode: "production",
      apps: [toApp(dir)],
    });
    assert.deepEqual(
      manifest.inputs.filter((path) => path.startsWith(join(dir, "shop"))),
      [join(dir, "shop/templates/a.html"), join(dir, "shop/wsgi.py")],
    );
    // None of these counts.
    write(dir, {
      "shop.db": "data",
      "shop/__pycache__/wsgi.py": "cache",
      "env/pyvenv.cfg": "",
      "env/lib/other.py": "",
      "public/index.html": "page",
      ".git/hook.py": "",
    });
    assert.equal(await findChangedApp(manifest), null);
    for (const [name, text] of [
      ["shop/wsgi.py", "app = 2"],
      ["shop/templates/a.html", "b"],
      ["shop/models.py", ""],
    ] as const) {
      write(dir, { "shop/wsgi.py": "app = 1", "shop/templates/a.html": "a", [name]: text });
      assert.equal((await findChangedApp(manifest))?.spec, "shop.wsgi:app", name);
    }
  });
});
