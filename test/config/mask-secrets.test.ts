import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { maskSecrets } from "../../runtime/config/mask-secrets.ts";

describe("maskSecrets()", () => {
  const cases: [name: string, value: unknown, masked: unknown][] = [
    ["adminToken", "t0p", "***"],
    ["tokens", 5, 5],
    ["to", "https://ada:lovelace@host:1/a", "https://***@host:1/a"],
    ["to", "https://host/a?api_key=1&page=2#c", "https://host/a?api_key=***&page=2#c"],
    [
      "",
      { kind: "users", users: [["ada", "$2y$x"]], realm: "R" },
      { kind: "users", users: "***", realm: "R" },
    ],
    [
      "setRequestFields",
      { authorization: "Bearer x", cookie: "a=b", "x-api-key": "k", "x-plain": "p" },
      { authorization: "***", cookie: "***", "x-api-key": "***", "x-plain": "p" },
    ],
    ["key", { cookie: "session" }, { cookie: "session" }],
    ["rules", [{ password: "p", list: ["a"] }], [{ password: "***", list: ["a"] }]],
    ["proxy", null, null],
  ];
  for (const [name, value, masked] of cases) {
    it(`masks ${name} ${JSON.stringify(value)}`, () => {
      assert.deepEqual(maskSecrets(value, name), masked);
    });
  }
});
