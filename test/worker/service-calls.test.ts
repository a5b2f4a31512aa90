import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BODY_FOLLOWS, Kind, type ToPrimary } from "../../runtime/channel/messages.ts";
import { installWebObjects } from "../../runtime/web/install.ts";
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

  it("rejects with the reason of the primary", async () => {
    const calls = new ServiceCalls({ send: () => true });
    const api = calls.createFetcher({ name: "API", use: "service", site: "default" });
    const answer = api.fetch("/a");
    calls.receive([Kind.callAnswer, 1, null, "Cannot call: as told"]);
    await assert.rejects(answer, /as told/);
  });
});
