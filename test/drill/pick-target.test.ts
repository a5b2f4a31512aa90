import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pickTarget } from "../../runtime/drill/pick-target.ts";
import type { ManifestRoute } from "../../runtime/generation/manifest.ts";

function route(
  pattern: string,
  methods: (string | null)[] = [null],
  pool = "default",
): ManifestRoute {
  const handlers = methods.map((method) => ({ method, module: 0 }));
  return { pattern, handlers, middleware: [], error: null, pool };
}

const SHOP = route("/shop", ["GET", "POST"], "shop");

describe("pickTarget()", () => {
  const cases: [
    title: string,
    routes: ManifestRoute[],
    path: string | null,
    target: ReturnType<typeof pickTarget>,
  ][] = [
    ["prefers /", [SHOP, route("/")], null, { path: "/", pool: "default" }],
    ["else takes the first route", [SHOP, route("/b")], null, { path: "/shop", pool: "shop" }],
    [
      "skips routes with parameters, and those without GET",
      [route("/users/:id"), route("/docs/**:path"), route("/save", ["POST"]), SHOP],
      null,
      { path: "/shop", pool: "shop" },
    ],
    [
      "skips the drill's own handlers",
      [route("/edgicorn-drill/leak"), SHOP],
      null,
      { path: "/shop", pool: "shop" },
    ],
    ["takes / when there is nothing else", [], null, { path: "/", pool: "default" }],
    [
      "takes the given path, and its pool",
      [route("/"), SHOP],
      "/shop",
      { path: "/shop", pool: "shop" },
    ],
    [
      "keeps the query of a path",
      [route("/"), SHOP],
      "/shop?page=2",
      { path: "/shop?page=2", pool: "shop" },
    ],
    [
      "takes a given path that no plain route has: a file, or one with parameters",
      [route("/users/:id", [null], "users"), SHOP],
      "/users/7",
      { path: "/users/7", pool: "default" },
    ],
    [
      "takes / of a Python application when no handler has a plain route",
      [route("/**", [null], "app"), route("/api/**", [null], "app-api")],
      null,
      { path: "/", pool: "app" },
    ],
    [
      "finds the pool of the nearest mount of a given path",
      [route("/**", [null], "app"), route("/api/**", [null], "app-api")],
      "/api/users?x",
      { path: "/api/users?x", pool: "app-api" },
    ],
  ];
  for (const [title, routes, path, target] of cases) {
    it(title, () => {
      assert.deepEqual(pickTarget(routes, path), target);
    });
  }
});
