import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it } from "node:test";
import pino from "pino";
import type { ExchangeId } from "../../runtime/channel/messages.ts";
import { BackgroundWork } from "../../runtime/worker/background-work.ts";
import { ExchangeContext, toEnv, type ExchangeFacts } from "../../runtime/worker/context.ts";

function createContext(facts: Partial<ExchangeFacts> = {}, trustsRequestIds = false) {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as never);
  const background = new BackgroundWork();
  const purges: unknown[][] = [];
  const scope = {
    env: toEnv({ A: "1" }),
    log: pino({}, { write }),
    requestIdPrefix: "p-",
    trustsRequestIds,
    background,
    purges: { purge: (...call: unknown[]) => Promise.resolve(purges.push(call)) },
    passed: { ask: (id: ExchangeId) => Promise.resolve(id === 36) },
    sockets: { accept: () => {}, publish: (...call: unknown[]) => void purges.push(call) },
  };
  const context = new ExchangeContext(scope, {
    id: 36 as ExchangeId,
    pattern: "/users/:id",
    route: 3,
    params: { id: "7" },
    clientAddress: "192.0.2.1",
    fields: "host\na\nx-request-id\nof-the-proxy",
    deadline: 5,
    ...facts,
  });
  return { context, background, lines, purges };
}

describe("ExchangeContext", () => {
  it("tells what is known of the exchange", () => {
    const { context } = createContext();
    const { params, clientAddress, deadline, requestId, env, props } = context;
    assert.equal(params["id"], "7");
    assert.deepEqual([clientAddress, deadline, requestId], ["192.0.2.1", 5, "p-10"]);
    assert.equal(env["A"], "1");
    assert.deepEqual(props, {});
    assert.equal(context.params, params);
  });

  it("has the request id of a trusted proxy only where the server trusts one", () => {
    assert.equal(createContext({}, true).context.requestId, "of-the-proxy");
    for (const fields of ["host\na", "a\nx-request-id\nb\nc", "x-request-ids\nc"]) {
      assert.equal(createContext({ fields }, true).context.requestId, "p-10", fields);
    }
  });

  it("has no parameters but those of the route, not even inherited ones", () => {
    assert.equal(createContext().context.params["constructor"], undefined);
    const { params } = createContext({ params: null }).context;
    assert.equal(params["toString"], undefined);
    assert.ok(Object.isFrozen(params));
  });

  it("purges for its own route, also without the context as this", async () => {
    const { context, purges } = createContext();
    const { purge } = context;
    assert.equal(await purge("tag:news"), 1);
    assert.deepEqual(purges, [[3, "tag:news"]]);
  });

  it("logs with request id and route", () => {
    const { context, lines } = createContext();
    context.log.info("hi");
    assert.equal(context.log, context.log);
    assert.deepEqual(
      [lines[0]?.["requestId"], lines[0]?.["route"], lines[0]?.["msg"]],
      ["p-10", "/users/:id", "hi"],
    );
  });

  it("asks to pass a request on only after the handler has called for it", async () => {
    const { context } = createContext();
    assert.equal(ExchangeContext.passOn(context), null);
    const { passThroughOnException } = context;
    passThroughOnException();
    assert.equal(await ExchangeContext.passOn(context), true);
    assert.equal(ExchangeContext.passOn(context), null, "once for a request");
  });

  it("follows promises with a waitUntil() that was taken off it", async () => {
    const { context, background, lines } = createContext();
    const { waitUntil } = context;
    const gate = new EventEmitter();
    waitUntil(once(gate, "open"));
    waitUntil(Promise.reject(new Error("late")));
    assert.equal(background.inFlight, 2);
    gate.emit("open");
    await background.settled();
    assert.deepEqual([background.inFlight, background.failures], [0, 1]);
    assert.equal(lines[0]?.["msg"], "waitUntil() promise was rejected");
  });
});

describe("BackgroundWork", () => {
  it("is settled when nothing runs, and not before what is added meanwhile", async () => {
    const background = new BackgroundWork();
    await background.settled();
    const order: string[] = [];
    const later = async (): Promise<void> => {
      await new Promise(setImmediate);
      order.push("second");
    };
    const first = async (): Promise<void> => {
      await Promise.resolve();
      order.push("first");
      background.add(later(), WORK);
    };
    background.add(first(), WORK);
    await background.settled();
    assert.deepEqual(order, ["first", "second"]);
  });

  it("takes values that are no promises", async () => {
    const background = new BackgroundWork();
    background.add(5, WORK);
    await background.settled();
    assert.equal(background.inFlight, 0);
  });
});

const WORK = {
  route: "/",
  onFailure: (reason: unknown): void => assert.fail(String(reason)),
};

describe("toEnv()", () => {
  it("is a frozen copy", () => {
    const variables = { A: "1" };
    const env = toEnv(variables);
    variables.A = "2";
    assert.equal(env["A"], "1");
    assert.ok(Object.isFrozen(env));
    assert.equal(env["constructor"], undefined);
  });
});
