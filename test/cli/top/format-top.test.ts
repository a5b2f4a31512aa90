import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { formatTop, type TopOptions } from "../../../runtime/cli/top/format-top.ts";
import { describeKeys, FIRST_ORDER, reorder } from "../../../runtime/cli/top/order.ts";
import { lookOnce } from "../../../runtime/live/live-feed.ts";
import type { LiveSnapshot } from "../../../runtime/live/snapshot.ts";
import { createFacts } from "../../metrics/sample-facts.ts";

const ESCAPE = "\u001b";

const PLAIN: TopOptions = {
  columns: 80,
  rows: null,
  order: FIRST_ORDER,
  color: false,
  footer: null,
};

/** A server with as many workers, routes and failures. */
function createSnapshot({ workers = 2, routes = 3, failures = 1 } = {}): LiveSnapshot {
  const snapshot = lookOnce(createFacts(), 1_000, Date.parse("2026-06-01T00:00:00Z"));
  const [worker] = snapshot.workers;
  const [route] = snapshot.routes;
  assert.ok(worker !== undefined && route !== undefined);
  const oldest = {
    requestId: "r-1",
    method: "GET",
    route: `/a/${"long/".repeat(40)}`,
    path: "/a",
    state: "waiting",
    ageMs: 12_000,
  } as const;
  return {
    ...snapshot,
    workers: Array.from({ length: workers }, (_, at) => ({
      ...worker,
      id: at + 1,
      rssBytes: (at + 1) * 1e6,
      oldest: at === 0 ? null : { ...oldest, ageMs: at * 1_000 },
    })),
    routes: Array.from({ length: routes }, (_, at) => ({
      ...route,
      site: "default",
      route: `/route-${at}`,
      perSecond: routes - at,
      failures: at,
    })),
    failures: Array.from({ length: failures }, (_, at) => ({
      count: 3,
      lastMs: 4_000,
      site: "default",
      route: "/fails",
      method: "GET",
      path: "/fails",
      status: 500,
      limitedBy: null,
      upstream: null,
      worker: 1,
      requestId: `r-${at}`,
      message: `TypeError: no\n${ESCAPE}[31m${"x".repeat(300)}`,
      handler: "handlers/fails.ts",
      place: "handlers/fails.ts:12",
    })),
  };
}

/** Returns the first words of the lines below a head, up to a blank line. */
function wordsBelow(lines: readonly string[], head: string): string[] {
  const from = lines.findIndex((line) => line.trimStart().startsWith(head)) + 1;
  const below = lines.slice(from);
  const end = below.indexOf("");
  return below
    .slice(0, end === -1 ? undefined : end)
    .map((line) => line.trim().split(/\s+/)[0] ?? "");
}

/** Returns the lines after some keys. */
function show(keys: string): string[] {
  const order = Array.from(keys).reduce(reorder, FIRST_ORDER);
  return formatTop(createSnapshot({ workers: 3 }), { ...PLAIN, order });
}

describe("formatTop()", () => {
  it("names problems, workers with their oldest request, routes and failures", () => {
    const text = formatTop(createSnapshot(), { ...PLAIN, columns: 160 }).join("\n");
    assert.match(text, /^edgicorn 0\.1\.0, production, serving, pid 1, up \d+ d, generation g1$/m);
    assert.match(text, /^warning: \d+ log lines were lost$/m);
    assert.match(text, /^ +1 +default +ready +idle +– +1 +– +977 KB +50 % +2 ms/m);
    assert.match(text, /^ +2 +default +ready +GET \/a\/long.*… +1 s /m);
    assert.match(text, /^\/route-0 +3 /m);
    assert.match(
      text,
      /^ +4 s +3 +500 +GET \/fails +TypeError: no··\[31mxxx.*… +handlers\/fails\.ts:12$/m,
    );
  });

  it("fits any terminal, and fills it", () => {
    fc.assert(
      fc.property(
        fc.record({
          columns: fc.integer({ min: 20, max: 220 }),
          rows: fc.integer({ min: 6, max: 70 }),
          workers: fc.integer({ min: 0, max: 90 }),
          routes: fc.integer({ min: 0, max: 160 }),
          failures: fc.integer({ min: 0, max: 20 }),
        }),
        ({ columns, rows, ...counts }) => {
          const snapshot = createSnapshot(counts);
          const footer = describeKeys(FIRST_ORDER, columns);
          const lines = formatTop(snapshot, { ...PLAIN, columns, rows, footer });
          assert.equal(lines.length, rows);
          for (const line of lines) assert.ok(Array.from(line).length <= columns, line);
          assert.ok(lines.at(-1)?.startsWith("q quit"));
          const colored = formatTop(snapshot, { ...PLAIN, columns, rows, footer, color: true });
          const codes = new RegExp(`${ESCAPE}\\[\\d+m`, "g");
          assert.deepEqual(
            colored.map((line) => line.replaceAll(codes, "").trimEnd()),
            lines.map((line) => line.trimEnd()),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it("says how many rows it leaves out", () => {
    const lines = formatTop(createSnapshot({ workers: 40, routes: 40 }), { ...PLAIN, rows: 24 });
    const [workers] = lines.filter((line) => line.endsWith("more workers"));
    const [routes] = lines.filter((line) => line.endsWith("more routes"));
    const shownWorkers = lines.filter((line) => /^ +\d+ +default/.test(line)).length;
    const shownRoutes = lines.filter((line) => line.startsWith("/route-")).length;
    assert.equal(workers, `and ${40 - shownWorkers} more workers`);
    assert.equal(routes, `and ${40 - shownRoutes} more routes`);
    assert.ok(shownWorkers > 0 && shownRoutes > 0);
  });

  it("sorts by the key that was pressed last", () => {
    assert.deepEqual(wordsBelow(show(""), "worker"), ["1", "2", "3"]);
    assert.deepEqual(wordsBelow(show("a"), "worker"), ["3", "2", "1"]);
    assert.deepEqual(wordsBelow(show("am"), "worker"), ["3", "2", "1"]);
    assert.deepEqual(wordsBelow(show("mw"), "worker"), ["1", "2", "3"]);
    assert.deepEqual(wordsBelow(show(""), "route"), ["/route-0", "/route-1", "/route-2"]);
    assert.deepEqual(wordsBelow(show("f"), "route"), ["/route-2", "/route-1", "/route-0"]);
    assert.deepEqual(wordsBelow(show("fn"), "route"), ["/route-0", "/route-1", "/route-2"]);
    assert.deepEqual(reorder(FIRST_ORDER, "constructor"), FIRST_ORDER);
  });
});
