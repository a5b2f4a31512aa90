import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type FailedRequest, RecentFailures } from "../../runtime/observe/recent-failures.ts";

function failed(requestId: string, other: Partial<FailedRequest> = {}): FailedRequest {
  return {
    requestId,
    series: 1,
    method: "GET",
    path: "/a",
    status: 500,
    limitedBy: null,
    upstream: null,
    workerId: 1,
    timeMs: 1_000,
    ...other,
  };
}

function list({ all }: RecentFailures): string[] {
  return all.map(
    ({ count, last, reason }) =>
      `${count} ${last.requestId} ${last.status} ${reason?.place ?? "-"}`,
  );
}

function reasons({ all }: RecentFailures): (string | null)[] {
  return all.map(({ reason }) => reason?.message ?? null);
}

describe("RecentFailures", () => {
  it("puts equal failures together, the newest first", () => {
    const failures = new RecentFailures();
    failures.note(failed("r1"));
    failures.note(failed("r2", { status: 503, limitedBy: "queueLimit" }));
    failures.note(failed("r3"));
    failures.note(failed("r4", { series: 2 }));
    failures.note(failed("r5", { method: "POST" }));
    failures.note(failed("r6", { status: 503, limitedBy: "queueTimeout" }));
    failures.note(failed("r7", { status: 502, upstream: "http://a" }));
    assert.deepEqual(list(failures), [
      "1 r7 502 -",
      "1 r6 503 -",
      "1 r5 500 -",
      "1 r4 500 -",
      "2 r3 500 -",
      "1 r2 503 -",
    ]);
  });

  it("names runs of scheduled() and queue() apart from methods of clients", () => {
    const failures = new RecentFailures();
    for (const method of ["@scheduled", "@queue", "PROPFIND", "GET"]) {
      failures.note(failed(method, { method }));
    }
    const methods = failures.all.map(({ last }) => last.method);
    assert.deepEqual(methods, ["GET", "other", "queue()", "scheduled()"]);
  });

  it("keeps a failure while clients make up methods", () => {
    const failures = new RecentFailures();
    failures.note(failed("r1", { status: 502 }));
    for (let at = 0; at < 200; at++) failures.note(failed(`m${at}`, { method: `M${at}` }));
    assert.deepEqual(list(failures), ["200 m199 500 -", "1 r1 502 -"]);
    assert.equal(failures.all[0]?.last.method, "other");
  });

  it("tells places apart, and counts failures without a reason to the newest place", () => {
    const failures = new RecentFailures();
    const explain = (requestId: string, place: string): void =>
      failures.explain({ requestId, place, handler: "handlers/a.ts", message: "Error: no" });
    explain("r1", "handlers/a.ts:1");
    failures.note(failed("r1"));
    failures.note(failed("r2"));
    explain("r3", "handlers/a.ts:9");
    failures.note(failed("r3"));
    failures.note(failed("r4"));
    assert.deepEqual(list(failures), ["2 r4 500 handlers/a.ts:9", "2 r2 500 handlers/a.ts:1"]);
  });

  it("keeps few groups, few reasons and short paths in a flood", () => {
    const failures = new RecentFailures();
    for (let number = 0; number < 500; number++) {
      failures.explain({ requestId: `other-${number}`, place: null, handler: "h", message: "m" });
      failures.note(failed(`r${number}`, { series: number, path: "/".repeat(5_000) }));
    }
    assert.equal(failures.all.length, 50);
    assert.ok(failures.all.every(({ last }) => last.path.length === 200));
    // The reason of the first one is gone: a group of its own begins.
    failures.note(failed("other-0"));
    assert.deepEqual(reasons(failures)[0], null);
    failures.note(failed("other-499"));
    assert.deepEqual(reasons(failures)[0], "m");
  });
});
