import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  findBindingProblems,
  findQueueProblems,
  findSharedStoreProblem,
  readBindings,
  readEnvVariables,
  readStores,
} from "../../runtime/config/binding-settings.ts";
import type { BindingSetting } from "../../runtime/lib/binding-settings.ts";
import { maskSecrets } from "../../runtime/config/mask-secrets.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

type Problem = [key: string, value: unknown, expected: string];

function read<T>(run: (refuse: (...problem: Problem) => void) => T): {
  result: T;
  problems: Problem[];
} {
  const problems: Problem[] = [];
  const result = run((...problem) => problems.push(problem));
  return { result, problems };
}

/** Readings of `{ queue: ... }`: the binding, or the keys that are refused. */
const QUEUES: readonly [given: unknown, expected: { space: string; limit: number } | string[]][] = [
  ["jobs", { space: "jobs", limit: 100_000 }],
  ["a.b-c_9", { space: "a.b-c_9", limit: 100_000 }],
  ["x".repeat(64), { space: "x".repeat(64), limit: 100_000 }],
  [{ name: "jobs" }, { space: "jobs", limit: 100_000 }],
  [
    { name: "jobs", limit: 1 },
    { space: "jobs", limit: 1 },
  ],
  [
    { name: "jobs", limit: 10_000_000 },
    { space: "jobs", limit: 10_000_000 },
  ],
  ["", [".name"]],
  ["two words", [".name"]],
  ["x".repeat(65), [".name"]],
  [5, [""]],
  [null, [""]],
  [{}, [".name"]],
  [{ name: 5 }, [".name"]],
  [{ name: "jobs", limit: 0 }, [".limit"]],
  [{ name: "jobs", limit: 1.5 }, [".limit"]],
  [{ name: "jobs", limit: "5" }, [".limit"]],
  [{ name: "jobs", limit: 10_000_001 }, [".limit"]],
  [{ name: "a b", limit: -1 }, [".name", ".limit"]],
  [{ name: "jobs", limits: 5 }, [".limits"]],
];

describe("readBindings() of a queue", () => {
  for (const [given, expected] of QUEUES) {
    it(`reads ${JSON.stringify(given)}`, () => {
      const bindings = { JOBS: { queue: given, store: "shared" } };
      const { result, problems } = read((refuse) =>
        readBindings(bindings, { folder: "/", refuse }),
      );
      const refused = problems.map(([key]) => key.replace(/^bindings\.JOBS\.queue/, ""));
      if (Array.isArray(expected)) {
        assert.deepEqual(refused, expected);
        return;
      }
      assert.deepEqual(refused, []);
      const value = { kind: "queue", store: "shared", ...expected };
      assert.deepEqual(result, [{ name: "JOBS", pools: null, sites: null, value }]);
    });
  }
});

describe("findQueueProblems()", () => {
  type Queue = readonly [space: string, store?: string, limit?: number];
  const cases: Readonly<Record<string, [queues: readonly Queue[], found: readonly number[]]>> = {
    "no queue": [[], []],
    "one queue": [[["jobs"]], []],
    "different queues": [[["jobs"], ["mail", "shared", 5]], []],
    "equal bindings of one queue": [
      [
        ["jobs", "shared", 5],
        ["jobs", "shared", 5],
      ],
      [],
    ],
    "another store": [[["jobs"], ["jobs", "shared"]], [1]],
    "another limit": [[["jobs"], ["jobs", "default", 5]], [1]],
    "each that differs from the first": [
      [["jobs"], ["jobs", "shared"], ["jobs"], ["jobs", "default", 7]],
      [1, 3],
    ],
  };
  for (const [name, [queues, expected]] of Object.entries(cases)) {
    it(`finds ${expected.length} problems in ${name}`, () => {
      const all = { pools: null, sites: null };
      const bindings: BindingSetting[] = queues.map(
        ([space, store = "default", limit = 10], at) => ({
          name: `Q${at}`,
          ...all,
          value: { kind: "queue", space, store, limit },
        }),
      );
      // Bindings of another kind may have the same name.
      bindings.push({ name: "KV", ...all, value: { kind: "kv", space: "jobs", store: "other" } });
      const found = findQueueProblems(bindings);
      assert.deepEqual(
        found.map((line) => /^Cannot use bindings\.Q(\d): /.exec(line)?.[1]),
        expected.map(String),
      );
      for (const line of found)
        assert.match(line, /expected those of bindings\.Q0: "default" and 10$/);
    });
  }
});

