import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, it } from "node:test";
import { findPython, toApps } from "../../runtime/config/apps.ts";
import { readFileSettings } from "../../runtime/config/file-settings.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const DEFAULTS = {
  app: null,
  appDir: "/srv",
  python: "python3",
  appKind: "auto",
  threads: 2,
} as const;

function mountsOf(mounts: unknown): ReturnType<typeof readFileSettings> {
  return readFileSettings({ mounts }, "/etc/shop");
}

describe("toApps()", () => {
  it("has none where none is named", () => assert.deepEqual(toApps(DEFAULTS, [], { env: {} }), []));

  it("gives each application its settings, and a pool of its own", () => {
    const result = mountsOf({
      "/api/": { app: "api:app", dir: "api", python: "venv/bin/python", kind: "asgi", workers: 3 },
      "/a-p.i": "other:app",
      "/API": { app: "third:make()", threads: 8, python: "pypy3" },
    });
    assert.ok(result.ok);
    const apps = toApps({ ...DEFAULTS, app: "site:app" }, result.settings.mounts, { env: {} });
    const common = { dir: "/srv", python: "python3", kind: "auto", threads: 2, workers: null };
    assert.deepEqual(apps, [
      { ...common, pool: "app", mount: "", spec: "site:app" },
      {
        pool: "app-api",
        mount: "/api",
        spec: "api:app",
        dir: "/etc/shop/api",
        python: "/etc/shop/venv/bin/python",
        kind: "asgi",
        threads: 2,
        workers: 3,
      },
      { ...common, pool: "app-a-p-i", mount: "/a-p.i", spec: "other:app" },
      {
        ...common,
        pool: "app-api-2",
        mount: "/API",
        spec: "third:make()",
        threads: 8,
        python: "pypy3",
      },
    ]);
  });
});

describe("mounts of the config file", () => {
  const refused: [mounts: unknown, problem: string][] = [
    [[], 'mounts: an object: { "/api": { app: "api.main:app" } }'],
    [{ api: "a:b" }, 'mounts["api"]: a path such as "/api", of letters, digits and "-._~"'],
    [{ "/a b": "a:b" }, 'mounts["/a b"]: a path such as "/api", of letters, digits and "-._~"'],
    [{ "/a": 3 }, 'mounts["/a"]: an object: { app: "api.main:app" }'],
    [{ "/a": {} }, 'mounts["/a"].app: a Python module and a name in it, such as "api.main:app"'],
    [{ "/a": { app: "a:b", thread: 2 } }, 'mounts["/a"].thread: "threads"'],
    [{ "/a": { app: "a:b", threads: 0 } }, 'mounts["/a"].threads: a whole number from 1 to 1024'],
    [{ "/a": { app: "a:b", kind: "cgi" } }, 'mounts["/a"].kind: "auto", "wsgi" or "asgi"'],
  ];
  for (const [mounts, problem] of refused) {
    it(`refuses ${JSON.stringify(mounts)}`, () => {
      const result = mountsOf(mounts);
      assert.ok(!result.ok);
      assert.deepEqual(
        result.problems.map(({ key, expected }) => `${key}: ${expected}`),
        [problem],
      );
    });
  }
});

describe("findPython()", () => {
  it("takes the environment beside the application, then the active one, then the system's", (t) => {
    const dir = temporaryFolder(t);
    const active = join(dir, "active");
    const env = { VIRTUAL_ENV: active };
    assert.equal(findPython(dir, env), "python3");
    for (const python of [join(active, "bin/python"), join(dir, ".venv/bin/python")]) {
      mkdirSync(dirname(python), { recursive: true });
      writeFileSync(python, "");
      assert.equal(findPython(dir, env), python);
    }
    assert.equal(findPython(dir, {}), join(dir, ".venv/bin/python"));
  });
});
