import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { ExchangeEnd, FinishedExchange } from "../../runtime/log/access-entry.ts";
import { type AccessLog, createAccessLog } from "../../runtime/log/access-log.ts";
import { MOST_CHARACTERS } from "../../runtime/log/access-line.ts";
import { createFormattedLine } from "../../runtime/log/format-line.ts";
import { fakeDestination } from "../helpers/fake-destination.ts";
import { FEW_PARTS, finishedExchange } from "../helpers/finished-exchange.ts";

const end: ExchangeEnd = { status: 200, bytes: 0, nowMs: 1, timeMs: 0 };

function writeTo(log: AccessLog, exchange: FinishedExchange = finishedExchange()): void {
  log.lines({ rules: FEW_PARTS, requestIdPrefix: "a-" })(exchange, end);
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
    writeTo(log, finishedExchange({ target: "/" }));
    t.mock.timers.tick(60);
    writeTo(log, finishedExchange({ target: "/second" }));
    assert.deepEqual(destination.writes, []);
    t.mock.timers.tick(40);
    assert.equal(destination.writes.length, 1);
    assert.match(destination.writes[0] ?? "", /^\{.*"\/".*\}\n\{.*"\/second".*\}\n$/);
    t.mock.timers.tick(1000);
    assert.equal(destination.writes.length, 1);
  });

  it("writes lines of a format, with characters outside of ASCII and of any length", (t) => {
    mockTime(t);
    const destination = fakeDestination();
    const format = createFormattedLine("€ $uri", (text) => text);
    const log = createAccessLog(destination, { pretty: false, color: false, format });
    const targets = ["/a", `/${"b".repeat(9000)}`, "/c"];
    for (const target of targets) writeTo(log, finishedExchange({ target }));
    log.close();
    const lines = ["€ /a", `€ /${"b".repeat(MOST_CHARACTERS - 1)}...`, "€ /c", ""];
    assert.deepEqual(destination.writes.join("").split("\n"), lines);
  });

  it("writes the rest when closed, and nothing after", (t) => {
    mockTime(t);
    for (const pretty of [true, false]) {
      const destination = fakeDestination();
      const before = process.listenerCount("exit");
      const log = createAccessLog(destination, { pretty, color: false });
      writeTo(log);
      log.close();
      log.close();
      writeTo(log);
      t.mock.timers.tick(1000);
      assert.equal(destination.writes.length, 1);
      assert.equal(process.listenerCount("exit"), before);
    }
  });
});
