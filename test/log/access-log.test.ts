import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { AccessEntry } from "../../runtime/log/access-line.ts";
import { createAccessLog } from "../../runtime/log/access-log.ts";
import type { LogDestination } from "../../runtime/log/destination.ts";

const entry: AccessEntry = {
  clientAddress: "192.0.2.1",
  scheme: "http",
  host: "localhost",
  method: "GET",
  path: "/",
  query: undefined,
  status: 200,
  bytes: 0,
  durationMs: 1,
  worker: 0,
  limit: undefined,
  requestId: "a",
  referer: undefined,
  userAgent: undefined,
  traceparent: undefined,
  fields: "",
};

function fakeDestination(atomicBytes = 4096): LogDestination & { writes: string[] } {
  const writes: string[] = [];
  return {
    writes,
    atomicBytes,
    droppedLines: 0,
    onLost: null,
    write: (lines) => void writes.push(lines),
    reopen: () => {},
    flushSync: () => {},
    close: async () => {},
  };
}

function mockTime(t: TestContext): void {
  t.mock.timers.enable({ apis: ["setTimeout", "Date"], now: 0 });
}

describe("createAccessLog()", () => {
  it("writes lines in batches of 100 ms", (t) => {
    mockTime(t);
    const destination = fakeDestination();
    const log = createAccessLog(destination, { pretty: false, color: false });
    t.after(() => log.close());
    log.line(entry);
    t.mock.timers.tick(60);
    log.line({ ...entry, path: "/second" });
    assert.deepEqual(destination.writes, []);
    t.mock.timers.tick(40);
    assert.equal(destination.writes.length, 1);
    assert.match(destination.writes[0] ?? "", /^\{.*"\/".*\}\n\{.*"\/second".*\}\n$/);
    t.mock.timers.tick(1000);
    assert.equal(destination.writes.length, 1);
  });

  it("never makes a batch of several lines larger than an atomic write", (t) => {
    mockTime(t);
    const destination = fakeDestination(1000);
    const log = createAccessLog(destination, { pretty: false, color: false });
    for (let index = 0; index < 100; index++) log.line({ ...entry, path: "/é".repeat(index % 30) });
    log.close();
    let lines = 0;
    for (const batch of destination.writes) {
      const here = batch.trimEnd().split("\n").length;
      assert.ok(batch.endsWith("}\n"));
      assert.ok(Buffer.byteLength(batch) <= 1000 || here === 1);
      lines += here;
    }
    assert.equal(lines, 100);
  });

  it("writes the rest when closed, and nothing after", (t) => {
    mockTime(t);
    const destination = fakeDestination();
    const before = process.listenerCount("exit");
    const log = createAccessLog(destination, { pretty: true, color: false });
    log.line(entry);
    log.close();
    log.close();
    log.line(entry);
    t.mock.timers.tick(1000);
    assert.equal(destination.writes.length, 1);
    assert.equal(process.listenerCount("exit"), before);
  });
});