describe("readBindings()", () => {
  it("reads every kind", (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, "key"), "hunter2\r\n");
    const given = {
      GREETING: "hello",
      MODE: { var: "fast", pools: ["api"], sites: ["default", "Example.COM"] },
      LEVELS: { json: { low: [1, null], password: "hunter2" } },
      KEY: { secret: "key" },
      SESSIONS: { kv: "sessions", store: "shared" },
      HITS: { counter: "hits" },
      LOCKS: { lock: "jobs" },
      LIMITER: { rateLimit: { limit: 5, period: "1m" } },
      API: { service: "Shop.example" },
      SELF: { service: "default", pools: ["api"] },
      ASSETS: { assets: true },
      FILES: { assets: "shop.example" },
    };
    const { result, problems } = read((refuse) => readBindings(given, { folder, refuse }));
    assert.deepEqual(problems, []);
    const all = { pools: null, sites: null };
    const store = "default";
    assert.deepEqual(result, [
      { name: "GREETING", ...all, value: { kind: "var", text: "hello" } },
      {
        name: "MODE",
        pools: ["api"],
        sites: ["default", "example.com"],
        value: { kind: "var", text: "fast" },
      },
      {
        name: "LEVELS",
        ...all,
        value: { kind: "json", data: { low: [1, null], password: "hunter2" } },
      },
      {
        name: "KEY",
        ...all,
        value: { kind: "secret", file: join(folder, "key"), secret: "hunter2" },
      },
      { name: "SESSIONS", ...all, value: { kind: "kv", space: "sessions", store: "shared" } },
      { name: "HITS", ...all, value: { kind: "counter", space: "hits", store } },
      { name: "LOCKS", ...all, value: { kind: "lock", space: "jobs", store } },
      {
        name: "LIMITER",
        ...all,
        value: { kind: "rateLimit", space: "LIMITER", store, limit: 5, periodMs: 60_000 },
      },
      { name: "API", ...all, value: { kind: "service", site: "shop.example" } },
      { name: "SELF", ...all, pools: ["api"], value: { kind: "service", site: "default" } },
      { name: "ASSETS", ...all, value: { kind: "assets", site: null } },
      { name: "FILES", ...all, value: { kind: "assets", site: "shop.example" } },
    ]);
    assert.ok(!JSON.stringify(maskSecrets(result, "")).includes("hunter2"));
  });

  const wrong: [name: string, value: unknown, key: RegExp, expected: RegExp][] = [
    ["no object", 7, /^bindings$/, /an object/],
    ["a name", { "A-B": "x" }, /^bindings\.A-B$/, /letters, digits and underscores/],
    ["no kind", { A: {} }, /^bindings\.A$/, /one of var, json, secret, kv/],
    ["two kinds", { A: { kv: "a", lock: "b" } }, /^bindings\.A$/, /one of var/],
    ["an unknown key", { A: { kv: "a", pool: "b" } }, /^bindings\.A\.pool$/, /"pools"/],
    ["a namespace", { A: { kv: "a b" } }, /^bindings\.A\.kv$/, /up to 64/],
    ["pools", { A: { kv: "a", pools: "api" } }, /^bindings\.A\.pools$/, /a list of pools/],
    ["sites", { A: { kv: "a", sites: ["a b"] } }, /^bindings\.A\.sites$/, /names in "sites"/],
    [
      "a store of a text",
      { A: { var: "a", store: "b" } },
      /^bindings\.A\.store$/,
      /needs no store/,
    ],
    ["no JSON", { A: { json: () => 1 } }, /^bindings\.A\.json$/, /a value of JSON/],
    ["a missing file", { A: { secret: "none" } }, /^bindings\.A\.secret$/, /path of a file/],
    ["a service", { A: { service: true } }, /\.service$/, /name of a site/],
    ["a service by its path", { A: { service: "/users" } }, /\.service$/, /name of a site/],
    ["assets", { A: { assets: false } }, /\.assets$/, /true, the name of a site/],
    ["a store of assets", { A: { assets: true, store: "a" } }, /\.store$/, /none here/],
    ["a limit", { A: { rateLimit: { limit: 0, period: "1m" } } }, /\.rateLimit\.limit$/, /from 1/],
    ["a period", { A: { rateLimit: { limit: 1, period: 5 } } }, /\.rateLimit\.period$/, /unit/],
  ];
  for (const [name, given, key, expected] of wrong) {
    it(`refuses ${name}`, (t) => {
      const folder = temporaryFolder(t);
      const { problems } = read((refuse) => readBindings(given, { folder, refuse }));
      assert.match(problems[0]?.[0] ?? "", key);
      assert.match(problems[0]?.[2] ?? "", expected);
    });
  }

  it("shows no value that may be a secret", (t) => {
    const folder = temporaryFolder(t);
    const given = {
      A: { secret: "hunter2\nhunter2" },
      B: { vars: "hunter2" },
      C: { var: ["hunter2"] },
    };
    const { problems } = read((refuse) => readBindings(given, { folder, refuse }));
    assert.equal(problems.length, 3);
    assert.ok(!JSON.stringify(problems).includes("hunter2"));
  });
});

const place = (refuse: (...problem: Problem) => void) => ({ folder: "/", refuse });

