import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatExplanation } from "../../runtime/cli/format-explanation.ts";
import type { Explanation } from "../../runtime/control/explanation.ts";

const PLAIN: Explanation = {
  request: { method: "GET", url: "https://a.test/users/me", client: "192.0.2.7", peer: "10.0.0.1" },
  site: { name: "a.test", hosts: ["a.test"] },
  certificate: { names: ["a.test"], file: "/certs/a.crt", notAfter: "2030-01-01T00:00:00.000Z" },
  steps: [
    { name: "rateLimit", rules: ["rules[0] in c.ts"], decides: false, notes: ["rules[0]: 9 left"] },
    { name: "routes", rules: [], decides: true, notes: [] },
  ],
  verdict: { kind: "handler" },
  limits: [{ name: "bodyLimit", value: "1mb", from: "default" }],
  remarks: [],
};

const ROUTE: NonNullable<Explanation["route"]> = {
  kind: "route",
  pattern: "/users/me",
  file: "users/me.ts",
  use: "route",
  params: {},
  methods: ["GET", "HEAD"],
  losers: [{ pattern: "/users/:id", file: "users/[id].ts" }],
};

describe("formatExplanation()", () => {
  it("tells the way of a request to a handler", () => {
    const pool = { kind: "pool", pool: "default", ready: 1, workers: 2 } as const;
    assert.equal(
      formatExplanation({ ...PLAIN, route: ROUTE, pool }),
      `GET https://a.test/users/me
answer: the handler users/me.ts decides

client       192.0.2.7, named by the trusted proxy 10.0.0.1
site         a.test
certificate  /certs/a.crt, until 2030-01-01T00:00:00.000Z
route        /users/me in users/me.ts
pool         default, 1 of 2 workers ready

routes that match and are less specific
  /users/:id  users/[id].ts

steps
     rateLimit  passes   rules[0] in c.ts
      rules[0]: 9 left
  >  routes     decides

limits
  bodyLimit  1mb  default
`,
    );
  });

  const verdicts: [change: Partial<Explanation>, answer: string][] = [
    [{ verdict: { kind: "reply", status: 404, location: null } }, "404, by routes"],
    [{ verdict: { kind: "reply", status: 301, location: "/new" } }, "301 to /new, by routes"],
    [{ verdict: { kind: "cached", status: 200 } }, "200 from the response cache"],
    [{ verdict: { kind: "proxy" } }, "the upstream server decides, by routes"],
    [
      { route: ROUTE, request: { ...PLAIN.request, method: "POST" } },
      "405: the route has only GET, HEAD",
    ],
    [{ verdict: { kind: "open" } }, "no decision within the time of an explanation, by routes"],
  ];
  for (const [change, answer] of verdicts) {
    it(`says "${answer}"`, () => {
      assert.equal(formatExplanation({ ...PLAIN, ...change }).split("\n")[1], `answer: ${answer}`);
    });
  }
});
