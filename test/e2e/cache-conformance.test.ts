import assert from "node:assert/strict";
import { once } from "node:events";
import { Agent, type IncomingMessage, request as startRequest } from "node:http";
import { after, before, describe, it, type TestContext } from "node:test";
import { buffer } from "node:stream/consumers";
import { findField } from "../../runtime/http/find-field.ts";
import {
  CONFORMANCE,
  type ConformanceCase,
  type Expectation,
  NOW_MS,
  type Step,
} from "../cache/conformance.ts";
import { type OriginRequest, startScriptedOrigin } from "../cache/scripted-origin.ts";
import { eventually } from "../helpers/eventually.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";

/** A case with paths of its own, and its state at the origin. */
class Run {
  readonly prefix: string;
  readonly each: ConformanceCase;
  step: Step = { expect: { isAsked: true } };
  number = 0;
  readonly asked: OriginRequest[] = [];

  constructor(each: ConformanceCase, at: number) {
    this.each = each;
    this.prefix = `/c${at}`;
  }
}

interface Difference {
  /** Why the server answers otherwise than its decisions alone. */
  reason: string;
  /** Changes of what the steps expect, in their order. */
  expect: readonly Partial<Expectation>[];
}

const DIFFERENCES: ReadonlyMap<string, Difference> = new Map([
  [
    "a 500 with a lifetime",
    {
      reason: "No failure is stored: it could outlive its cause.",
      expect: [{}, { isAsked: true }],
    },
  ],
  [
    "a HEAD request",
    {
      reason: "The server fetches the whole for a HEAD, and stores that.",
      expect: [{}, { isAsked: false }],
    },
  ],
  [
    "must-revalidate gives the error, not the entry",
    {
      reason: "A broken connection is a 502. RFC 9111 section 5.2.2.2 leaves the status open.",
      expect: [{}, { status: 502 }],
    },
  ],
  [
    "TRACE removes nothing",
    {
      reason: "The server answers TRACE itself.",
      expect: [{}, { isAsked: false, status: 405 }],
    },
  ],
]);

/** Returns why a case cannot run against a server; `null`: it can. */
function reasonToSkip({ steps, settings = {} }: ConformanceCase): string | null {
  if (steps.some(({ atSeconds = 0 }) => atSeconds !== 0)) return "needs a clock that the test sets";
  if (settings.heuristics === true) return "no setting makes the server estimate lifetimes";
  if (settings.targets !== undefined) return "no setting names other fields";
  const hasWishes = steps.some(
    ({ fields = {} }) => "cache-control" in fields || "pragma" in fields,
  );
  if (hasWishes && settings.obeysClients !== false)
    return "Cache-Control of requests has no effect";
  if (steps.some(({ origin }) => origin?.fields?.["age"] === "999")) {
    return "is stale within a second";
  }
  return null;
}

const RUNS = CONFORMANCE.map((each, at) => new Run(each, at));

const TIMEOUT = { timeout: 300_000 };
const owner = new SuiteOwner();
const agent = new Agent({ keepAlive: true, maxSockets: 16 });
let server: TestServer;

before(async () => {
  const origin = await startScriptedOrigin(owner, (request) => {
    const run = RUNS.find(({ prefix }) => request.target.startsWith(`${prefix}/`));
    assert.ok(run !== undefined, request.target);
    run.asked.push(request);
    const { step, number, prefix } = run;
    const answer = { body: String(number), ...step.origin };
    return { ...answer, fields: toSent(answer.fields ?? {}, prefix) };
  });
  server = await startServer(owner, {
    handlers: {},
    files: {
      "edgicorn.config.json": JSON.stringify({
        upstreams: { origin: { servers: [origin.url] } },
        proxy: "origin",
        cache: "on",
        rules: RUNS.flatMap(({ each, prefix }) =>
          each.settings === undefined
            ? []
            : [{ path: `${prefix}/**`, cache: toSetting(each.settings) }],
        ),
      }),
    },
  });
});

after(async () => {
  agent.destroy();
  await owner.end();
});

function toSetting(settings: NonNullable<ConformanceCase["settings"]>): object {
  const { ttlSeconds, query, cookies } = settings;
  const staleSeconds = settings.staleWhileRevalidateSeconds ?? settings.staleIfErrorSeconds;
  return {
    ...(ttlSeconds === undefined ? {} : { maxAge: `${ttlSeconds}s` }),
    ...(staleSeconds === undefined ? {} : { stale: `${staleSeconds}s` }),
    ...(query === undefined
      ? {}
      : "only" in query
        ? { query: query.only }
        : { ignoreQuery: query.except }),
    ...(cookies === undefined ? {} : { cookies }),
  };
}

