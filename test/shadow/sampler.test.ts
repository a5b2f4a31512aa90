import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ShadowEvent, ShadowSample } from "../../runtime/control/shadowing.ts";
import type { BodySource, ExchangeId } from "../../runtime/http/client.ts";
import { OwnClient } from "../../runtime/http/own-client.ts";
import { addFilter, isSource, type Reply } from "../../runtime/http/reply.ts";
import { Sampler, type SamplerOptions } from "../../runtime/shadow/sampler.ts";

const OPTIONS: SamplerOptions = {
  share: 1,
  withCredentials: false,
  random: () => 0,
  routeOf: () => "/route",
};

interface Asked {
  method?: string;
  fields?: string;
  target?: string;
}

/** Sends requests through a sampler, as a site does. */
class Bench {
  readonly sampler: Sampler;
  readonly #ending = new AbortController();
  readonly #events: AsyncGenerator<ShadowEvent>;
  replies: Reply[] = [];

  constructor(options: Partial<SamplerOptions> = {}) {
    this.sampler = new Sampler({ ...OPTIONS, ...options });
    this.#events = this.sampler.events(this.#ending.signal);
  }

  ask({ method = "GET", fields = "", target = "/a?b=c" }: Asked = {}): OwnClient {
    const head = {
      method,
      target,
      origin: "https://new.example",
      fields,
      bodyBytes: 0,
      clientAddress: "127.0.0.1",
    };
    // These clients are given to no channel, so the number need not be fresh.
    const id = 1 as ExchangeId;
    const onReply = (sent: Reply): void => void this.replies.push(sent);
    const client = new OwnClient({ id, head, isLogged: false, onReply });
    this.sampler.look(client);
    return client;
  }

  async next(): Promise<ShadowEvent | null> {
    const result = await this.#events.next();
    return result.done === true ? null : result.value;
  }

  async sample(): Promise<ShadowSample> {
    const event = await this.next();
    assert.equal(event?.type, "sample");
    return event;
  }

  end(): void {
    this.#ending.abort();
  }
}

function reply(body: Reply["body"], fields = "content-type\ntext/plain"): Reply {
  return { status: 200, statusText: "", fields, body, lengthBytes: null };
}

/** A body of two pieces. */
function createSource(state: BodySource["state"] = "ended"): BodySource {
  const pieces = [Buffer.from("ab"), Buffer.from("cd")];
  return {
    get state() {
      return pieces.length > 0 ? "open" : state;
    },
    onChange: null,
    read: () => pieces.shift() ?? null,
    cancel: () => {},
  };
}

function readAll(body: Reply["body"]): string {
  assert.ok(isSource(body));
  let text = "";
  for (let piece = body.read(100); piece !== null; piece = body.read(100)) text += String(piece);
  return text;
}