describe("readStores()", () => {
  it("always has the default store", () => {
    const plain = { kind: "embedded", name: "default", durability: "process" };
    assert.deepEqual(read((refuse) => readStores(undefined, place(refuse))).result, [plain]);
    const { result } = read((refuse) =>
      readStores({ safe: { durability: "disk" } }, place(refuse)),
    );
    assert.deepEqual(result, [plain, { ...plain, name: "safe", durability: "disk" }]);
    const { problems } = read((refuse) =>
      readStores({ default: { durability: "x" } }, place(refuse)),
    );
    assert.deepEqual(problems, [["stores.default.durability", "x", '"process" or "disk"']]);
  });
});

describe("readStores(), with Redis", () => {
  it("reads addresses, and shows none in a message", () => {
    const stores = {
      a: { redis: "redis://user:hunter2@host:6379/2" },
      b: { redis: "unix:/run/redis.sock", prefix: "shop", timeout: "200ms" },
    };
    const { result, problems } = read((refuse) => readStores(stores, place(refuse)));
    assert.deepEqual(problems, []);
    const [, a, b] = result;
    const redis = { kind: "redis", prefix: "edgicorn", timeoutMs: 5_000 };
    assert.deepEqual(a, { ...redis, name: "a", url: "redis://user:hunter2@host:6379/2" });
    assert.deepEqual(b, {
      ...redis,
      name: "b",
      url: "unix:/run/redis.sock",
      prefix: "shop",
      timeoutMs: 200,
    });
    assert.ok(!JSON.stringify(maskSecrets(result, "")).includes("hunter2"));
    for (const wrong of ["http://a:hunter2@b", "redis:", "hunter2", 7]) {
      const refused = read((refuse) => readStores({ a: { redis: wrong } }, place(refuse)));
      assert.equal(refused.problems[0]?.[0], "stores.a.redis");
      assert.ok(!JSON.stringify(refused.problems).includes("hunter2"));
    }
    const misnamed = {
      a: { url: "redis://u:hunter2@h" },
      b: { redis: "redis://h", password: "hunter2" },
    };
    const hidden = read((refuse) => readStores(misnamed, place(refuse)));
    assert.deepEqual(
      hidden.problems.map(([key]) => key),
      ["stores.a.url", "stores.b.password"],
    );
    assert.ok(!JSON.stringify(hidden.problems).includes("hunter2"));
    const others = { a: { redis: "redis://a", prefix: "{", timeout: "0s", durability: "disk" } };
    const refused = read((refuse) => readStores(others, place(refuse)));
    assert.deepEqual(
      refused.problems.map(([key]) => key),
      ["stores.a.durability", "stores.a.prefix", "stores.a.timeout"],
    );
  });
});

describe("readEnvVariables()", () => {
  it("reads names, also with a star at the end", () => {
    const { result, problems } = read((refuse) => [
      readEnvVariables(undefined, refuse),
      readEnvVariables("all", refuse),
      readEnvVariables(["A", "B_*"], refuse),
      readEnvVariables([], refuse),
    ]);
    assert.deepEqual(result, [null, null, ["A", "B_*"], []]);
    assert.deepEqual(problems, []);
    for (const wrong of ["A", [7], ["*A"], ["A=B"]]) {
      const refused = read((refuse) => readEnvVariables(wrong, refuse));
      assert.equal(refused.problems[0]?.[0], "envVariables");
    }
  });
});

describe("findBindingProblems()", () => {
  it("names stores and sites that are not there", () => {
    const bindings = [
      {
        name: "A",
        pools: null,
        sites: ["b.example"],
        value: { kind: "kv", space: "a", store: "x" },
      },
    ] as const;
    const stores = [{ kind: "embedded", name: "default", durability: "disk" }] as const;
    const problems = findBindingProblems({ bindings, stores, sites: [{ name: "c.example" }] });
    assert.equal(problems.length, 2);
    assert.match(problems[0] ?? "", /bindings\.A\.store: found "x", expected one of default/);
    assert.match(problems[1] ?? "", /bindings\.A\.sites: found "b\.example".*default, c\.example/);
  });
});

describe("findSharedStoreProblem()", () => {
  const redis = { kind: "redis", url: "redis://a", prefix: "p", timeoutMs: 1_000 } as const;
  const embedded = { kind: "embedded", name: "default", durability: "process" } as const;

  it("accepts a store that several machines share", () => {
    const stores = [embedded, { ...redis, name: "shared" }];
    assert.deepEqual(findSharedStoreProblem(null, { stores, label: "cronStore" }), []);
    assert.deepEqual(findSharedStoreProblem("shared", { stores, label: "cronStore" }), []);
  });

  it("refuses other stores, and names those that fit", () => {
    const stores = [embedded, { ...redis, name: "shared" }];
    for (const cronStore of ["default", "none"]) {
      const [problem] = findSharedStoreProblem(cronStore, { stores, label: "cronStore" });
      assert.match(problem ?? "", /^Cannot use cronStore: found "\w+", expected one of shared, or/);
    }
    const found = { stores: [embedded], label: "--cron-store" };
    assert.match(findSharedStoreProblem("default", found)[0] ?? "", /expected a store with Redis/);
  });
});
