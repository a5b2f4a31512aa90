import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ResponseCache } from "../../runtime/cache/response-cache.ts";
import {
  CACHE_CREDIT_BYTES,
  type CacheMessage,
  type ExchangeId,
  Kind,
  type ToPrimary,
  type ToWorker,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import { parseToPrimary } from "../../runtime/channel/parse.ts";
import { HandlerCaches } from "../../runtime/handlers/caches.ts";
import { CacheCalls } from "../../runtime/worker/cache-calls.ts";
import { HandlerCaches as Caches } from "../../runtime/web/cache-storage.ts";
import { installWebObjects } from "../../runtime/web/install.ts";
import { MemoryStore } from "../cache/memory-store.ts";

installWebObjects();

const ID = 1 as WorkerId;
const FRESH = { "cache-control": "max-age=60" };
const URL_A = "https://x.example/a";

/** Both ends of the calls: the worker's side as handlers see it, and the primary's with its store. */
function start({ codeTags = null }: { codeTags?: string[] | null } = {}) {
  const store = new MemoryStore();
  const cache = new ResponseCache({ openStore: () => store, nextId: () => 1 as ExchangeId });
  const toPrimary: CacheMessage[] = [];
  const toWorker: ToWorker[] = [];
  const notes: object[] = [];
  const primary = new HandlerCaches({
    cache,
    codeTag: () => codeTags?.[0] ?? null,
    codeTags: () => (codeTags === null ? null : new Set(codeTags)),
    now: () => 1_000_000,
  });
  /** Whether messages of the worker arrive. */
  const link = { isOpen: true };
  const receive = (message: ToWorker): void => {
    toWorker.push(message);
    // Only these are sent here.
    if (link.isOpen)
      setImmediate(() => calls.receive(message as Parameters<typeof calls.receive>[0]));
  };
  const worker = {
    id: ID,
    channel: { send: receive, sendLent: (m: ToWorker) => receive(copyOf(m)) },
  };
  const calls: CacheCalls = new CacheCalls({
    channel: {
      send: (message: ToPrimary) => {
        // The parser returns the same message.
        const parsed = parseToPrimary(message) as CacheMessage;
        toPrimary.push(parsed);
        setImmediate(() => link.isOpen && primary.take(worker, parsed, (route) => `site${route}`));
      },
    },
    routeOf: () => 0,
    log: () => ({ debug: (fields: object) => notes.push(fields) }) as never,
  });
  return {
    store,
    cache,
    primary,
    worker,
    link,
    toPrimary,
    toWorker,
    notes,
    caches: new Caches(calls),
  };
}

/** The bytes of a lent message change after the call. */
function copyOf(message: ToWorker): ToWorker {
  if (message[0] !== Kind.cacheChunk) return message;
  return [message[0], message[1], Buffer.from(message[2])];
}

function streamOf(pieces: Iterable<Uint8Array>): {
  body: ReadableStream<Uint8Array>;
  read: () => number;
} {
  let count = 0;
  const source = pieces[Symbol.iterator]();
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const next: IteratorResult<Uint8Array, unknown> = source.next();
        if (next.done === true) {
          controller.close();
          return;
        }
        count += next.value.length;
        controller.enqueue(next.value);
      },
    },
    { highWaterMark: 0 },
  );
  return { body, read: () => count };
}

function* endless(): Generator<Uint8Array> {
  for (;;) yield new Uint8Array(10_000);
}

function* breaks(): Generator<Uint8Array> {
  yield new Uint8Array(200_000);
  throw new Error("the source broke");
}

/** Lets all messages that are on their way arrive. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Returns a worker's message that begins to store an answer whose body follows. */
function toPut(number: number) {
  return [Kind.cachePut, number, 0, null, `${URL_A}${number}`, "", 200, "", "", true] as const;
}

