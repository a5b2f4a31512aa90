import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CacheByPolicy } from "../../runtime/cache/by-policy.ts";
import { parseTarget } from "../../runtime/http/target-path.ts";
import { FakeClient } from "../dispatch/fake-client.ts";
import { answerOf, ON, Origin } from "./origin.ts";

describe("CacheByPolicy", () => {
  it("uses the cache only for requests whose rule or site has a policy", () => {
    const rows = [
      ["off", undefined, 2],
      [ON, undefined, 1],
      ["off", ON, 1],
      [ON, "off", 2],
    ] as const;
    for (const [site, rule, calls] of rows) {
      const origin = new Origin();
      const responder = new CacheByPolicy(origin, {
        cache: origin.cache,
        policy: site,
        destination: "a",
      });
      for (let at = 1; at <= 2; at++) {
        const client = new FakeClient(at, { target: "/" });
        const target = parseTarget("/");
        assert.ok(target.ok);
        if (rule !== undefined) target.settings = { cache: rule };
        responder.answer(client, target);
        if (!client.settled) origin.call.reply("cache-control\npublic, max-age=60");
        assert.equal(answerOf(client).body, "body");
      }
      assert.equal(origin.calls.length, calls);
    }
  });

  it("passes requests for a WebSocket on, which a handler's cache answers", () => {
    const origin = new Origin();
    const proxy = new CacheByPolicy(origin, { cache: origin.cache, policy: ON, destination: "a" });
    const target = parseTarget("/");
    assert.ok(target.ok);
    for (const [responder, calls] of [
      [proxy, 3],
      [origin.responder, 1],
    ] as const) {
      origin.calls.length = 0;
      for (let at = 1; at <= 3; at++) {
        const client = Object.assign(new FakeClient(at, { target: "/" }), {
          webSocket: { isCurrent: true, accept: () => null },
        });
        responder.answer(client, target);
        if (!client.settled) origin.call.reply("cache-control\npublic, max-age=60");
        assert.equal(answerOf(client).body, "body");
      }
      assert.equal(origin.calls.length, calls);
    }
  });
});
