import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import pino from "pino";
import type { QueueRefusal, Wish } from "../../runtime/balance/group.ts";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { ByteBudget } from "../../runtime/bodies/byte-budget.ts";
import { Intakes } from "../../runtime/bodies/intakes.ts";
import type { Spool } from "../../runtime/bodies/spool.ts";
import { readUpstreamGroup, type StickySetting } from "../../runtime/config/upstream-settings.ts";
import { Admission } from "../../runtime/http/admission.ts";
import type { Client } from "../../runtime/http/client.ts";
import { parseTarget } from "../../runtime/http/target-path.ts";
import { TurnClock } from "../../runtime/lib/turn-clock.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import { FailureLog } from "../../runtime/proxy/failure-log.ts";
import { OpenRequests } from "../../runtime/proxy/open-requests.ts";
import { type ProxyOptions, ProxyResponder } from "../../runtime/proxy/proxy-responder.ts";
import { ProxyRuleBook, type ProxySettings } from "../../runtime/proxy/proxy-rules.ts";
import { ReplyFieldMaker } from "../../runtime/proxy/reply-fields.ts";
import { RequestFields } from "../../runtime/proxy/request-fields.ts";
import { RetryBudget } from "../../runtime/proxy/retry-budget.ts";
import { WaitingBytes } from "../../runtime/lib/waiting-bytes.ts";
import { LazyFrames } from "../../runtime/http/web-socket-frames.ts";
import type { UpstreamFailure, UpstreamServer } from "../../runtime/upstream/exchange.ts";
import { FakeClient } from "../dispatch/fake-client.ts";
import { createSpool, NO_SPOOL } from "../dispatch/spooling.ts";
import { FakeServer } from "./fake-upstream.ts";

const KIB = 1024;

const GROUP = readUpstreamGroup("api", ["http://10.0.0.1"], {
  key: "api",
  folder: "/",
  refuse: (key) => assert.fail(key),
});

const SETTINGS: ProxySettings = {
  cache: "off",
  bodyLimitBytes: 10 * KIB * KIB,
  bodyBufferBytes: 1 * KIB,
  bodyOverflow: "stream",
  responseOverflow: "wait",
  requestTimeoutMs: 0,
  bodyTimeoutMs: 0,
  minBodyRateBytesPerSecond: 0,
  sendTimeoutMs: 0,
  responseBufferBytes: 64 * KIB,
  webSocketOrigins: "same",
  webSocketMessageLimitBytes: 1 * KIB,
  webSocketBufferBytes: 1 * KIB,
  webSocketPingMs: 25_000,
  webSocketIdleTimeoutMs: 0,
};

class Bench {
  readonly servers: readonly FakeServer[];
  readonly counters = new Counters();
  readonly open = new OpenRequests();
  readonly succeeded: UpstreamServer[] = [];
  readonly failed: [server: string, failure: UpstreamFailure][] = [];
  readonly waiting = new Set<{
    wish: Wish;
    onEnd: (end: UpstreamServer | QueueRefusal) => void;
  }>();
  /** Why no request may wait; `null`: they may. */
  refusal: QueueRefusal | null = null;
  /** Servers that take no request. */
  readonly full = new Set<UpstreamServer>();
  readonly logged: Record<string, unknown>[] = [];
  readonly responder: ProxyResponder;

