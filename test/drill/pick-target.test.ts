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
    what: string,
    routes: ManifestRoute[],
    path: string | null,
    target: ReturnType<typeof pickTarget>,
  ][] = [
    ["prefers /", [SHOP, route("/")], null, { path: "/", pool: "default" }],
    ["else takes the first", [SHOP, route("/b")], null, { path: "/shop", pool: "shop" }],
    [
      "passes by what takes parameters, or no GET",
      [route("/users/:id"), route("/docs/**:path"), route("/save", ["POST"]), SHOP],
      null,
      { path: "/shop", pool: "shop" },
    ],
    [
      "passes by what the drill brings itself",
      [route("/edgicorn-drill/leak"), SHOP],
      null,
      { path: "/shop", pool: "shop" },
    ],
    ["asks for / when there is nothing else", [], null, { path: "/", pool: "default" }],
    [
      "takes the path that is asked for, and its pool",
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
      "asks for a path that no plain route has: a file, or one with parameters",
      [route("/users/:id", [null], "users"), SHOP],
      "/users/7",
      { path: "/users/7", pool: "default" },
    ],
  ];
  for (const [what, routes, path, target] of cases) {
    it(what, () => {
      assert.deepEqual(pickTarget(routes, path), target);
    });
  }
});