describe("caches, from handler to store", () => {
  it("store an answer and find it, and keep names apart", async () => {
    const { caches } = start();
    const named = await caches.open("a");
    await caches.default.put(
      URL_A,
      new Response("one", { status: 201, statusText: "Made", headers: FRESH }),
    );
    await named.put(new Request(URL_A), Response.json({ b: 1 }, { headers: FRESH }));
    const found = (await caches.default.match(URL_A)) ?? assert.fail();
    assert.deepEqual([found.status, found.statusText, await found.text()], [201, "Made", "one"]);
    const other = (await (await caches.open("a")).match(URL_A)) ?? assert.fail();
    assert.deepEqual(await other.json(), { b: 1 });
    assert.equal(await (await caches.open("b")).match(URL_A), undefined);
    assert.equal(await caches.default.delete(URL_A), true);
    assert.equal(await caches.default.delete(URL_A), false);
    assert.equal(await caches.default.match(URL_A), undefined);
    assert.notEqual(await named.match(URL_A), undefined);
  });

  it("match by the fields of vary", async () => {
    const { caches } = start();
    for (const language of ["de", "en"]) {
      const request = new Request(URL_A, { headers: { "accept-language": language } });
      const headers = { ...FRESH, vary: "Accept-Language" };
      await caches.default.put(request, new Response(language, { headers }));
    }
    for (const language of ["de", "en", "fr"]) {
      const request = new Request(URL_A, { headers: { "accept-language": language } });
      const text = await (await caches.default.match(request))?.text();
      assert.equal(text, language === "fr" ? undefined : language);
    }
  });

  it("send large bodies against credit, both ways", async () => {
    const { caches, toPrimary, toWorker } = start();
    const pieces = Array.from({ length: 100 }, (_, at) => Buffer.alloc(30_011, at));
    const { body } = streamOf(pieces);
    await caches.default.put(URL_A, new Response(body, { headers: FRESH }));
    const credits = toWorker.filter(([kind]) => kind === Kind.cacheCredit);
    assert.ok(credits.length > 10);
    const found = (await caches.default.match(URL_A)) ?? assert.fail();
    assert.ok(!toPrimary.some(([kind]) => kind === Kind.cacheGrant), "nothing was read so far");
    assert.deepEqual(Buffer.from(await found.arrayBuffer()), Buffer.concat(pieces));
    const chunks = toWorker.flatMap((each) =>
      each[0] === Kind.cacheChunk ? [each[2].length] : [],
    );
    assert.ok(Math.max(...chunks) <= 65_536);
  });

  it("read no more of a body than the primary grants", async () => {
    const { caches, link } = start();
    const { body, read } = streamOf(endless());
    link.isOpen = false;
    caches.default.put(URL_A, new Response(body, { headers: FRESH })).catch(() => {});
    await settle();
    assert.ok(read() >= CACHE_CREDIT_BYTES && read() < CACHE_CREDIT_BYTES + 20_000, String(read()));
  });

  it("take no more of a stored body than the handler reads", async () => {
    const { caches, toWorker } = start();
    await caches.default.put(URL_A, new Response(new Uint8Array(1_000_000), { headers: FRESH }));
    const found = (await caches.default.match(URL_A)) ?? assert.fail();
    const reader = found.body?.getReader() ?? assert.fail();
    await reader.read();
    await settle();
    const sent = (): number =>
      toWorker.reduce((sum, each) => sum + (each[0] === Kind.cacheChunk ? each[2].length : 0), 0);
    assert.ok(sent() <= 2 * CACHE_CREDIT_BYTES, String(sent()));
    await reader.cancel();
    await settle();
    const before = sent();
    await settle();
    assert.equal(sent(), before);
  });

  it("store nothing of a body that breaks off, and tell the handler why", async () => {
    const { caches, store, toPrimary } = start();
    const { body } = streamOf(breaks());
    await assert.rejects(caches.default.put(URL_A, new Response(body, { headers: FRESH })), {
      message: "the source broke",
    });
    await settle();
    assert.deepEqual(toPrimary.at(-1)?.slice(2), [false]);
    assert.deepEqual(store.entries, []);
  });

  it("store nothing of a body of another length than its answer says", async () => {
    const { caches, store } = start();
    const { body } = streamOf([new Uint8Array(10)]);
    const headers = { ...FRESH, "content-length": "11" };
    await assert.rejects(caches.default.put(URL_A, new Response(body, { headers })), /11/);
    await settle();
    assert.deepEqual(store.entries, []);
  });

  it("cancel a body that is not stored, and say why in the log", async () => {
    const { caches, store, notes } = start();
    const refused = streamOf(endless());
    const headers = { "cache-control": "private" };
    await caches.default.put(URL_A, new Response(refused.body, { headers }));
    store.mostBytes = 500_000;
    const large = streamOf(endless());
    await caches.default.put(URL_A, new Response(large.body, { headers: FRESH }));
    assert.deepEqual(notes, [
      { url: URL_A, reason: "private" },
      { url: URL_A, reason: "not-kept" },
    ]);
    assert.deepEqual(store.entries, []);
  });

  it("store nothing that a purge covers while it is on its way", async () => {
    const { caches, cache, store } = start();
    const { body, read } = streamOf(endless());
    const put = caches.default.put(URL_A, new Response(body, { headers: FRESH }));
    while (read() < 300_000) await settle();
    cache.purge({ kind: "all" });
    await put;
    assert.deepEqual(store.entries, []);
  });

  it("store nothing of a worker that is lost, and close its bodies", async () => {
    const { caches, primary, link, store, worker } = start();
    await caches.default.put(URL_A, new Response(new Uint8Array(1_000_000), { headers: FRESH }));
    await caches.default.match(URL_A);
    const { body, read } = streamOf(endless());
    const other = "https://x.example/b";
    caches.default.put(other, new Response(body, { headers: FRESH })).catch(() => {});
    while (read() < 300_000) await settle();
    primary.lose(ID);
    link.isOpen = false;
    await settle();
    assert.equal(store.entries.length, 1);
    // The end of the body was on its way.
    primary.take(worker, [Kind.cachePutEnd, 3, true], () => "site0");
    assert.equal(store.entries.length, 1);
  });

  it("give up an answer of which no piece comes", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const { caches, store, notes, primary } = start();
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    let isCancelled = false;
    const body = new ReadableStream<Uint8Array>({
      start: (own) => void (controller = own),
      cancel: () => void (isCancelled = true),
    });
    const put = caches.default.put(URL_A, new Response(body, { headers: FRESH }));
    for (let round = 0; round < 5; round++) {
      controller?.enqueue(new Uint8Array(10));
      await settle();
      t.mock.timers.tick(60_000);
    }
    await settle();
    assert.deepEqual(notes, [], "pieces came");
    t.mock.timers.tick(60_000);
    await put;
    assert.deepEqual(notes, [{ url: URL_A, reason: "partial" }]);
    await settle();
    assert.equal(isCancelled, true);
    assert.deepEqual(store.entries, []);
    primary.lose(ID);
  });

  it("store at most 1,000 answers of a worker at a time", () => {
    const { primary, worker, toWorker } = start();
    for (let number = 0; number < 1_000; number++) primary.take(worker, toPut(number), () => "s");
    assert.deepEqual(toWorker, []);
    primary.take(worker, toPut(1_000), () => "s");
    assert.deepEqual(toWorker, [[Kind.cacheDone, 1_000, "too-many"]]);
    primary.take(worker, [Kind.cachePutEnd, 0, false], () => "s");
    primary.take(worker, toPut(1_001), () => "s");
    assert.equal(toWorker.length, 2);
    primary.lose(ID);
  });

  it("fail the read of a body that breaks right behind its answer", async () => {
    const sent: ToPrimary[] = [];
    const calls = new CacheCalls({
      channel: { send: (message: ToPrimary) => void sent.push(message) },
      routeOf: () => 0,
      log: () => null,
    });
    const found = new Caches(calls).default.match(URL_A);
    await settle();
    const [number] = sent.flatMap((each) => (each[0] === Kind.cacheMatch ? [each[1]] : []));
    if (number === undefined) assert.fail();
    // Both come with one read of the channel.
    calls.receive([Kind.cacheAnswer, number, [200, "", "content-length\n100000"], true]);
    calls.receive([Kind.cacheBroken, number]);
    const response = (await found) ?? assert.fail();
    let error: unknown = null;
    response.arrayBuffer().catch((reason: unknown) => (error = reason));
    await settle();
    assert.match(String(error), /it is gone/);
  });

  it("find no answer of other code, and no stale one", async () => {
    const codeTags = ["old"];
    const { caches, store } = start({ codeTags });
    await caches.default.put(URL_A, new Response("old", { headers: FRESH }));
    assert.deepEqual(store.entries[0]?.head.tags, ["old"]);
    assert.equal(await (await caches.default.match(URL_A))?.text(), "old");
    codeTags.splice(0, 1, "new");
    assert.equal(await caches.default.match(URL_A), undefined);
  });

  it("end the worker that sends more than its credit", () => {
    const { primary, worker } = start();
    const put = [Kind.cachePut, 1, 0, null, URL_A, "", 200, "", "", true] as const;
    primary.take(worker, put, () => "s");
    const piece = [Kind.cachePiece, 1, new Uint8Array(60_000)] as const;
    assert.throws(() => primary.take(worker, put, () => "s"), { code: "ERR_PROTOCOL" });
    primary.take(worker, [Kind.cachePiece, 7, piece[2]], () => "s");
    const unaware = { id: 2 as WorkerId, channel: { send: () => {}, sendLent: () => {} } };
    primary.take(unaware, put, () => "s");
    assert.throws(
      () =>
        primary.take(
          unaware,
          [Kind.cachePiece, 1, new Uint8Array(CACHE_CREDIT_BYTES + 1)],
          () => "s",
        ),
      { code: "ERR_PROTOCOL" },
    );
  });
});

