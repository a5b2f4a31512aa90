import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type AccessLine,
  createLineFilter,
  parseAccessLine,
} from "../../../runtime/cli/logs/line-filter.ts";
import { findLogFiles } from "../../../runtime/cli/logs/log-files.ts";
import type { RouteInfo } from "../../../runtime/control/operations.ts";

const LINE: AccessLine = {
  time: "2026-01-01T00:00:00.000Z",
  clientAddress: "192.0.2.1",
  host: "a.test:8080",
  method: "GET",
  path: "/users/7",
  status: 404,
  bytes: 1,
  durationMs: 500,
  worker: 1,
  requestId: "r-1",
};

const ROUTES: RouteInfo[] = ["/users/me", "/users/:id", "/**:rest"].map((pattern) => ({
  site: "default",
  use: "route",
  methods: [],
  pattern,
  file: "",
  pool: "",
  settings: [],
}));

describe("createLineFilter()", () => {
  const cases: [flags: Record<string, string[]>, line: Partial<AccessLine>, isShown: boolean][] = [
    [{ status: ["404"] }, {}, true],
    [{ status: ["5xx,4xx"] }, {}, true],
    [{ status: ["5xx"] }, {}, false],
    [{ status: ["5xx", "404"] }, {}, true],
    [{ method: ["get"] }, {}, true],
    [{ method: ["POST"] }, {}, false],
    [{ host: ["A.test"] }, {}, true],
    [{ host: ["a.test:8080"] }, {}, true],
    [{ host: ["b.test"] }, {}, false],
    [{ host: ["a.test"] }, { host: null }, false],
    [{ slower: ["499ms"] }, {}, true],
    [{ slower: ["0.5s"] }, {}, false],
    [{ route: ["/users/:id"] }, {}, true],
    [{ route: ["/users/:id"] }, { path: "/users/me" }, false],
    [{ route: ["/users/me"] }, { path: "/users/%6de" }, true],
    [{ route: ["/**:rest"] }, { path: "*" }, false],
    [{ status: ["404"], method: ["POST"] }, {}, false],
  ];
  for (const [flags, change, isShown] of cases) {
    it(`${isShown ? "shows" : "hides"} ${JSON.stringify(change)} for ${JSON.stringify(flags)}`, () => {
      const { filter, problems } = createLineFilter(flags, ROUTES);
      assert.deepEqual(problems, []);
      assert.equal(filter?.({ ...LINE, ...change }), isShown);
    });
  }

  it("names wrong values, and has no filter without flags", () => {
    const flags = {
      status: ["6xx"],
      slower: ["5"],
      method: [""],
      host: [""],
      route: ["/users/:i"],
    };
    assert.deepEqual(createLineFilter(flags, ROUTES).problems.toSorted(), [
      'Cannot use --host: found "", expected a host name',
      'Cannot use --method: found "", expected a method',
      'Cannot use --route: found "/users/:i", expected a path that "edgicorn routes" lists (did you mean "/users/:id"?)',
      'Cannot use --slower: found "5", expected a duration with a unit, such as "500ms"',
      'Cannot use --status: found "6xx", expected statuses such as "404" and classes such as "5xx"',
    ]);
    assert.equal(createLineFilter({}, []).filter, null);
  });
});

describe("parseAccessLine()", () => {
  it("takes access lines only", () => {
    const text = JSON.stringify({ level: "info", component: "access", ...LINE });
    assert.equal(parseAccessLine(text)?.path, "/users/7");
    for (const other of [
      "",
      "text",
      '{"component":"access"',
      '{"component":"access"}',
      '{"msg":"x"}',
    ]) {
      assert.equal(parseAccessLine(other), null, other);
    }
  });
});

function toList(values: object): { name: string; value: string; from: string }[] {
  return Object.entries(values).map(([name, value]) => ({ name, value: String(value), from: "" }));
}

function assertReason(found: ReturnType<typeof findLogFiles>, expected: RegExp): void {
  assert.ok(typeof found === "string");
  assert.match(found, expected);
}

describe("findLogFiles()", () => {
  const BASE = { accessLog: "on", accessLogFormat: "json", logFile: "off", logFormat: "json" };

  function find(
    settings: Partial<typeof BASE>,
    site: Partial<typeof BASE> = {},
  ): ReturnType<typeof findLogFiles> {
    return findLogFiles({
      configFile: null,
      envFiles: [],
      variables: [],
      others: [],
      settings: toList({ ...BASE, ...settings }),
      sites: [{ name: "a.test", hosts: [], settings: toList(site) }],
    });
  }

  it("finds the files of all sites, each once", () => {
    assert.deepEqual(find({ accessLog: "/a.log" }), [{ path: "/a.log", isJson: true }]);
    const own = { accessLog: "/b.log", accessLogFormat: "combined" };
    assert.deepEqual(find({ logFile: "/all.log" }, own), [
      { path: "/all.log", isJson: true },
      { path: "/b.log", isJson: false },
    ]);
  });

  it("tells why there is none", () => {
    assertReason(find({ accessLog: "off" }), /^that accessLog is off/);
    assertReason(find({}), /^that the server writes it to its standard error, expected a file/);
  });
});