  constructor(
    servers = 2,
    options: Partial<ProxyOptions> & {
      settings?: Partial<ProxySettings>;
      spool?: Spool;
      sticky?: StickySetting;
    } = {},
  ) {
    this.servers = Array.from(
      { length: servers },
      (_, at) => new FakeServer(`http://10.0.0.${at}:80`),
    );
    const { settings, spool = NO_SPOOL, sticky = null, ...rest } = options;
    const log = pino(
      { base: null },
      {
        write: (line: string) => void this.logged.push(JSON.parse(line) as Record<string, unknown>),
      },
    );
    const { counters } = this;
    this.responder = new ProxyResponder({
      parts: {
        log,
        clock: new TurnClock(),
        admission: new Admission({ counters, onRefused: () => {} }),
        intakes: new Intakes({ budget: new ByteBudget(1024 ** 3), spool }),
        blocks: new BlockPool(),
        spool,
        counters,
        requestIdPrefix: "id-",
        failures: new FailureLog(log),
        open: this.open,
        frames: new LazyFrames(),
        waiting: new WaitingBytes(1e9),
      },
      group: {
        setting: { ...GROUP, sticky },
        status: () => ({ name: "", servers: [], queued: 0, unresolved: [] }),
        pick: ({ tried }) =>
          this.servers.find((server) => !tried.includes(server) && !this.full.has(server)) ?? null,
        hasOther: (tried) => this.servers.some((server) => !tried.includes(server)),
        wait: (wish, onEnd) => {
          if (this.refusal !== null) return this.refusal;
          const waiting = { wish, onEnd };
          this.waiting.add(waiting);
          return () => this.waiting.delete(waiting);
        },
        stickyCookieOf: (server, { cookie, isSecure }) =>
          cookie === null ? `server=${server.name}; ${isSecure}` : null,
        succeeded: (server) => void this.succeeded.push(server),
        failed: (server, failure) => void this.failed.push([server.name, failure]),
      },
      budget: new RetryBudget(),
      rules: new ProxyRuleBook({ ...SETTINGS, ...settings }),
      path: { strip: "", add: "" },
      requestFields: new RequestFields({ kind: null, prefix: "", set: {}, removed: [] }),
      replyFields: new ReplyFieldMaker({ keepsServer: false, location: null, cookies: null }),
      host: "keep",
      retries: 2,
      timeouts: null,
      ...rest,
    });
  }

  /** The server with this number. */
  server(at: number): FakeServer {
    const server = this.servers[at];
    assert.ok(server !== undefined);
    return server;
  }

  ask(options: { method?: string; bodyBytes?: number | null } = {}): FakeClient {
    const client = new FakeClient(1, options);
    this.answer(client);
    return client;
  }

  answer(client: Client): void {
    const target = parseTarget(client.head.target);
    assert.ok(target.ok);
    this.responder.answer(client, target);
  }

  /** Checks that nothing is left of all requests. */
  assertIdle(): void {
    assert.equal(this.counters.admitted, 0);
    assert.equal(this.open.count, 0);
  }
}

function only(client: FakeClient) {
  const [outcome, ...others] = client.outcomes;
  assert.equal(others.length, 0, "one outcome");
  assert.ok(outcome !== undefined, "an outcome");
  return outcome;
}

function assertRefused(client: FakeClient, status: number): void {
  const outcome = only(client);
  assert.ok(outcome.kind === "refused", outcome.kind);
  assert.equal(outcome.status, status);
}

function assertAnswered(client: FakeClient, body: string | null): void {
  const outcome = only(client);
  assert.ok(outcome.kind === "answered", outcome.kind);
  assert.equal(outcome.response.body?.toString() ?? null, body);
}

/** Resolves when the whole body has been sent. The disk is asked in later turns. */
async function untilSent(server: FakeServer): Promise<void> {
  while (!server.last.hasEnded) await nextTurn();
}