describe("the objects of caches", () => {
  const refused: [name: string, call: (caches: Caches) => Promise<unknown>, message: RegExp][] = [
    [
      "a method",
      (c) => c.default.put(new Request(URL_A, { method: "POST" }), new Response()),
      /POST, expected GET/,
    ],
    ["206", (c) => c.default.put(URL_A, new Response("", { status: 206 })), /206/],
    [
      "vary: *",
      (c) => c.default.put(URL_A, new Response("", { headers: { vary: "a, *" } })),
      /vary/,
    ],
    ["no response", (c) => c.default.put(URL_A, "text"), /expected a Response/],
    ["another scheme", (c) => c.default.put("data:,a", new Response()), /http or https/],
    ["no URL", (c) => c.default.match("/a"), /found "\/a", expected a Request/],
    ["a user in the URL", (c) => c.default.match("https://a:b@x.example/"), /user/],
    ["a long URL", (c) => c.default.match(URL_A + "a".repeat(70_000)), /characters/],
    ["no name", (c) => (c.open as () => Promise<unknown>)(), /no name/],
    ["a long name", (c) => c.open("a".repeat(70_000)), /characters/],
    [
      "ignoreVary",
      (c) => c.default.match(URL_A, { ignoreVary: true }),
      /ignoreVary: it is not there/,
    ],
    ["ignoreSearch", (c) => c.default.delete(URL_A, { ignoreSearch: true }), /ignoreSearch/],
    ["cache.add", (c) => c.default.add(), /cache\.add: it is not there/],
    ["cache.addAll", (c) => c.default.addAll(), /cache\.addAll: it is not there/],
    ["cache.keys", (c) => c.default.keys(), /cache\.keys: it is not there/],
    ["cache.matchAll", (c) => c.default.matchAll(), /cache\.matchAll: it is not there/],
    ["caches.has", (c) => c.has(), /caches\.has: it is not there/],
    ["caches.keys", (c) => c.keys(), /caches\.keys: it is not there/],
    ["caches.delete", (c) => c.delete(), /caches\.delete: it is not there/],
    ["caches.match", (c) => c.match(), /caches\.match: it is not there/],
  ];
  for (const [name, call, message] of refused) {
    it(`refuse ${name}`, async () => {
      const { caches, toPrimary } = start();
      await assert.rejects(call(caches), { name: "TypeError", message });
      assert.deepEqual(toPrimary, []);
    });
  }

  it("consume the body that is put, and refuse one that was read", async () => {
    const { caches } = start();
    const response = new Response("text", { headers: FRESH });
    await caches.default.put(URL_A, response);
    assert.equal(response.bodyUsed, true);
    await assert.rejects(caches.default.put(URL_A, response), { name: "TypeError" });
    await assert.rejects(caches.default.put(URL_A, Response.error()), { name: "TypeError" });
  });

  it("answer requests with another method only if asked to", async () => {
    const { caches } = start();
    await caches.default.put(URL_A, new Response("text", { headers: FRESH }));
    for (const method of ["HEAD", "POST"]) {
      const request = new Request(URL_A, { method });
      assert.equal(await caches.default.match(request), undefined);
      assert.equal(await caches.default.delete(request), false);
      const found = await caches.default.match(request, { ignoreMethod: true });
      assert.equal(await found?.text(), "text");
    }
    assert.equal(await caches.default.match("data:,a"), undefined);
  });

  it("look like those of the web", async () => {
    const { caches } = start();
    assert.equal(caches[Symbol.toStringTag], "CacheStorage");
    assert.equal((await caches.open("a"))[Symbol.toStringTag], "Cache");
    assert.equal(caches.default, caches.default);
  });
});
