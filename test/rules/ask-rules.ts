import assert from "node:assert/strict";
import pino from "pino";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import type { ExchangeId } from "../../runtime/channel/messages.ts";
import { Gates, type RuleGates } from "../../runtime/rules/gates.ts";
import { SharedTakings } from "../../runtime/limits/shared-takings.ts";
import { Counters } from "../../runtime/observe/counters.ts";
import { readRules, type RuleSetting } from "../../runtime/config/rule-settings.ts";
import type { UserRule } from "../../runtime/config/user-config.ts";
import type { RequestHead } from "../../runtime/http/client.ts";
import { applyFilters, type Reply, toRefusal } from "../../runtime/http/reply.ts";
import { parseTarget } from "../../runtime/http/target-path.ts";
import type { Canonical } from "../../runtime/rules/kind.ts";
import { compileRules } from "../../runtime/rules/compile-rules.ts";
import { serve, type Stage } from "../../runtime/site/site.ts";
import { FakeClient } from "../dispatch/fake-client.ts";

export interface Question extends Partial<Omit<RequestHead, "fields">> {
  /** Path and query. */
  target?: string;
  fields?: Record<string, string>;
}

/** The reply that leaves, and the target that the responder got; `null`: a rule answered. */
export interface Result extends Reply {
  field: (name: string) => string | null;
  served: { target: string; fields: string } | null;
}

/** Returns the checked rules. Fails on rules with a problem. */
export function toRules(rules: readonly UserRule[]): RuleSetting[] {
  const problems: string[] = [];
  const refuse = (key: string, _: unknown, expected: string): void => {
    problems.push(`${key}: ${expected}`);
  };
  const settings = readRules(rules, { key: "rules", folder: import.meta.dirname, refuse });
  assert.deepEqual(problems, []);
  return settings;
}

/** Creates the limits and the authentication of rules, without files and handlers. */
function createTestGates(rules: readonly RuleSetting[]): RuleGates {
  const gates = new Gates({
    log: pino({ enabled: false }),
    counters: new Counters(),
    takings: new SharedTakings({ send: () => {}, find: () => null, now: () => 0 }),
    spool: null,
    blocks: new BlockPool(),
    // Ids are made in tests only here.
    nextId: () => 1 as ExchangeId,
  });
  return gates.begin().createFor(rules, { site: "default", find: () => null });
}

/** Returns a function that asks a site with these rules, whose responder answers 200 "served". */
export function createSite(
  rules: readonly UserRule[],
  canonical: Canonical | null = null,
): (question: Question | string) => Result {
  let served: Result["served"] = null;
  const responder: Stage = (client, { pathname, search }) => {
    served = { target: pathname + search, fields: client.head.fields };
    client.reply({ status: 200, statusText: "", fields: "", body: "served", lengthBytes: null });
    return "done";
  };
  const settings = toRules(rules);
  const { stages } = compileRules(settings, {
    gates: createTestGates(settings),
    serveRest: (client, target) => void responder(client, target),
    canonical,
    nextId: () => assert.fail("no page"),
    proxyOf: () => assert.fail("no proxy"),
  });
  return (asked) => {
    const question = typeof asked === "string" ? { target: asked } : asked;
    served = null;
    const client = new FakeClient(1, question);
    const fields = Object.entries(question.fields ?? { host: "localhost" })
      .flat()
      .join("\n");
    Object.assign(client.head, { target: "/", ...question, fields });
    const target = parseTarget(client.head.target);
    assert.ok(target.ok, client.head.target);
    serve(client, target, { hosts: ["*"], stages: [...stages, responder], series: 0 });
    const [outcome, ...others] = client.outcomes;
    assert.deepEqual(others, []);
    assert.ok(outcome?.kind === "answered" || outcome?.kind === "refused", "an answer at once");
    const { status } = outcome.kind === "answered" ? outcome.response : outcome;
    const plain = outcome.kind === "answered" ? outcome.response : toRefusal(status);
    const reply = applyFilters(plain, client);
    const headers = new Headers();
    const parts = reply.fields === "" ? [] : reply.fields.split("\n");
    for (let at = 0; at < parts.length; at += 2)
      headers.append(parts[at] ?? "", parts[at + 1] ?? "");
    return { ...reply, field: (name) => headers.get(name), served };
  };
}
