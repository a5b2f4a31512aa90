import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createGuardMatcher } from "../../runtime/route/match-guard.ts";

const GUARDS = ["/a/**", "/a/b/**", "/a/:id/**", "/café/**", "/x/user-:id/c/**", "/x/:any/c/**"];

describe("createGuardMatcher()", () => {
  const match = createGuardMatcher([
    { pattern: "/**" },
    ...GUARDS.map((pattern) => ({ pattern, files: true as const })),
  ]);
  const rows: [path: string, pattern: string | null, params: Record<string, string> | null][] = [
    ["/", null, null],
    ["/ab", null, null],
    ["/A/x", null, null],
    ["/a", "/a/**", null],
    ["/a/", "/a/**", null],
    ["/a/b", "/a/b/**", null],
    ["/a/b/c/d.txt", "/a/b/**", null],
    ["/a/c.txt", "/a/:id/**", { id: "c.txt" }],
    ["/café/x", "/café/**", null],
    // The name of the file in decomposed form.
    ["/café/x", "/café/**", null],
    ["/x/user-7/c/d", "/x/user-:id/c/**", { id: "7" }],
    ["/x/user-/c/d", "/x/:any/c/**", { any: "user-" }],
    ["/x/user-7", null, null],
  ];
  for (const [path, pattern, params] of rows) {
    it(`finds ${pattern} for ${path}`, () => {
      const found = match?.(path) ?? null;
      // The first fallback is no guard.
      assert.equal(found === null ? null : GUARDS[found.fallback - 1], pattern);
      assert.deepEqual(found?.params ?? null, params);
    });
  }

  it("guards everything from the root", () => {
    const root = createGuardMatcher([{ pattern: "/**", files: true }]);
    assert.deepEqual(root?.("/x/y"), { fallback: 0, params: null });
    assert.deepEqual(root?.("/"), { fallback: 0, params: null });
  });

  it("is nothing without guards", () => {
    assert.equal(createGuardMatcher([{ pattern: "/**" }]), null);
  });
});
