import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WorkerId } from "../../runtime/channel/messages.ts";
import { RecentRequests } from "../../runtime/observe/recent-requests.ts";
import { FakeClient } from "../dispatch/fake-client.ts";

interface Request {
  target?: string;
  method?: string;
  fields?: string;
  worker?: number | null;
}

function note(recent: RecentRequests, request: Request, status = 200): void {
  const client = new FakeClient(1, { method: request.method ?? "GET" });
  client.head.target = request.target ?? "/";
  client.head.fields = request.fields ?? "host\na";
  // Ids are made in tests only here.
  client.workerId = request.worker === null ? null : ((request.worker ?? 1) as WorkerId);
  recent.note(client, status, 7);
}

describe("RecentRequests", () => {
  it("keeps the last requests, each target once, with its last answer", () => {
    const recent = new RecentRequests(2);
    for (const target of ["/a", "/b", "/a", "/c"]) note(recent, { target });
    note(recent, { target: "/a" }, 404);
    assert.deepEqual(
      recent.all.map(({ target, status }) => [target, status]),
      [
        ["/c", 200],
        ["/a", 404],
      ],
    );
    assert.deepEqual(recent.all[0], {
      origin: "http://localhost",
      target: "/c",
      status: 200,
      durationMs: 7,
    });
  });

  const leftOut: Record<string, [request: Request, status?: number]> = {
    "another method": [{ method: "HEAD" }],
    "a query": [{ target: "/a?token=1" }],
    "a cookie": [{ fields: "host\na\ncookie\nid=1" }],
    credentials: [{ fields: "authorization\nBearer x\nhost\na" }],
    "a part": [{ fields: "host\na\nrange\nbytes=0-1" }],
    "a request that no worker answered": [{ worker: null }],
    "a client that left": [{}, 499],
    "a target that is very long": [{ target: `/${"a".repeat(2000)}` }],
  };
  for (const [name, [request, status]] of Object.entries(leftOut)) {
    it(`leaves out ${name}`, () => {
      const recent = new RecentRequests(9);
      note(recent, request, status);
      assert.deepEqual(recent.all, []);
    });
  }

  it("does not mistake a value for a name", () => {
    const recent = new RecentRequests(9);
    note(recent, { fields: "host\na\nx-note\ncookie" });
    assert.equal(recent.all.length, 1);
  });
});
