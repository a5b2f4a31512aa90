import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeUnused, toGuards } from "../../runtime/generation/guards.ts";
import { createRouteTable } from "../../runtime/route/route-table.ts";

const { modules, guards: folders } = createRouteTable(
  ["_middleware.ts", "_error.ts", "a/_middleware.ts", "a/b/_middleware.ts", "(g)/_middleware.ts"],
  "handlers",
);
const display = (module: number): string => modules[module] ?? "";
const numberOf = (path: string): number => modules.indexOf(path);

function isOfGroup(module: number): boolean {
  return module === numberOf("(g)/_middleware.ts");
}

describe("toGuards()", () => {
  it("takes the middleware that guards files, with those above that do", () => {
    const guarding = ["a/b/_middleware.ts", "_middleware.ts"].map(numberOf);
    const isGuard = (module: number): boolean => guarding.includes(module);
    const { guards, problems } = toGuards(folders, { isGuard, display });
    assert.deepEqual(problems, []);
    assert.deepEqual(
      guards.map(({ pattern, middleware, error, files }) => {
        return [pattern, middleware.map(display), display(error ?? -1), files];
      }),
      [
        ["/**", ["_middleware.ts"], "_error.ts", true],
        ["/a/b/**", ["_middleware.ts", "a/b/_middleware.ts"], "_error.ts", true],
      ],
    );
  });

  it("refuses a folder that only groups", () => {
    const { problems } = toGuards(folders, { isGuard: isOfGroup, display });
    assert.match(
      problems.join(""),
      /^Cannot use \(g\)\/_middleware\.ts: config\.files is true in a folder that only groups/,
    );
  });
});

describe("describeUnused()", () => {
  it("names middleware that no request runs", () => {
    const routes = [{ middleware: folders.map(({ module }) => module).slice(1) }];
    const nameOf = display;
    const found = describeUnused(folders, { routes, fallbacks: [], nameOf });
    assert.equal(found.length, 1);
    assert.match(found[0] ?? "", /_middleware\.ts wraps nothing: its folder has no route/);
  });
});
