import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  BODY_FOLLOWS,
  CALL_CREDIT_BYTES,
  type CallMessage,
  type ExchangeId,
  Kind,
  MOST_CALL_DEPTH,
  type ToWorker,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import { BytesSource } from "../../runtime/bodies/body-sources.ts";
import { type CallTargets, HandlerCalls } from "../../runtime/handlers/calls.ts";
import type { CallRules } from "../../runtime/handlers/route-responder.ts";
import type { BodyFlow, Client } from "../../runtime/http/client.ts";
import type { ParsedTarget } from "../../runtime/http/target-path.ts";

const ID = 7 as WorkerId;
const CHUNK = Buffer.alloc(65_536, "x");

interface Asked {
  readonly client: Client;
  readonly target: ParsedTarget;
  readonly rules: CallRules | null;
}

/** The primary's side of calls, with targets that only note what they are asked. */
function start({ isServing = true }: { isServing?: boolean } = {}) {
  const sent: ToWorker[] = [];
  const asked: Asked[] = [];
  let lastId = 0;
  const calls = new HandlerCalls(() => ++lastId as ExchangeId);
  const targets: CallTargets = {
    routesOf: (site) =>
      site === "none"
        ? null
        : {
            find: ({ pathname }) =>
              pathname === "/none"
                ? null
                : {
                    answerCall: (client, target, rules) =>
                      void asked.push({ client, target, rules }),
                  },
          },
    assetsOf: (site) =>
      site === "none" ? null : (client, target) => void asked.push({ client, target, rules: null }),
  };
  if (isServing) calls.use(targets);
  const send = (message: ToWorker): boolean => {
    // Lent bytes change after the call.
    sent.push(structuredClone(message));
    return true;
  };
  const worker = { id: ID, channel: { send, sendLent: send } } as never;
  const take = (message: CallMessage): void => calls.take(worker, message);
  const call = (own: Partial<Record<"site" | "use" | "url" | "method", string>> = {}, depth = 0) =>
    take([
      Kind.call,
      1,
      (own.use ?? "service") as "service",
      own.site ?? "default",
      depth,
      own.method ?? "GET",
      own.url ?? "https://x.example:8443/a?b=c",
      "accept\n*/*",
      "192.0.2.1",
      500,
      own.method === "POST",
    ]);
  return { calls, sent, asked, take, call };
}

function replyWith(client: Client | undefined, body: string | Uint8Array | BytesSource): void {
  client?.reply({ status: 203, statusText: "Odd", fields: "a\nb", body, lengthBytes: null });
}

