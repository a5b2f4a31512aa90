import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatConfig } from "../../runtime/cli/format-config.ts";
import { formatRoutes } from "../../runtime/cli/format-routes.ts";

describe("formatConfig()", () => {
  it("shows first the settings that an operator has set", () => {
    const text = formatConfig({
      configFile: "/srv/edgicorn.config.ts",
      envFiles: ["/srv/.env"],
      variables: ["DB_PASSWORD"],
      settings: [
        { name: "http", value: "8080", from: "default" },
        { name: "bodyLimit", value: "2mb", from: "--body-limit" },
      ],
      sites: [
        {
          name: "a.test",
          hosts: ["a.test", "www.a.test"],
          settings: [{ name: "cache", value: "on", from: 'sites["a.test"].cache in c.ts' }],
        },
        { name: "b.test", hosts: ["b.test"], settings: [] },
      ],
      others: [{ name: "rules[0]", value: `{"to":"${"x".repeat(80)}"}`, from: "rules[0] in c.ts" }],
    });
    assert.equal(
      text,
      `config file: /srv/edgicorn.config.ts
variables from /srv/.env: DB_PASSWORD

set
  bodyLimit  2mb  --body-limit

site a.test (www.a.test)
  cache  on  sites["a.test"].cache in c.ts

site b.test
  no settings of its own

more keys
  rules[0]  {"to":"${"x".repeat(50)}...  rules[0] in c.ts

defaults
  http  8080
`,
    );
  });
});

describe("formatRoutes()", () => {
  it("shows each route with the routes over which it wins", () => {
    const route = { site: "default", use: "route", methods: [], pool: "default" } as const;
    const text = formatRoutes([
      { ...route, pattern: "/a/:id", file: "a/[id].ts", settings: [] },
      {
        ...route,
        methods: ["GET", "HEAD"],
        pattern: "/a/b",
        file: "a/b.ts",
        settings: [{ name: "timeoutMs", value: "5s" }],
      },
      { ...route, use: "fallback", pattern: "/**", file: "_404.ts", settings: [] },
    ]);
    assert.equal(
      text,
      `methods    path    file       pool     settings      wins over
any        /a/:id  a/[id].ts  default
GET,HEAD   /a/b    a/b.ts     default  timeoutMs=5s  /a/:id
not found  /**     _404.ts    default
`,
    );
  });

  it("has a line for a server without routes", () => {
    assert.equal(formatRoutes([]), "no routes\n");
  });
});
