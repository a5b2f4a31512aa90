import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findWonOver } from "../../runtime/route/won-over.ts";

describe("findWonOver()", () => {
  it("names the routes that would get a path next, the nearest first", () => {
    const patterns = [
      "/",
      "/users/me",
      "/users/:id",
      "/users/:id.json",
      "/users/**:all",
      "/**",
      "/x",
    ];
    const found = findWonOver(patterns.map((pattern) => ({ pattern })));
    assert.deepEqual(Object.fromEntries(found), {
      "/": ["/**"],
      "/users/me": ["/users/:id", "/users/**:all", "/**"],
      "/users/:id": ["/users/**:all", "/**"],
      "/users/:id.json": ["/users/:id", "/users/**:all", "/**"],
      "/users/**:all": ["/**"],
      "/**": [],
      "/x": ["/**"],
    });
  });
});