describe("HandlerCalls", () => {
  it("leads a call to the route of a site, with the facts of its caller", () => {
    const { asked, sent, call } = start();
    call({}, 2);
    const [first] = asked;
    assert.deepEqual(first?.rules, { timeoutMs: 500, depth: 3 });
    assert.deepEqual([first?.target.pathname, first?.target.search], ["/a", "?b=c"]);
    const { origin, target, fields, bodyBytes, clientAddress } = first?.client.head ?? {};
    assert.deepEqual(
      [origin, target, fields, bodyBytes, clientAddress],
      ["https://x.example:8443", "/a?b=c", "accept\n*/*", 0, "192.0.2.1"],
    );
    replyWith(first?.client, "hello");
    assert.deepEqual(sent, [[Kind.callAnswer, 1, [203, "Odd", "a\nb"], "hello"]]);
  });

  const missing = [
    ["a site without handlers", { site: "none" }, 404],
    ["a path without a route", { url: "http://x/none" }, 404],
    ["a site without files", { site: "none", use: "assets" }, 404],
    ["a malformed path", { url: "http://x/ a" }, 400],
  ] as const;
  for (const [name, own, status] of missing) {
    it(`answers ${status} to a call for ${name}`, () => {
      const { asked, sent, call } = start();
      call(own);
      assert.equal(asked.length, 0);
      const answer = sent[0] as unknown as [number, number, [number], string];
      assert.deepEqual([answer[0], answer[1], answer[2][0]], [Kind.callAnswer, 1, status]);
    });
  }

  it("refuses calls before the server serves, and calls too deep within one another", () => {
    const early = start({ isServing: false });
    early.call();
    assert.match(JSON.stringify(early.sent), /null,"Cannot call: found a server that is starting/);
    const { asked, sent, call } = start();
    call({}, MOST_CALL_DEPTH);
    assert.match(JSON.stringify(sent), /found 16 calls within one another.*call itself\?/);
    assert.equal(asked.length, 0);
    call({}, MOST_CALL_DEPTH - 1);
    assert.equal(asked.length, 1);
  });

  it("sends a long answer as far as the worker grants", () => {
    for (const body of [new BytesSource(Buffer.alloc(100_000)), Buffer.alloc(100_000)]) {
      const { asked, sent, call, take } = start();
      call();
      replyWith(asked[0]?.client, body);
      assert.deepEqual(sent, [[Kind.callAnswer, 1, [203, "Odd", "a\nb"], BODY_FOLLOWS]]);
      take([Kind.callGrant, 1, 1_000]);
      take([Kind.callGrant, 1, 1_000_000]);
      const sizes = sent.slice(1).map((message) => (message[2] as Uint8Array).length);
      assert.deepEqual(sizes, [1_000, 65_536, 33_464, undefined]);
      assert.deepEqual(sent.at(-1), [Kind.callEnd, 1, true]);
    }
  });

  it("sends no body to HEAD, and the size that GET would have", () => {
    const { asked, sent, call } = start();
    call({ method: "HEAD", use: "assets" });
    const body = new BytesSource(Buffer.alloc(9));
    asked[0]?.client.reply({ status: 200, statusText: "", fields: "", body, lengthBytes: 9 });
    assert.deepEqual(sent, [[Kind.callAnswer, 1, [200, "", "content-length\n9"], null]]);
    assert.equal(body.read(9), null);
  });

  it("passes a body on, and grants more once it is taken", () => {
    const { asked, sent, call, take } = start();
    call({ method: "POST" });
    const chunks: number[] = [];
    let flow: BodyFlow | undefined;
    const state = { isEnded: false };
    flow = asked[0]?.client.receiveBody({
      chunk: (bytes) => void chunks.push(bytes.length),
      end: () => void (state.isEnded = true),
    });
    take([Kind.callPiece, 1, CHUNK]);
    assert.deepEqual(sent, [[Kind.callCredit, 1, CHUNK.length]]);
    flow?.pause();
    take([Kind.callPiece, 1, CHUNK]);
    take([Kind.callPiece, 1, CHUNK]);
    assert.equal(sent.length, 1);
    flow?.resume();
    assert.deepEqual(sent[1], [Kind.callCredit, 1, CALL_CREDIT_BYTES]);
    take([Kind.callPieceEnd, 1, true]);
    assert.deepEqual([chunks.length, state.isEnded], [3, true]);
  });

  it("ends a worker's call that sends more than it may", () => {
    const { asked, call, take } = start();
    call({ method: "POST" });
    asked[0]?.client.receiveBody({ chunk: () => {}, end: () => {} }).pause();
    take([Kind.callPiece, 1, CHUNK]);
    take([Kind.callPiece, 1, CHUNK]);
    assert.throws(() => take([Kind.callPiece, 1, Buffer.of(1)]), /1 bytes above the credit/);
  });

  const ends: [string, (parts: ReturnType<typeof start>) => void][] = [
    ["cancels it", ({ take }) => take([Kind.callCancel, 1])],
    ["cannot read its own body", ({ take }) => take([Kind.callPieceEnd, 1, false])],
    ["is lost", ({ calls }) => calls.lose(ID)],
  ];
  for (const [name, end] of ends) {
    it(`ends a call, before and within its answer, when the worker ${name}`, () => {
      const parts = start();
      parts.call({ method: "POST" });
      const state = { isAborted: false };
      parts.asked[0]?.client.onAbort(() => (state.isAborted = true));
      end(parts);
      assert.equal(state.isAborted, true);
      replyWith(parts.asked[0]?.client, "too late");
      parts.call({ method: "POST" });
      const source = new BytesSource(Buffer.alloc(100_000));
      replyWith(parts.asked[1]?.client, source);
      end(parts);
      assert.equal(source.state, "ended", "cancelled");
      parts.take([Kind.callGrant, 1, 9]);
      assert.equal(parts.sent.length, 1, "only the head of the second answer");
    });
  }

  it("refuses a number that is in use", () => {
    const { call } = start();
    call();
    assert.throws(() => call(), /call 1 is not over/);
  });
});