describe("ProxyResponder", () => {
  it("sends the request on, and answers with the whole response at once", () => {
    const bench = new Bench();
    const client = bench.ask();
    const { request } = bench.server(0).last;
    assert.deepEqual([request.method, request.target, request.body], ["GET", "/1", null]);
    assert.match(request.fields, /^host\nlocalhost\nx-request-id\nid-1\nvia\n1\.1 edgicorn$/);
    bench
      .server(0)
      .last.answer("hello", { status: 201, statusText: "Made", fields: "x-a\nb\nserver\nx" });
    const outcome = only(client);
    assert.ok(outcome.kind === "answered");
    const { status, statusText, fields, body } = outcome.response;
    assert.deepEqual([status, statusText, fields, String(body)], [201, "Made", "x-a\nb", "hello"]);
    assert.deepEqual(client.upstream?.name, "http://10.0.0.0:80");
    assert.deepEqual([client.upstream?.attempts, client.upstream?.status], [1, 201]);
    assert.deepEqual(bench.succeeded, [bench.server(0)]);
    bench.assertIdle();
  });

  it("notes the request for the access log, and not the error page that follows it", () => {
    const bench = new Bench();
    const note = { name: "http://10.0.0.9:80", attempts: 3, status: 500, durationMs: 7 };
    const client = new FakeClient(1);
    client.upstream = note;
    bench.answer(client);
    bench.server(0).last.answer("page");
    assertAnswered(client, "page");
    assert.equal(client.upstream, note);
    assert.deepEqual(note, {
      name: "http://10.0.0.9:80",
      attempts: 3,
      status: 500,
      durationMs: 7,
    });
  });

  it("gathers small bodies of known length from several pieces", () => {
    const bench = new Bench();
    const client = bench.ask();
    const { last } = bench.server(0);
    last.head({ bodyBytes: 6 });
    last.chunk("abc");
    assert.equal(client.outcomes.length, 0);
    last.chunk("def");
    last.finish();
    assertAnswered(client, "abcdef");
  });

  it("answers at once with a body of unknown length that ends in the same turn", () => {
    const bench = new Bench();
    const client = bench.ask();
    const { last } = bench.server(0);
    last.head();
    last.chunk("abc");
    last.chunk("def");
    last.finish();
    assertAnswered(client, "abcdef");
    bench.assertIdle();
  });

  it("sends the head and the first event of a stream before the turn is over", async () => {
    const bench = new Bench();
    const client = bench.ask();
    const { last } = bench.server(0);
    last.head({ fields: "content-type\ntext/event-stream" });
    last.chunk("data: 1\n\n");
    assert.equal(client.outcomes.length, 0);
    await Promise.resolve();
    assert.equal(client.streamed.taken.toString(), "data: 1\n\n");
    last.chunk("data: 2\n\n");
    assert.equal(client.streamed.taken.toString(), "data: 1\n\ndata: 2\n\n");
    assert.equal(client.streamed.end, "open");
    last.finish();
    assert.equal(client.streamed.end, "complete");
    bench.assertIdle();
    await nextTurn();
  });

  it("answers responses without a body at their head", () => {
    for (const method of ["GET", "HEAD"]) {
      const bench = new Bench();
      const client = bench.ask({ method });
      bench.server(0).last.head({ status: 304, bodyBytes: 0, fields: "content-length\n7" });
      const outcome = only(client);
      assert.ok(outcome.kind === "answered");
      assert.deepEqual(
        [outcome.response.body, outcome.response.fields],
        [null, "content-length\n7"],
      );
      bench.server(0).last.finish();
      bench.assertIdle();
    }
  });

  it("pauses an upstream that is faster than the client, and holds a bounded part of the body", () => {
    const bench = new Bench();
    const client = bench.ask();
    const { last } = bench.server(0);
    const piece = Buffer.alloc(32 * KIB, "x");
    last.head({ bodyBytes: 1024 * KIB });
    client.streamed.stall();
    let sent = 0;
    while (sent < 1024 * KIB) {
      let turn = 0;
      while (!last.isPaused && sent < 1024 * KIB) {
        last.chunk(piece);
        sent += piece.length;
        turn += piece.length;
      }
      assert.ok(turn <= 128 * KIB, `${turn} bytes without the client`);
      client.streamed.read();
    }
    last.finish();
    client.streamed.read();
    assert.equal(client.streamed.taken.length, 1024 * KIB);
    assert.equal(client.streamed.end, "complete");
    bench.assertIdle();
  });

  it("frees the upstream when a client is slow, and the rest of the body fits into memory", () => {
    const bench = new Bench();
    const client = bench.ask();
    const { last } = bench.server(0);
    last.head({ bodyBytes: 40 * KIB });
    client.streamed.stall();
    last.chunk(Buffer.alloc(40 * KIB, "x"));
    last.finish();
    bench.assertIdle();
    client.streamed.read();
    assert.equal(client.streamed.end, "complete");
  });

  it("breaks the answer off when the response breaks off", async () => {
    const broken = { phase: "body", sent: true, begun: true } as const;
    const bench = new Bench();
    const streaming = bench.ask();
    bench.server(0).last.head({ bodyBytes: 100 * KIB });
    bench.server(0).last.chunk("abc");
    bench.server(0).last.fail(broken);
    assert.equal(streaming.streamed.end, "broken");
    const gathering = bench.ask();
    bench.server(0).last.head({ bodyBytes: 6 });
    bench.server(0).last.chunk("abc");
    bench.server(0).last.fail(broken);
    assertRefused(gathering, 502);
    const unknown = bench.ask();
    bench.server(0).last.head();
    bench.server(0).last.chunk("abc");
    bench.server(0).last.fail(broken);
    assertRefused(unknown, 502);
    await nextTurn();
    bench.assertIdle();
    assert.equal(bench.server(1).attempts.length, 0);
  });

  it("aborts the upstream when the client leaves, at every point", async () => {
    const steps: [name: string, step: (bench: Bench) => void][] = [
      ["sent", () => {}],
      ["gathering", ({ servers: [server] }) => server?.last.head({ bodyBytes: 6 })],
      ["answering", ({ servers: [server] }) => server?.last.head({ bodyBytes: 60_000 })],
    ];
    for (const [name, step] of steps) {
      const bench = new Bench();
      const client = bench.ask();
      step(bench);
      client.leave();
      assert.ok(bench.server(0).last.isAborted, name);
      bench.assertIdle();
    }
    const bench = new Bench();
    const client = bench.ask({ method: "POST", bodyBytes: 5 });
    client.leave();
    assert.equal(bench.server(0).attempts.length, 0);
    bench.assertIdle();
    await nextTurn();
  });

  it("sends a small body with the request", () => {
    const bench = new Bench();
    const client = bench.ask({ method: "POST", bodyBytes: null });
    assert.equal(bench.server(0).attempts.length, 0);
    client.sendBody(Buffer.from("a=1"));
    assert.equal(bench.server(0).last.body, "a=1");
    bench.server(0).last.answer("ok");
    assertAnswered(client, "ok");
    bench.assertIdle();
  });

  it("streams a larger body with back-pressure, and pauses its client", async () => {
    const bench = new Bench();
    const total = 4 * 1024 * KIB;
    const client = bench.ask({ method: "POST", bodyBytes: total });
    const piece = Buffer.alloc(32 * KIB, "y");
    client.sendChunk(piece);
    const { last } = bench.server(0);
    assert.deepEqual([last.request.body, last.request.bodyBytes], ["follows", total]);
    last.isBlocked = true;
    let sent = piece.length;
    while (sent < total) {
      while (!client.held && sent < total) {
        client.sendChunk(piece);
        sent += piece.length;
        await Promise.resolve();
      }
      assert.ok(sent - Buffer.concat(last.written).length <= 8 * 1024 * KIB);
      last.drain();
      last.isBlocked = sent < total;
      await Promise.resolve();
    }
    client.sendEnd();
    last.drain();
    await nextTurn();
    assert.equal(Buffer.concat(last.written).length, total);
    assert.ok(last.hasEnded);
    last.answer("ok");
    assertAnswered(client, "ok");
    bench.assertIdle();
  });

  it("refuses a body that is too large, before and while it streams", () => {
    const bench = new Bench(1, { settings: { bodyLimitBytes: 100 * KIB } });
    const announced = bench.ask({ method: "POST", bodyBytes: 200 * KIB });
    assertRefused(announced, 413);
    assert.equal(announced.limitedBy, "bodyLimit");
    assert.equal(bench.server(0).attempts.length, 0);
    const chunked = bench.ask({ method: "POST", bodyBytes: null });
    for (let sent = 0; sent < 128 * KIB; sent += 32 * KIB)
      chunked.sendChunk(Buffer.alloc(32 * KIB));
    assertRefused(chunked, 413);
    assert.ok(bench.server(0).last.isAborted);
    bench.assertIdle();
  });

  it("passes an early answer on while the body still comes", () => {
    const bench = new Bench();
    const client = bench.ask({ method: "POST", bodyBytes: 1024 * KIB });
    client.sendChunk(Buffer.alloc(32 * KIB));
    bench.server(0).last.answer("too large", { status: 413 });
    assertAnswered(client, "too large");
    client.sendChunk(Buffer.alloc(32 * KIB));
    bench.assertIdle();
  });

  it("tries another server when the first cannot be reached, whatever the method", () => {
    for (const method of ["GET", "POST"]) {
      const bench = new Bench();
      const client = bench.ask({ method });
      bench.server(0).last.fail();
      bench.server(1).last.answer("ok");
      assertAnswered(client, "ok");
      assert.deepEqual(
        [client.upstream?.name, client.upstream?.attempts],
        [bench.server(1).name, 2],
      );
      assert.equal(bench.failed[0]?.[0], bench.server(0).name);
      bench.assertIdle();
    }
  });

  it("sends a streamed body again from its first byte when none of it has left", async () => {
    const bench = new Bench();
    const client = bench.ask({ method: "POST", bodyBytes: 64 * KIB });
    bench.server(0).onAttempt = (attempt) => {
      attempt.isBlocked = true;
    };
    client.sendChunk(Buffer.alloc(32 * KIB, "a"));
    bench.server(0).last.fail();
    client.sendChunk(Buffer.alloc(32 * KIB, "b"));
    client.sendEnd();
    await nextTurn();
    assert.equal(bench.server(1).last.body, "a".repeat(32 * KIB) + "b".repeat(32 * KIB));
    assert.ok(bench.server(1).last.hasEnded);
    bench.server(1).last.answer("ok");
    assertAnswered(client, "ok");
    bench.assertIdle();
  });

  it("never sends a POST twice that may have run", () => {
    for (const reused of [false, true]) {
      const bench = new Bench();
      const client = bench.ask({ method: "POST" });
      bench.server(0).last.fail({ phase: "first-byte", sent: true, reused });
      assertRefused(client, 502);
      assert.equal(bench.server(0).attempts.length + bench.server(1).attempts.length, 1);
      bench.assertIdle();
    }
  });

  it("tries once on a fresh connection when the kept one was stale", () => {
    const stale = { phase: "first-byte", sent: true, reused: true } as const;
    const bench = new Bench(1);
    const client = bench.ask();
    bench.server(0).last.fail(stale);
    assert.equal(bench.server(0).attempts.length, 2);
    assert.equal(bench.server(0).last.request.isFresh, true);
    bench.server(0).last.fail(stale);
    assertRefused(client, 502);
    assert.equal(bench.server(0).attempts.length, 2);
    bench.assertIdle();
  });

  it("gives up after so many servers as the config allows", () => {
    const bench = new Bench(4, { retries: 1 });
    const client = bench.ask();
    bench.server(0).last.fail({ phase: "first-byte", sent: true });
    bench.server(1).last.fail({ phase: "first-byte", sent: true });
    assertRefused(client, 502);
    assert.equal(bench.server(2).attempts.length, 0);
    bench.assertIdle();
  });

  it("waits for a server that can be reached again, with the whole group to choose from", () => {
    const bench = new Bench(2);
    const client = bench.ask({ method: "POST" });
    bench.server(0).last.fail();
    bench.server(1).last.fail();
    assert.equal(client.outcomes.length, 0);
    const [waiting, ...others] = bench.waiting;
    assert.equal(others.length, 0);
    assert.deepEqual(waiting?.wish.tried, []);
    waiting?.onEnd(bench.server(0));
    bench.server(0).last.answer("ok");
    assertAnswered(client, "ok");
    bench.assertIdle();
  });

  it("waits for another server when a GET has failed at one and all others are full", () => {
    const bench = new Bench(2);
    bench.full.add(bench.server(1));
    const client = bench.ask();
    bench.server(0).last.fail({ phase: "first-byte", sent: true });
    assert.equal(client.outcomes.length, 0);
    const [waiting, ...others] = bench.waiting;
    assert.equal(others.length, 0);
    // It never goes back to the server that has failed.
    assert.deepEqual(waiting?.wish.tried, [bench.server(0)]);
    bench.full.clear();
    waiting?.onEnd(bench.server(1));
    bench.server(1).last.answer("ok");
    assertAnswered(client, "ok");
    assert.deepEqual([client.upstream?.name, client.upstream?.attempts], [bench.server(1).name, 2]);
    bench.assertIdle();
  });

  it("answers with the failure when a GET may not wait for another server", () => {
    const budget = new RetryBudget();
    const bench = new Bench(2, { budget });
    bench.full.add(bench.server(1));
    bench.refusal = "queueLimit";
    let tokens = 0;
    for (; budget.hasRoom && tokens < 1_000; tokens++) {
      const client = bench.ask();
      bench.server(0).last.fail({ phase: "first-byte", sent: true, timedOut: true });
      assertRefused(client, 504);
      assert.equal(client.limitedBy, "firstByteTimeout");
    }
    assert.equal(tokens, 1_000, "no retry was counted");
    assert.equal(bench.logged[0]?.["status"], 504);
    bench.assertIdle();
  });

  it("answers 503 when no server has got the request, and it may not wait", () => {
    const bench = new Bench(1);
    bench.refusal = "queueDelay";
    const client = bench.ask();
    bench.server(0).last.fail();
    const outcome = only(client);
    assert.ok(outcome.kind === "refused");
    assert.deepEqual([outcome.status, outcome.retryAfterSeconds], [503, 1]);
    assert.equal(client.limitedBy, "queueDelay");
    assert.equal(bench.logged[0]?.["status"], 503);
    bench.assertIdle();
  });

  it("answers at once when a GET has failed at the only server, or a POST at one of several", () => {
    for (const [method, servers] of [
      ["GET", 1],
      ["POST", 2],
    ] as const) {
      const bench = new Bench(servers);
      for (const server of bench.servers.slice(1)) bench.full.add(server);
      const client = bench.ask({ method });
      bench.server(0).last.fail({ phase: "first-byte", sent: true });
      assertRefused(client, 502);
      assert.equal(bench.waiting.size, 0);
      bench.assertIdle();
    }
  });

  it("gives up when servers come back and fail again and again", () => {
    const bench = new Bench(1);
    const client = bench.ask();
    for (let attempt = 0; attempt < 100 && client.outcomes.length === 0; attempt++) {
      bench.server(0).last.fail();
      for (const waiting of bench.waiting) {
        bench.waiting.delete(waiting);
        waiting.onEnd(bench.server(0));
      }
    }
    assertRefused(client, 502);
    assert.ok(bench.server(0).attempts.length <= 12, `${bench.server(0).attempts.length}`);
    bench.assertIdle();
  });

  it("answers 504 after a timeout, and names its setting", () => {
    const bench = new Bench(1);
    const cases = [
      ["connect", "connectTimeout"],
      ["tls", "connectTimeout"],
      ["send", "idleTimeout"],
      ["first-byte", "firstByteTimeout"],
      ["head", "firstByteTimeout"],
      ["body", "idleTimeout"],
    ] as const;
    for (const [phase, setting] of cases) {
      const client = bench.ask({ method: "POST" });
      bench.server(0).last.fail({
        phase,
        timedOut: true,
        sent: true,
        begun: phase === "head" || phase === "body",
      });
      assertRefused(client, 504);
      assert.equal(client.limitedBy, setting);
    }
    bench.assertIdle();
  });

  it("waits for a server, and answers 503 with Retry-After when none can take the request", () => {
    for (const reason of ["queueLimit", "queueDelay", "queueTimeout", "down"] as const) {
      const bench = new Bench(0);
      const client = bench.ask();
      assert.equal(client.outcomes.length, 0);
      for (const { onEnd } of bench.waiting) onEnd(reason);
      const outcome = only(client);
      assert.ok(outcome.kind === "refused");
      assert.deepEqual([outcome.status, outcome.retryAfterSeconds], [503, 1]);
      assert.equal(client.limitedBy, reason === "down" ? null : reason);
      bench.assertIdle();
    }
  });

  it("drops a waiting request whose client leaves", () => {
    const bench = new Bench(0);
    const client = bench.ask();
    assert.equal(bench.waiting.size, 1);
    client.leave();
    assert.equal(bench.waiting.size, 0);
    bench.assertIdle();
  });

  it("sets the cookie of a sticky group, unless the client has it", () => {
    const sticky = { cookie: "sid", secret: null, maxAgeSeconds: null };
    const bench = new Bench(1, { sticky });
    const client = bench.ask();
    bench.server(0).last.answer("ok", { fields: "x-a\nb" });
    const outcome = only(client);
    assert.ok(outcome.kind === "answered");
    assert.equal(outcome.response.fields, "x-a\nb\nset-cookie\nserver=http://10.0.0.0:80; false");
    const known = new FakeClient(2);
    known.head.fields = "host\nlocalhost\ncookie\nsid=abc";
    bench.answer(known);
    bench.server(0).last.answer("ok");
    const second = only(known);
    assert.ok(second.kind === "answered");
    assert.equal(second.response.fields, "");
  });

  it("answers 508 to a request that goes round in circles", () => {
    const bench = new Bench();
    const client = new FakeClient(1);
    client.head.fields = `host\nlocalhost\nvia\n${"1.1 edgicorn, ".repeat(10)}`;
    bench.answer(client);
    assertRefused(client, 508);
    assert.equal(bench.server(0).attempts.length, 0);
    bench.assertIdle();
  });

  it("answers 502 to a response that asks for a file, and logs why", () => {
    const bench = new Bench(1);
    const client = bench.ask();
    bench.server(0).last.head({ fields: "x-accel-redirect\n/secret", bodyBytes: 0 });
    assertRefused(client, 502);
    assert.ok(bench.server(0).last.isAborted);
    const [line] = bench.logged;
    assert.equal(line?.["upstream"], "http://10.0.0.0:80");
    assert.match(String(line?.["reason"]), /x-accel-redirect/);
    bench.assertIdle();
  });

  it("logs a failure with server, reason and request, and then only their number", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const bench = new Bench(1);
    for (let request = 0; request < 3; request++) {
      bench.ask({ method: "POST" });
      bench.server(0).last.fail({ phase: "send", sent: true, reason: "reset (ECONNRESET)" });
    }
    assert.equal(bench.logged.length, 1);
    t.mock.timers.tick(10_000);
    const [first, second, ...others] = bench.logged;
    assert.equal(others.length, 0);
    const { upstream, phase, reason, method, path, requestId, status, failures } = first ?? {};
    assert.deepEqual(
      [upstream, phase, reason, method, path, requestId, status, failures],
      ["http://10.0.0.0:80", "send", "reset (ECONNRESET)", "POST", "/1", "id-1", 502, 1],
    );
    assert.equal(second?.["failures"], 2);
    t.mock.timers.tick(60_000);
    assert.equal(bench.logged.length, 2);
  });

  it("spools an upload first where the config asks for it, and sends it again from the disk", async (t) => {
    const { spool, openFiles } = createSpool(t);
    const bench = new Bench(2, { spool, settings: { bodyOverflow: "spool" } });
    const client = bench.ask({ method: "PUT", bodyBytes: null });
    const whole = Buffer.alloc(300 * KIB, "z");
    client.sendBody(whole);
    while (bench.server(0).attempts.length === 0) await nextTurn();
    assert.equal(bench.server(0).last.request.bodyBytes, whole.length);
    await untilSent(bench.server(0));
    bench.server(0).last.fail({ phase: "first-byte", sent: true });
    await untilSent(bench.server(1));
    assert.ok(Buffer.concat(bench.server(1).last.written).equals(whole));
    bench.server(1).last.answer("ok");
    assertAnswered(client, "ok");
    bench.assertIdle();
    while (openFiles() > 0) await nextTurn();
  });
});
