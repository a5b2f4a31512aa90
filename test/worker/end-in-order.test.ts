import assert from "node:assert/strict";
import { describe, it } from "node:test";
import pino from "pino";
import { BackgroundWork } from "../../runtime/worker/background-work.ts";
import { type EndingParts, endInOrder } from "../../runtime/worker/end-in-order.ts";
import type { Grace } from "../../runtime/worker/grace.ts";

const NEVER = new Promise<never>(() => {});

/** A grace that is over for all promises that have not settled yet. */
const SHORT: Pick<Grace, "leftMs" | "totalMs" | "outlasts"> = {
  leftMs: 100,
  totalMs: 1_000,
  outlasts: (promise) =>
    Promise.race([promise.then(() => true), new Promise<false>((end) => setImmediate(end, false))]),
};

interface Ending {
  /** Steps and log lines, in order. */
  steps: string[];
  lines: Record<string, unknown>[];
  run: (parts?: Partial<EndingParts>) => Promise<void>;
}

function createEnding(): Ending {
  const steps: string[] = [];
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => {
    const parsed = JSON.parse(line) as Record<string, unknown>;
    lines.push(parsed);
    steps.push(String(parsed["msg"]));
  };
  const step = (name: string) => (): Promise<void> => {
    steps.push(name);
    return Promise.resolve();
  };
  const parts: EndingParts = {
    exchanges: { idle: step("exchanges") },
    sockets: { idle: step("sockets"), busy: 0 },
    background: new BackgroundWork(),
    lifecycle: { dispose: step("dispose") },
    bindings: { close: step("bindings") },
    log: pino({}, { write }),
    onDispose: () => {},
  };
  // The ending calls nothing else of it.
  const run = (own: Partial<EndingParts> = {}): Promise<void> =>
    endInOrder({ ...parts, ...own }, SHORT as Grace);
  return { steps, lines, run };
}

describe("endInOrder()", () => {
  it("ends requests and WebSockets first, then the code, then the stores, and logs nothing", async () => {
    const { steps, run } = createEnding();
    await run();
    assert.deepEqual(steps, ["exchanges", "sockets", "dispose", "bindings"]);
  });

  it("names the routes whose background work it cuts off, and goes on", async () => {
    const background = new BackgroundWork();
    for (const route of ["/slow", "/slow", "/other", "/quick", ""]) {
      const work = route === "/quick" ? Promise.resolve() : NEVER;
      background.add(work, { route, onFailure: failTest });
    }
    const { steps, lines, run } = createEnding();
    await run({ background });
    const text = "waitUntil() promises cut off: they have not settled within the grace";
    assert.deepEqual(steps, ["exchanges", "sockets", text, "dispose", "bindings"]);
    const [{ level, promises, routes, graceMs } = {}] = lines;
    assert.deepEqual([level, promises, graceMs], [50, 4, 1_000]);
    assert.deepEqual(routes, { "/slow": 2, "/other": 1, "": 1 });
  });

  it("cuts off WebSockets and stores that do not end, and survives stores that fail", async () => {
    const { steps, lines, run } = createEnding();
    const sockets = { idle: () => NEVER, busy: 3 };
    await run({ sockets, bindings: { close: () => NEVER } });
    assert.deepEqual(steps, [
      "exchanges",
      "WebSockets cut off: they have not ended within the grace",
      "dispose",
      "a store of bindings has not closed within the grace",
    ]);
    assert.equal(lines[0]?.["pending"], 3);
    const failing = createEnding();
    await failing.run({ bindings: { close: () => Promise.reject(new Error("full disk")) } });
    assert.deepEqual(failing.steps.slice(-2), ["dispose", "a store of bindings did not close"]);
  });
});

function failTest(): never {
  assert.fail("no promise is rejected");
}
