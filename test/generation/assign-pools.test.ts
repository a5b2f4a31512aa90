import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assignPools } from "../../runtime/generation/assign-pools.ts";

/** Which pool each module names; what is not here names none. */
function assign(
  pools: Readonly<Record<number, string>>,
  route: { handlers: number[]; middleware: number[] },
): { pools: string[]; problems: string[] } {
  const handlers = route.handlers.map((module, index) => ({ method: `M${index}`, module }));
  const { middleware } = route;
  const { routes, fallbacks, problems } = assignPools(
    {
      routes: [{ pattern: "/a", handlers, middleware, error: null }],
      fallbacks: [{ pattern: "/**", module: 9, middleware, error: null }],
    },
    { poolOf: (module) => pools[module] ?? null, display: (module) => `${module}.ts` },
  );
  return { pools: [...routes, ...fallbacks].map(({ pool }) => pool), problems };
}

describe("assignPools()", () => {
  it("takes what the handler names, else the nearest middleware, else the default", () => {
    const route = { handlers: [2], middleware: [0, 1] };
    assert.deepEqual(assign({}, route).pools, ["default", "default"]);
    assert.deepEqual(assign({ 0: "outer" }, route).pools, ["outer", "outer"]);
    assert.deepEqual(assign({ 0: "outer", 1: "inner" }, route).pools, ["inner", "inner"]);
    assert.deepEqual(assign({ 0: "outer", 2: "own" }, route).pools, ["own", "outer"]);
  });

  it("refuses a route whose handlers are in different pools, unless they agree in the end", () => {
    const route = { handlers: [1, 2], middleware: [0] };
    assert.deepEqual(assign({ 0: "a", 1: "a" }, route).problems, []);
    assert.deepEqual(assign({ 1: "a" }, route).problems, [
      'Cannot use 1.ts and 2.ts: both are /a, but in the pools "a" and "default", expected one pool',
    ]);
  });
});
