import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { Relay, type RelayPlace } from "../../runtime/relay/relay.ts";
import {
  encodeRelayMessage,
  parseRelayMessage,
  type RelayMessage,
} from "../../runtime/relay/relay-message.ts";
import { connectRedis } from "../../runtime/stores/connect-redis.ts";
import { eventually } from "../helpers/eventually.ts";
import { createFakeLog, type FakeLog } from "../helpers/fake-log.ts";
import { noRedis, RedisServer } from "../helpers/redis-server.ts";

const PURGE: RelayMessage = { kind: "purge", entries: "tag:news", site: null };

const TAKEN: RelayMessage = {
  kind: "taken",
  takings: [
    [
      "rate a",
      [
        ["192.0.2.1", 3],
        ["", 1],
      ],
    ],
    ["rate b", []],
  ],
};

function topic(text: string): RelayMessage {
  return { kind: "topic", site: "default", topic: "t", bytes: Buffer.from(text), isBinary: false };
}

describe("parseRelayMessage()", () => {
  it("reads what the other side wrote", () => {
    for (const message of [PURGE, { ...PURGE, site: "shop" }, TAKEN, topic(""), topic("hello")]) {
      assert.deepEqual(parseRelayMessage(encodeRelayMessage("me", message)), {
        server: "me",
        message,
      });
    }
  });

  it("refuses everything else", () => {
    const good = encodeRelayMessage("me", topic("hello"));
    for (let end = 0; end < good.length; end++) {
      assert.equal(parseRelayMessage(good.subarray(0, end)), null, `${end} bytes`);
    }
    for (const takings of [
      [["rate a", [["192.0.2.1", 0]]]],
      [["rate a", [["192.0.2.1", 0.5]]]],
      [["rate a", [["x".repeat(129), 1]]]],
      [["rate a", [null]]],
      [["rate a"]],
      [[1, []]],
      ["rate a"],
    ] as never[]) {
      const bytes = encodeRelayMessage("me", { kind: "taken", takings });
      assert.equal(parseRelayMessage(bytes), null, JSON.stringify(takings));
    }
    for (const text of ["", "\xc1", "hello", "\x93\x01\xa2me\xa5other", "\x92\x02\xa2me"]) {
      assert.equal(parseRelayMessage(Buffer.from(text, "latin1")), null, text);
    }
  });
});

/** Starts servers that meet in one Redis. */
async function join(
  t: TestContext,
  place: RelayPlace,
): Promise<{ relay: Relay; heard: RelayMessage[]; log: FakeLog }> {
  const log = createFakeLog();
  const heard: RelayMessage[] = [];
  const relay = new Relay({ log: log.log, onMessage: (message) => heard.push(message) });
  t.after(() => relay.close());
  await relay.use(place);
  return { relay, heard, log };
}

/** Sends until the other server hears: both have connected then. */
async function meet(
  t: TestContext,
  { relay }: { relay: Relay },
  other: { heard: RelayMessage[] },
): Promise<void> {
  await eventually(t, () => {
    relay.send(PURGE);
    return other.heard.length > 0;
  });
  await settle(t, relay, other.heard);
}

/** Waits until nothing sent before is on its way. */
async function settle(t: TestContext, relay: Relay, heard: RelayMessage[]): Promise<void> {
  const last: RelayMessage = { kind: "purge", entries: "last", site: null };
  relay.send(last);
  await eventually(t, () => heard.some((each) => each.kind === "purge" && each.entries === "last"));
  heard.length = 0;
}

describe("Relay", { timeout: 120_000, skip: noRedis }, () => {
  it("passes messages on in their order to all other servers, and not back", async (t) => {
    const redis = await RedisServer.start(t);
    const place = { url: `unix:${redis.socket}`, prefix: "a", timeoutMs: 5_000 };
    const [one, two] = [await join(t, place), await join(t, place)];
    const stranger = await join(t, { ...place, prefix: "b" });
    await meet(t, one, two);
    await meet(t, two, one);
    const texts = Array.from({ length: 500 }, (_, at) => `${at}`);
    for (const text of texts) one.relay.send(topic(text));
    await eventually(t, () => two.heard.length === texts.length);
    assert.deepEqual(
      two.heard.map((message) => message.kind === "topic" && Buffer.from(message.bytes).toString()),
      texts,
    );
    assert.deepEqual([one.heard, stranger.heard], [[], []]);
    await one.relay.use(null);
    one.relay.send(topic("to no server"));
    two.heard.length = 0;
    await stranger.relay.use(place);
    await meet(t, two, stranger);
    await meet(t, stranger, two);
    assert.deepEqual([one.heard, two.heard], [[], []]);
  });

  it("goes on after Redis was killed and came back, and logs that messages were lost", async (t) => {
    const redis = await RedisServer.start(t);
    const place = { url: `unix:${redis.socket}`, prefix: "a", timeoutMs: 5_000 };
    const [one, two] = [await join(t, place), await join(t, place)];
    await meet(t, one, two);
    await redis.kill();
    await eventually(t, () => {
      one.relay.send(topic("lost"));
      return one.log.lines.some(({ msg }) => String(msg).startsWith("messages did not reach"));
    });
    await redis.start();
    await meet(t, one, two);
    assert.deepEqual(two.heard, []);
  });

  it("connects again when Redis gives no answer for too long", async (t) => {
    const redis = await RedisServer.start(t);
    const place = { url: `unix:${redis.socket}`, prefix: "a", timeoutMs: 1_000 };
    const [one, two] = [await join(t, place), await join(t, place)];
    // On a busy machine a connection may be given up before, too: no single message is sure to arrive.
    await eventually(t, () => {
      one.relay.send(PURGE);
      return two.heard.length > 0;
    });
    process.kill(redis.pid, "SIGSTOP");
    try {
      one.relay.send(topic("lost"));
      await one.log.until(({ msg }) => String(msg).startsWith("a connection of the relay"));
    } finally {
      process.kill(redis.pid, "SIGCONT");
    }
    // Redis may still deliver the message that it did not answer.
    const again = Buffer.from("again");
    await eventually(t, () => {
      one.relay.send(topic("again"));
      return two.heard.some((each) => each.kind === "topic" && again.equals(each.bytes));
    });
  });

  it("goes on after a message whose receiver failed, and logs it", async (t) => {
    const redis = await RedisServer.start(t);
    const place = { url: `unix:${redis.socket}`, prefix: "a", timeoutMs: 5_000 };
    const log = createFakeLog();
    const failing = new Relay({
      log: log.log,
      onMessage: () => {
        throw new Error("as told");
      },
    });
    t.after(() => failing.close());
    await failing.use(place);
    const other = await join(t, place);
    const failures = (): number =>
      log.lines.filter(({ msg }) => msg === "message of another server failed: bug").length;
    await eventually(t, () => {
      other.relay.send(PURGE);
      return failures() > 1;
    });
  });

  it("ignores texts that no server sent", async (t) => {
    const redis = await RedisServer.start(t);
    const place = { url: `unix:${redis.socket}`, prefix: "a", timeoutMs: 5_000 };
    const [one, two] = [await join(t, place), await join(t, place)];
    await meet(t, one, two);
    const client = await connectRedis(place);
    t.after(() => client.destroy());
    await client.publish("a:relay", "not of a server");
    await eventually(t, () =>
      two.log.lines.some(({ msg }) => String(msg).includes("unknown form")),
    );
    await meet(t, one, two);
    assert.deepEqual(two.heard, []);
  });
});
