import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { setImmediate as nextTurn } from "node:timers/promises";
import { describe, it } from "node:test";
import {
  BODY_FOLLOWS,
  type ExchangeId,
  Kind,
  type ToPrimary,
} from "../../runtime/channel/messages.ts";
import { installWebObjects } from "../../runtime/web/install.ts";
import type { Fetcher } from "../../runtime/api.ts";
import type { Running } from "../../runtime/worker/running.ts";
import { ServiceCalls } from "../../runtime/worker/service-calls.ts";

installWebObjects();

describe("ServiceCalls", () => {
  it("drops the oldest of many answers that are not read, and goes on", async () => {
    const sent: ToPrimary[] = [];
    const calls = new ServiceCalls({ send: (message) => sent.push(message) > 0 });
    const api = calls.createFetcher({ name: "API", use: "service", site: "default" });
    const responses: Response[] = [];
    for (let number = 1; number <= 2_000; number++) {
      const response = api.fetch("/a");
      calls.receive([Kind.callAnswer, number, [200, "", ""], BODY_FOLLOWS]);
      responses.push(await response);
    }
    const cancelled = sent.filter(([kind]) => kind === Kind.callCancel).length;
    assert.equal(cancelled, 2_000 - 256);
    await assert.rejects(responses[0]?.text() ?? assert.fail(), /256 newer answers/);
    const last = responses.at(-1)?.text();
    calls.receive([Kind.callChunk, 2_000, Buffer.from("whole")]);
    calls.receive([Kind.callEnd, 2_000, true]);
    assert.equal(await last, "whole");
  });

  it("ends an answer of which nothing was read for long, and none that is being read", async () => {
    const sent: ToPrimary[] = [];
    let cancelled: (() => void) | null = null;
    const untilCancelled = new Promise<void>((resolve) => (cancelled = resolve));
    const send = (message: ToPrimary): boolean => {
      sent.push(message);
      if (message[0] === Kind.callCancel) cancelled?.();
      return true;
    };
    const calls = new ServiceCalls({ send }, { unreadMs: 5 });
    const api = calls.createFetcher({ name: "API", use: "service", site: "default" });
    const responses: Response[] = [];
    for (const number of [1, 2]) {
      const response = api.fetch("/a");
      calls.receive([Kind.callAnswer, number, [200, "", ""], BODY_FOLLOWS]);
      responses.push(await response);
      // The first one waits for its first byte.
      if (number === 1) void responses[0]?.body?.getReader().read();
    }
    // The timer of the answers does not keep this process alive.
    const alive = setInterval(() => {}, 1_000);
    await untilCancelled;
    clearInterval(alive);
    assert.deepEqual(
      sent.filter(([kind]) => kind === Kind.callCancel),
      [[Kind.callCancel, 2]],
    );
    await assert.rejects(responses[1]?.text() ?? assert.fail(), /no byte was read for 5 ms/);
  });

  it("rejects with the reason of the primary", async () => {
    const calls = new ServiceCalls({ send: () => true });
    const api = calls.createFetcher({ name: "API", use: "service", site: "default" });
    const answer = api.fetch("/a");
    calls.receive([Kind.callAnswer, 1, null, "Cannot call: as told"]);
    await assert.rejects(answer, /as told/);
  });

  const unfit: [string, CallHead, CallBody][] = [
    ["a field name that is no token", [200, "", "bad name\nx"], null],
    ["a field value with a NUL", [200, "", "x-a\na\u0000b"], Buffer.from("a")],
    ["a body where none may be", [205, "", ""], Buffer.from("a")],
    ["a stream where none may be", [205, "", ""], BODY_FOLLOWS],
    ["a status that is none", [999, "", ""], null],
  ];
  for (const [name, head, body] of unfit) {
    it(`rejects an answer with ${name}, and goes on`, async () => {
      const { calls, api, sent } = start();
      const answer = api.fetch("/a");
      calls.receive([Kind.callAnswer, 1, head, body]);
      const expected = { name: "TypeError", message: /found an answer with status \d+ that no/ };
      await assert.rejects(answer, expected);
      assert.deepEqual(sent.at(-1), [Kind.callCancel, 1]);
      const next = api.fetch("/b");
      calls.receive([Kind.callAnswer, 2, [200, "", ""], Buffer.from("whole")]);
      assert.equal(await (await next).text(), "whole");
    });
  }

  it("sends no call whose body is read already", async () => {
    const { api, sent } = start();
    const used = new Request("http://x/", { method: "POST", body: "text" });
    await used.text();
    await assert.rejects(api.fetch(used), /body that is read already/);
    assert.deepEqual(sent, []);
  });

  it("rejects if the body of its request fails", async () => {
    const { api, sent } = start();
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error("own")) });
    await assert.rejects(api.fetch("/", { method: "POST", body }), /own/);
    assert.deepEqual(sent.at(-1), [Kind.callCancel, 1]);
  });

  it("has the deadline of its exchange, which holds until the handler has answered", () => {
    const { api, sent, within } = start();
    const timeoutOf = (own: Partial<Running>, deadline: number | null): number => {
      within(own, deadline, () => void api.fetch("/"));
      const last = sent.at(-1);
      return last?.[0] === Kind.call ? last[9] : assert.fail("no call");
    };
    const later = Date.now() + 1e9;
    assert.ok(timeoutOf({}, later) > 1e6);
    assert.equal(timeoutOf({}, 1), 1, "it is over, which is not the same as none");
    assert.equal(timeoutOf({}, null), 0);
    assert.equal(timeoutOf({ isAnswered: () => true }, later), 0);
    assert.equal(timeoutOf({ isAnswered: () => true }, 1), 0);
  });

  it("calls for waitUntil() after a client that left, and for no handler", async () => {
    const { calls, api, within } = start();
    const signal = AbortSignal.abort(new Error("left"));
    const call = (isAnswered: boolean): Promise<Response> =>
      within({ signal: () => signal, isAnswered: () => isAnswered }, null, () => api.fetch("/"));
    await assert.rejects(call(false), /left/);
    const answer = call(true);
    calls.receive([Kind.callAnswer, 1, [200, "", ""], Buffer.from("whole")]);
    assert.equal(await (await answer).text(), "whole");
  });

  it("causes no warning with many calls of one exchange, and ends all with it", async () => {
    const { api, within } = start();
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    const stop = new AbortController();
    const answers = within({ signal: () => stop.signal }, null, () =>
      Array.from({ length: 50 }, () => api.fetch("/")),
    );
    await nextTurn();
    stop.abort(new Error("left"));
    for (const answer of answers) await assert.rejects(answer, /left/);
    process.off("warning", note);
    assert.deepEqual(warnings, []);
  });
});

type CallHead = readonly [number, string, string];
type CallBody = Uint8Array | typeof BODY_FOLLOWS | null;

/** Starts calls whose exchange the test chooses. */
function start(): {
  calls: ServiceCalls;
  api: Fetcher;
  sent: ToPrimary[];
  within: <T>(own: Partial<Running>, deadline: number | null, act: () => T) => T;
} {
  const sent: ToPrimary[] = [];
  const calls = new ServiceCalls({ send: (message) => sent.push(message) > 0 });
  const running = new AsyncLocalStorage<Running>();
  calls.serve({ running, siteOf: () => "" });
  const api = calls.createFetcher({ name: "API", use: "service", site: "default" });
  return {
    calls,
    api,
    sent,
    within: (own, deadline, act) => {
      const facts = { ...FACTS, deadline };
      return running.run({ facts, signal: () => null, isAnswered: () => false, ...own }, act);
    },
  };
}

const FACTS = {
  id: 1 as ExchangeId,
  pattern: "/",
  route: 0,
  params: null,
  clientAddress: "192.0.2.1",
  fields: "",
};