describe("Sampler", () => {
  it("begins with an event, and ends with the signal", async () => {
    const bench = new Bench();
    assert.deepEqual(await bench.next(), { type: "begun" });
    const next = bench.next();
    bench.end();
    assert.equal(await next, null);
  });

  it("hands out the answer as the visitor gets it, without secrets", async () => {
    const bench = new Bench();
    await bench.next();
    const fields =
      "host\nnew.example\ncookie\nsid=secret\nauthorization\nBasic secret\naccept\n*/*";
    const client = bench.ask({ fields });
    // A stage that comes later.
    addFilter(client, (before) => ({ ...before, fields: `${before.fields}\nx-late\n1` }));
    client.reply(reply("text", "content-type\ntext/plain\nset-cookie\nsid=secret; path=/"));
    const sample = await bench.sample();
    assert.doesNotMatch(JSON.stringify(sample), /secret/);
    assert.deepEqual(sample.answerFields, [
      ["content-type", "text/plain"],
      ["set-cookie", "sid"],
      ["x-late", "1"],
    ]);
    assert.deepEqual(sample.fields, [
      ["host", "new.example"],
      ["accept", "*/*"],
    ]);
    assert.equal(sample.body.kind === "digest" && sample.body.text, "text");
    assert.equal(bench.replies[0]?.body, "text");
  });

  it("hands out credentials when it is asked to", async () => {
    const bench = new Bench({ withCredentials: true });
    await bench.next();
    bench.ask({ fields: "cookie\nsid=secret" }).reply(reply("text"));
    assert.deepEqual((await bench.sample()).fields, [["cookie", "sid=secret"]]);
  });

  it("passes a stream on unchanged", async () => {
    const bench = new Bench();
    await bench.next();
    bench.ask().reply(reply(createSource()));
    assert.equal(readAll(bench.replies[0]?.body ?? null), "abcd");
    const { body } = await bench.sample();
    assert.ok(body.kind === "digest");
    assert.deepEqual([body.lengthBytes, body.text], [4, "abcd"]);
  });

  it("waits for no end of a large body or of a stream of events", async () => {
    const bench = new Bench();
    await bench.next();
    const large = Buffer.alloc(300_000);
    let isRead = false;
    const source: BodySource = {
      state: "open",
      onChange: null,
      read: () => (isRead ? null : large),
      cancel: () => {},
    };
    bench.ask({ target: "/large" }).reply(reply(source));
    const body = bench.replies[0]?.body ?? null;
    assert.ok(isSource(body));
    assert.equal(body.read(1_000_000), large);
    isRead = true;
    bench
      .ask({ target: "/events" })
      .reply(reply(createSource(), "content-type\ntext/event-stream"));
    for (const target of ["/large", "/events"]) {
      const sample = await bench.sample();
      assert.deepEqual([sample.target, sample.body.kind], [target, "unknown"]);
    }
    body.cancel();
    bench.ask().reply(reply("next"));
    assert.equal((await bench.sample()).counts.broken, 0);
  });

  it("counts visitors who leave, and bodies that break off", async () => {
    const bench = new Bench();
    await bench.next();
    bench.ask().leave();
    bench.ask().reply(reply(createSource("failed")));
    readAll(bench.replies[0]?.body ?? null);
    bench.ask().reply(reply("whole"));
    assert.deepEqual((await bench.sample()).counts, { skipped: 0, dropped: 0, broken: 2 });
  });

  it("leaves out other methods, and counts requests that cannot be compared", async () => {
    const bench = new Bench();
    await bench.next();
    for (const method of ["POST", "PUT", "DELETE", "PATCH", "get"]) {
      const client = bench.ask({ method });
      assert.equal(client.filters, null);
      client.reply(reply("other"));
    }
    for (const name of ["range", "if-none-match", "edgicorn-shadow"]) {
      bench.ask({ fields: `${name}\nx` }).reply(reply("skipped"));
    }
    bench.ask({ method: "HEAD" }).reply(reply("not sent"));
    const { method, body, counts } = await bench.sample();
    assert.deepEqual([method, body.kind, counts.skipped], ["HEAD", "none", 3]);
  });

  it("takes the share of the requests", async () => {
    const numbers = [0.9, 0.1, 0.5, 0.49];
    const bench = new Bench({ share: 0.5, random: () => numbers.shift() ?? 1 });
    await bench.next();
    for (const target of ["/0", "/1", "/2", "/3"]) bench.ask({ target }).reply(reply(target));
    const targets = [await bench.sample(), await bench.sample()].map(({ target }) => target);
    assert.deepEqual(targets.toSorted(), ["/1", "/3"]);
  });

  it("holds a bounded number of samples, whatever the reader does", async () => {
    const bench = new Bench();
    await bench.next();
    const clients = Array.from({ length: 1_000 }, () => bench.ask());
    assert.equal(clients.filter(({ filters }) => filters !== null).length, 64);
    for (const client of clients) client.leave();
    // HEAD has no body, so its samples are complete at once.
    for (let count = 0; count < 1_000; count++) bench.ask({ method: "HEAD" }).reply(reply(null));
    for (let count = 0; count < 128; count++) {
      assert.equal((await bench.sample()).counts.dropped, 936 + 872);
    }
    bench.ask({ method: "HEAD" }).reply(reply(null));
    const { counts } = await bench.sample();
    assert.deepEqual(counts, { skipped: 0, dropped: 936 + 872, broken: 64 });
  });
});
