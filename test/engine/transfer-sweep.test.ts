import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import type { ExchangeId } from "../../runtime/channel/messages.ts";
import { type Transferring, TransferSweep } from "../../runtime/engine/transfer-sweep.ts";

/** Notes when it is looked at, in milliseconds since the beginning, and when the library is told as well. */
class Client implements Transferring {
  readonly id: ExchangeId;
  readonly checks: number[] = [];
  readonly keepAlives: number[] = [];

  constructor(id: number) {
    // Tests are the only makers of ids here.
    this.id = id as ExchangeId;
  }

  check(nowMs: number, { keepAlive }: { keepAlive: boolean }): void {
    this.checks.push(nowMs);
    if (keepAlive) this.keepAlives.push(nowMs);
  }

  cutOff(): void {
    throw new Error("not expected");
  }
}

function refuse(error: unknown): never {
  throw error;
}

/** @param options.stepMs How long a turn of the loop takes. */
function mockTime(t: TestContext): { run: (ms: number, options: { stepMs: number }) => void } {
  let nowMs = 0;
  t.mock.method(performance, "now", () => nowMs);
  t.mock.timers.enable({ apis: ["setInterval"] });
  return {
    run(ms, { stepMs }) {
      for (const endMs = nowMs + ms; nowMs < endMs;) {
        nowMs += stepMs;
        // Of the intervals that a long turn has missed the loop makes one.
        t.mock.timers.tick(10);
      }
    },
  };
}

function pausesBetween(times: readonly number[]): number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? 0));
}

describe("TransferSweep", () => {
  for (const stepMs of [10, 35, 500]) {
    it(`looks at each client once a second, and every 4 s for the library, in turns of ${stepMs} ms`, (t) => {
      const time = mockTime(t);
      const sweep = new TransferSweep<Client>(refuse);
      const clients = Array.from({ length: 250 }, (_, id) => new Client(id));
      for (const client of clients) sweep.add(client);
      time.run(20_000, { stepMs });
      for (const { checks, keepAlives } of clients) {
        assert.ok(checks.length >= 19, `${checks.length} in 20 s`);
        assert.ok(Math.max(...pausesBetween(checks)) <= 1_000 + 2 * stepMs);
        assert.ok(Math.max(...pausesBetween([0, ...keepAlives, 20_000])) <= 4_000 + 2 * stepMs);
      }
    });
  }

  it("does not look at many of them in one turn", (t) => {
    const time = mockTime(t);
    const sweep = new TransferSweep<Client>(refuse);
    const clients = Array.from({ length: 1_000 }, (_, id) => new Client(id));
    for (const client of clients) sweep.add(client);
    time.run(1_000, { stepMs: 10 });
    const times = clients.flatMap(({ checks }) => checks);
    for (const now of new Set(times)) {
      assert.ok(times.filter((other) => other === now).length <= 10);
    }
  });

  it("looks at a client four times at most for all that it missed while the process stood still", (t) => {
    const time = mockTime(t);
    const sweep = new TransferSweep<Client>(refuse);
    const client = new Client(7);
    sweep.add(client);
    time.run(3_600_000, { stepMs: 3_600_000 });
    assert.deepEqual([client.checks.length, client.keepAlives.length], [4, 1]);
  });

  it("gives up a client whose check throws, says so once, and goes on with the others", (t) => {
    const time = mockTime(t);
    const errors: unknown[] = [];
    const sweep = new TransferSweep<Client>((error) => errors.push(error));
    // All in one group, the second without a connection to close.
    const clients = [0, 100, 200].map((id) => new Client(id));
    const [bad, worse, good] = clients;
    assert.ok(bad !== undefined && worse !== undefined && good !== undefined);
    for (const client of [bad, worse]) {
      t.mock.method(client, "check", () => {
        throw new Error(`check ${client.id}`);
      });
    }
    const cut = t.mock.method(bad, "cutOff", () => {});
    for (const client of clients) sweep.add(client);
    time.run(10_000, { stepMs: 10 });
    assert.deepEqual(
      errors.map((error) => error instanceof Error && error.message),
      ["check 0", "check 100", "not expected"],
    );
    assert.equal(cut.mock.callCount(), 1);
    assert.ok(good.checks.length >= 9, `${good.checks.length} in 10 s`);
    assert.deepEqual(sweep.stop(), [good]);
  });

  it("wakes nobody while there is none, and begins again with the next", (t) => {
    const time = mockTime(t);
    const intervals = t.mock.method(globalThis, "setInterval");
    const ends = t.mock.method(globalThis, "clearInterval");
    const running = (): number => intervals.mock.callCount() - ends.mock.callCount();
    const sweep = new TransferSweep<Client>(refuse);
    assert.equal(running(), 0);
    const first = new Client(1);
    sweep.add(first);
    sweep.add(new Client(2));
    assert.equal(running(), 1);
    sweep.delete(first);
    time.run(5_000, { stepMs: 10 });
    assert.equal(running(), 1);
    sweep.delete(new Client(2));
    time.run(1_000, { stepMs: 10 });
    assert.equal(running(), 0);
    const next = new Client(3);
    sweep.add(next);
    time.run(1_000, { stepMs: 10 });
    assert.deepEqual([running(), next.checks.length], [1, 1]);
    assert.deepEqual(sweep.stop(), [next]);
    assert.equal(running(), 0);
  });
});
