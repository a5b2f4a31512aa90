import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import {
  CloseEvent,
  ErrorEvent,
  PromiseRejectionEvent,
} from "../../runtime/platform/event-classes.ts";
import { GlobalEvents } from "../../runtime/platform/global-events.ts";

function create(t: TestContext): { events: GlobalEvents; reports: unknown[] } {
  const reports: unknown[] = [];
  const before = new Set(process.listeners("rejectionHandled"));
  t.after(() => {
    for (const own of process.listeners("rejectionHandled")) {
      if (!before.has(own)) process.removeListener("rejectionHandled", own);
    }
  });
  return { events: new GlobalEvents({ onReport: (error) => reports.push(error) }), reports };
}

describe("GlobalEvents", () => {
  it("reports an error that no listener prevents", (t) => {
    const { events, reports } = create(t);
    events.reportError(1);
    const seen: unknown[] = [];
    events.addEventListener("error", (event: ErrorEvent) => seen.push(event.error));
    events.reportError(2);
    events.addEventListener("error", (event: ErrorEvent) => event.preventDefault());
    events.reportError(3);
    assert.deepEqual(
      [seen, reports],
      [
        [2, 3],
        [1, 2],
      ],
    );
  });

  it("reports the error of a listener for errors once", (t) => {
    const { events, reports } = create(t);
    const own = new Error("listener");
    events.addEventListener("error", () => {
      throw own;
    });
    events.reportError("first");
    assert.deepEqual(reports, [own, "first"]);
  });

  it("only logs the rejection of a listener for errors or rejections", async (t) => {
    const { events, reports } = create(t);
    let calls = 0;
    const fail = async (): Promise<void> => {
      // A listener that is called for its own failure would go on for ever, and the test with it.
      if (++calls <= 10) throw new Error("listener");
    };
    const rejections: unknown[] = [];
    const onRejection = (reason: unknown): void => void rejections.push(reason);
    process.on("unhandledRejection", onRejection);
    t.after(() => process.removeListener("unhandledRejection", onRejection));
    events.addEventListener("error", fail);
    events.setHandler("error", fail);
    events.addEventListener("unhandledrejection", fail);
    events.setHandler("unhandledrejection", fail);
    events.reportError("first");
    assert.equal(events.onRejection("second", Promise.resolve()), false);
    await new Promise(setImmediate);
    assert.deepEqual([calls, rejections], [4, []]);
    assert.deepEqual(reports.map(String), ["first", ...Array<string>(4).fill("Error: listener")]);
  });

  it("tells the listeners for errors of the failure of another listener", async (t) => {
    const { events, reports } = create(t);
    const seen: unknown[] = [];
    events.addEventListener("error", (event: ErrorEvent) => seen.push(event.error));
    events.addEventListener("own", () => Promise.reject(new Error("late")));
    events.dispatchEvent(new Event("own"));
    await new Promise(setImmediate);
    assert.deepEqual([seen.map(String), reports.map(String)], [["Error: late"], ["Error: late"]]);
  });

  it("names the message and the place of an error", (t) => {
    const { events } = create(t);
    const seen: ErrorEvent[] = [];
    events.addEventListener("error", (event: ErrorEvent) => seen.push(event));
    events.reportError(new RangeError("too far"));
    const { message = "", filename = "", lineno = 0, colno = 0 } = seen[0] ?? {};
    assert.equal(message, "Uncaught RangeError: too far");
    assert.match(filename, /global-events\.test\.ts$/);
    assert.ok(lineno > 0 && colno > 0);
  });

  it("calls onerror with five values, and true prevents", (t) => {
    const { events, reports } = create(t);
    const seen: unknown[][] = [];
    const handler = (...values: unknown[]): boolean => seen.push(values) === 1;
    events.setHandler("error", handler);
    assert.equal(events.handlerOf("error"), handler);
    events.reportError("a");
    events.reportError("b");
    events.setHandler("error", null);
    events.reportError("c");
    assert.equal(events.handlerOf("error"), null);
    assert.deepEqual(seen, [
      ["a", "", 0, 0, "a"],
      ["b", "", 0, 0, "b"],
    ]);
    assert.deepEqual(reports, ["b", "c"]);
  });

  it("tells of rejections, and of those that get a handler later", async (t) => {
    const { events } = create(t);
    const promise = Promise.resolve();
    assert.equal(events.onRejection("unseen", promise), false);
    const seen: unknown[] = [];
    events.addEventListener("rejectionhandled", (event: PromiseRejectionEvent) =>
      seen.push([event.type, event.reason, event.promise === promise]),
    );
    events.setHandler("unhandledrejection", (event: PromiseRejectionEvent) => {
      seen.push([event.type, event.reason, event.promise === promise]);
      return event.reason === "allowed";
    });
    assert.equal(events.onRejection("allowed", promise), false);
    assert.equal(events.onRejection("prevented", promise), true);
    process.emit("rejectionHandled", promise);
    assert.deepEqual(seen, [
      ["unhandledrejection", "allowed", true],
      ["unhandledrejection", "prevented", true],
      ["rejectionhandled", "prevented", true],
    ]);
  });

  it("refuses events that modules receive by an export", (t) => {
    const { events } = create(t);
    for (const type of ["fetch", "scheduled"]) {
      assert.throws(() => events.addEventListener(type, () => {}), {
        name: "TypeError",
        message: new RegExp(`"${type}".*export default`),
      });
    }
  });
});

describe("the classes of events", () => {
  it("convert as Web IDL does", () => {
    const { lineno, colno, message, filename, error } = new ErrorEvent("error", { lineno: -1 });
    assert.deepEqual(
      [lineno, colno, message, filename, error],
      [2 ** 32 - 1, 0, "", "", undefined],
    );
    const { code, reason, wasClean } = new CloseEvent("close", { code: 65_536 + 1000 });
    assert.deepEqual([code, reason, wasClean], [1000, "", false]);
    assert.equal(new CloseEvent("close")[Symbol.toStringTag], "CloseEvent");
    assert.throws(() => Reflect.construct(PromiseRejectionEvent, ["x"]), TypeError);
    assert.throws(() => Reflect.construct(PromiseRejectionEvent, ["x", {}]), TypeError);
  });
});
