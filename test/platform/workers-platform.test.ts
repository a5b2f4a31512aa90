import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  DurableObject,
  env,
  waitUntil,
  WorkerEntrypoint,
  WorkflowEntrypoint,
} from "../../runtime/platform/workers-module.ts";
import {
  adaptEntrypoint,
  provideWorkersPlatform,
} from "../../runtime/platform/workers-platform.ts";
import { readHandlerModule } from "../../runtime/worker/handler-shape.ts";

class Shop extends WorkerEntrypoint {
  #calls = 0;
  fetch(request: unknown): unknown {
    return [request, this.env, this.ctx, ++this.#calls];
  }
  scheduled(event: unknown): unknown {
    return [event, this.env, this.ctx, ++this.#calls];
  }
}
class Sale extends Shop {}

describe("adaptEntrypoint()", () => {
  it("creates an object for each call, with context and env", () => {
    for (const Class of [Shop, Sale]) {
      const app = adaptEntrypoint(Class);
      assert.ok(app !== null);
      assert.deepEqual(Object.keys(app), ["fetch", "scheduled"]);
      for (const name of ["fetch", "scheduled"]) {
        const call = Reflect.get(app, name) as (...values: unknown[]) => unknown;
        assert.deepEqual(call("first", "env", "context"), ["first", "env", "context", 1]);
        assert.deepEqual(call("second", "env", "context"), ["second", "env", "context", 1]);
      }
    }
  });

  it("leaves other values to the caller", () => {
    for (const value of [Map, () => {}, {}, null, undefined, "x", new Shop(1, 2)]) {
      assert.equal(adaptEntrypoint(value), null);
    }
  });

  it("makes a handler of the default export", () => {
    const shape = readHandlerModule({ default: Sale, config: { schedule: "0 3 * * *" } }, null);
    assert.ok(shape.ok);
    assert.equal(shape.module.any?.kind, "fetch");
    assert.equal(shape.module.scheduled?.schedules.length, 1);
    const empty = readHandlerModule({ default: class extends WorkerEntrypoint {} }, null);
    assert.ok(!empty.ok);
    assert.match(empty.problems[0]?.message ?? "", /default export is object \{\}.*fetch\(\)/);
  });
});

describe("cloudflare:workers", () => {
  it("needs a worker, and then shows its env without changing it", () => {
    assert.throws(() => Reflect.get(env, "A"), /no worker of Edgicorn/);
    assert.throws(() => waitUntil(Promise.resolve()), /no worker of Edgicorn/);
    const given: unknown[] = [];
    const own = Object.freeze({ A: "1" });
    provideWorkersPlatform({ env: own, waitUntil: (promise) => given.push(promise) });
    assert.deepEqual({ ...env }, { A: "1" });
    assert.deepEqual(["A" in env, "B" in env, Object.keys(env)], [true, false, ["A"]]);
    assert.equal(Reflect.set(env, "A", "2"), false);
    assert.equal(Reflect.deleteProperty(env, "A"), false);
    assert.equal(Reflect.defineProperty(env, "B", { value: 1 }), false);
    assert.equal(Reflect.get(env, "A"), "1");
    const work = Promise.resolve();
    waitUntil(work);
    assert.deepEqual(given, [work]);
  });

  it("has classes that nothing can create objects of", () => {
    assert.throws(() => new DurableObject(), /bindings\.md/);
    assert.throws(() => new WorkflowEntrypoint(), /no Workflows/);
    class Room extends DurableObject {}
    assert.throws(() => new Room(), TypeError);
  });
});
