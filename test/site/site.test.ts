import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Responder } from "../../runtime/http/responder.ts";
import { parseTarget, type ParsedTarget } from "../../runtime/http/target-path.ts";
import { serve, type Stage } from "../../runtime/site/site.ts";
import { answerHealth } from "../../runtime/site/stages/answer-health.ts";
import { answerLive, answerReady } from "../../runtime/site/stages/answer-probes.ts";
import { FakeClient } from "../dispatch/fake-client.ts";

function toTarget(text: string): ParsedTarget {
  const target = parseTarget(text);
  assert.ok(target.ok);
  return target;
}

function statusOf({ outcomes: [outcome] }: FakeClient): number | null {
  if (outcome?.kind === "answered") return outcome.response.status;
  return outcome?.kind === "refused" ? outcome.status : null;
}

const TEAPOT: Responder = { answer: (client) => client.refuse(418) };
const NEVER: Stage = () => assert.fail("a stage before it has answered");
const FORBID: Stage = (client) => {
  client.refuse(403);
  return "done";
};

/** Serves a request of one client. */
function ask(stages: readonly Stage[], path = "/", method = "GET"): FakeClient {
  const client = new FakeClient(1, { method });
  serve(client, toTarget(path), { hosts: ["*"], stages, series: 0 });
  return client;
}

describe("serve()", () => {
  it("asks one stage after the other until one answers or names a responder", () => {
    const seen: string[] = [];
    const look: Stage = (_, { pathname }) => {
      seen.push(pathname);
      return "next";
    };
    assert.equal(statusOf(ask([look, look, () => TEAPOT, NEVER], "/a")), 418);
    assert.equal(statusOf(ask([look, FORBID, NEVER], "/b")), 403);
    assert.deepEqual(seen, ["/a", "/a", "/b"]);
  });

  it("refuses with 404 when no stage takes the request", () => {
    assert.equal(statusOf(ask([() => "next"])), 404);
    assert.equal(statusOf(ask([])), 404);
  });
});

describe("answerHealth()", () => {
  it("answers its path only, by whether the server can serve", () => {
    let canServe = true;
    const stages = [answerHealth("/healthz", () => canServe)];
    assert.equal(statusOf(ask(stages, "/healthz?x")), 200);
    assert.equal(statusOf(ask(stages, "/healthz", "HEAD")), 200);
    assert.equal(statusOf(ask(stages, "/healthz", "POST")), 405);
    assert.equal(statusOf(ask(stages, "/healthz/")), 404);
    canServe = false;
    assert.equal(statusOf(ask(stages, "/healthz")), 503);
  });
});

describe("answerLive(), answerReady()", () => {
  it("answer their paths, and leave good answers out of the access log", () => {
    let isReady = true;
    const stages = [answerLive("/livez"), answerReady("/readyz", () => isReady)];
    const outcomes = (): unknown[] =>
      ["/livez", "/readyz", "/other"].map((path) => {
        const client = ask(stages, path);
        return [statusOf(client), client.isLogged];
      });
    assert.deepEqual(outcomes(), [
      [200, false],
      [200, false],
      [404, true],
    ]);
    isReady = false;
    assert.deepEqual(outcomes(), [
      [200, false],
      [503, true],
      [404, true],
    ]);
  });
});
