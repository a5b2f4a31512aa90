import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseTarget } from "../../runtime/http/target-path.ts";
import { type PathChange, toUpstreamTarget } from "../../runtime/proxy/target.ts";

function forward(target: string, change: Partial<PathChange> = {}): string {
  const parsed = parseTarget(target);
  assert.ok(parsed.ok);
  return toUpstreamTarget(parsed, { strip: "", add: "", ...change });
}

describe("toUpstreamTarget()", () => {
  it("leaves the target as it is, with encodings, repeated slashes and the query", () => {
    const targets = [
      "/",
      "/a/b",
      "/a%2Fb",
      "/a//b",
      "/%61",
      "/a;b=c",
      "/?",
      "/?q=a%20b&q=/../x",
      "/a%zz",
    ];
    for (const target of targets) assert.equal(forward(target), target);
  });

  it("sends the meaning of dot segments, on which the rules of the site have decided", () => {
    assert.equal(forward("/a/../b"), "/b");
    assert.equal(forward("/a/%2e%2E/b"), "/b");
    assert.equal(forward("/a\\b"), "/a/b");
  });

  it("strips a prefix at the border of a segment, in any encoding", () => {
    const cases: [target: string, expected: string][] = [
      ["/api", "/"],
      ["/api/", "/"],
      ["/api/users?x=1", "/users?x=1"],
      ["/%61pi/users", "/users"],
      ["/api//x", "//x"],
      ["/apis", "/apis"],
      ["/", "/"],
      ["/API/users", "/API/users"],
      ["/other/api", "/other/api"],
    ];
    for (const [target, expected] of cases)
      assert.equal(forward(target, { strip: "/api" }), expected);
    assert.equal(forward("/api/v1/users", { strip: "/api/v1" }), "/users");
    assert.equal(forward("/api/v1", { strip: "/api/v1" }), "/");
    assert.equal(forward("/api", { strip: "/api/v1" }), "/api");
    assert.equal(forward("/api%2Fv1/users", { strip: "/api/v1" }), "/api%2Fv1/users");
  });

  it("puts a path in front, after it has stripped the prefix", () => {
    assert.equal(forward("/users?x", { add: "/base" }), "/base/users?x");
    assert.equal(forward("/", { add: "/base" }), "/base/");
    assert.equal(forward("/api/users", { strip: "/api", add: "/base" }), "/base/users");
  });
});