/** Dates of the table are around `NOW_MS`, those of a server around its own clock. */
const SHIFT_MS = Math.floor(Date.now() / 1000) * 1000 - NOW_MS;

function shift(text: string): string {
  return text.replace(/\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT/g, (date) =>
    new Date(Date.parse(date) + SHIFT_MS).toUTCString(),
  );
}

type Sent = Record<string, string | string[]>;

function toSent(fields: NonNullable<Step["fields"]>, prefix: string): Sent {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => {
      if (name === "location" && value === "/a") return [name, prefix + value];
      return [name, typeof value === "string" ? shift(value) : value.map(shift)];
    }),
  );
}

interface Answer {
  status: number;
  fields: IncomingMessage["headers"];
  body: string | null;
}

async function ask({ prefix, step }: Run): Promise<Answer> {
  const { method = "GET", target = "/", fields = {} } = step;
  const sending = startRequest({
    host: "127.0.0.1",
    port: server.port("http"),
    path: prefix + target,
    method,
    headers: toSent(fields, prefix),
    agent,
  });
  sending.end();
  // The arguments of this event.
  const [incoming] = (await once(sending, "response")) as [IncomingMessage];
  const body = await buffer(incoming).then(String, () => null);
  return { status: incoming.statusCode ?? 0, fields: incoming.headers, body };
}

async function runCase(t: TestContext, run: Run): Promise<void> {
  let wasRefreshed = false;
  const differences = DIFFERENCES.get(run.each.name)?.expect ?? [];
  for (const [index, step] of run.each.steps.entries()) {
    const expect = { ...step.expect, ...differences[index] };
    run.step = step;
    run.number = index + 1;
    const askedSoFar = run.asked.length;
    let answer = await ask(run);
    // The answer of the last refresh may still be on its way into the cache.
    const mayBeLate = (): boolean => isStale(answer) && run.asked.length === askedSoFar;
    if (wasRefreshed) while (mayBeLate()) answer = await ask(run);
    const isLater = expect.isRefreshed ?? false;
    if (isLater) await eventually(t, () => run.asked.length > askedSoFar);
    wasRefreshed = isLater;
    const where = `step ${run.number}`;
    const asked = run.asked[askedSoFar];
    assert.equal(asked !== undefined, expect.isAsked || isLater, `${where}: the origin is asked`);
    if (step.origin?.isBroken === true && expect.isAsked) {
      // The proxy may see the end of a short body before it sends the head.
      assert.ok(
        answer.status === 502 || answer.body === null,
        `${where}: the client sees the break`,
      );
      continue;
    }
    check(answer, expect, { where, number: run.number });
    for (const [name, value] of Object.entries(expect.sees ?? {})) {
      const expected = value === null ? null : shift(value);
      assert.equal(
        findField(asked?.fields ?? "", name) ?? null,
        expected,
        `${where}: sees ${name}`,
      );
    }
  }
}

function isStale({ fields }: Answer): boolean {
  return /; hit; ttl=(?:-|0$)/.test(String(fields["cache-status"]));
}

function check(
  answer: Answer,
  expect: Expectation,
  { where, number }: { where: string; number: number },
): void {
  assert.equal(answer.status, expect.status ?? 200, `${where}: status`);
  const body = expect.body === undefined ? (expect.isAsked ? String(number) : "1") : expect.body;
  if (body !== null) assert.equal(answer.body, body, `${where}: body`);
  for (const [name, value] of Object.entries(expect.fields ?? {})) {
    const found = answer.fields[name] ?? null;
    if (value instanceof RegExp) assert.match(String(found), value, `${where}: ${name}`);
    // Time passes.
    else if (name === "age") assert.ok(Number(found) >= Number(value), `${where}: ${name}`);
    else assert.equal(found, value === null ? null : shift(value), `${where}: ${name}`);
  }
}

describe("differences of the server from the table", () => {
  it("are about cases that are there", () => {
    const names = new Set(CONFORMANCE.map(({ name }) => name));
    for (const name of DIFFERENCES.keys()) assert.ok(names.has(name), name);
  });
});

describe(
  "the cache of a server in front of a scripted origin",
  { ...TIMEOUT, concurrency: 16 },
  () => {
    for (const run of RUNS) {
      const { group, section, name } = run.each;
      const skip = reasonToSkip(run.each) ?? false;
      it(`${group}, RFC ${section}: ${name}`, { skip }, (t) => runCase(t, run));
    }
  },
);
