import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { METHODS, RequestMeters } from "../../runtime/observe/request-meters.ts";

function list(meters: RequestMeters): unknown[] {
  return [...meters.list()].map(({ site, route, method, result, durations, bytes }) =>
    [site, route, method, result, durations.count, bytes].join(" "),
  );
}

describe("RequestMeters", () => {
  it("counts by site, route, method and result", () => {
    const meters = new RequestMeters();
    const users = meters.idOf("default", "/users/:id");
    const other = meters.idOf("a.example", "/users/:id");
    const note = (id: number, method: string, status: number): void =>
      meters.note(id, { method, status, ms: 1, bytes: 10, nowMs: 5 });
    note(users, "GET", 200);
    note(users, "GET", 204);
    note(users, "GET", 499);
    note(users, "GET", 404);
    note(users, "BREW", 500);
    note(users, "get", 500);
    note(other, "DELETE", 302);
    note(0, "GET", 400);
    assert.deepEqual(list(meters), [
      " refused GET 4xx 1 10",
      "default /users/:id GET left 1 10",
      "default /users/:id GET 2xx 2 20",
      "default /users/:id GET 4xx 1 10",
      "default /users/:id other 5xx 2 20",
      "a.example /users/:id DELETE 3xx 1 10",
    ]);
  });

  it("keeps the number of a site and a route", () => {
    const meters = new RequestMeters();
    const id = meters.idOf("default", "/");
    assert.notEqual(meters.idOf("default", "/a"), id);
    assert.equal(meters.idOf("default", "/"), id);
    assert.notEqual(meters.idOf("b", "/"), id);
  });

  it("has a meter for each method that it names", () => {
    const meters = new RequestMeters();
    for (const method of METHODS)
      meters.note(0, { method, status: 200, ms: 1, bytes: 0, nowMs: 5 });
    assert.deepEqual(
      [...meters.list()].map(({ method }) => method),
      METHODS,
    );
  });

  it("bounds its series, and counts further routes together", () => {
    const meters = new RequestMeters();
    const ids = new Set<number>();
    for (let number = 0; number < 60_000; number++) ids.add(meters.idOf("default", `/${number}`));
    assert.ok(ids.size <= 50_001, String(ids.size));
    const last = meters.idOf("default", "/more");
    meters.note(last, { method: "GET", status: 200, ms: 1, bytes: 1, nowMs: 5 });
    assert.deepEqual(list(meters), [" other GET 2xx 1 1"]);
  });

  it("ignores a number that it has not given", () => {
    const meters = new RequestMeters();
    meters.note(7, { method: "GET", status: 200, ms: 1, bytes: 1, nowMs: 5 });
    assert.deepEqual(list(meters), []);
  });
});
