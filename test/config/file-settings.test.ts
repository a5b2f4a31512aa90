import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readFileSettings } from "../../runtime/config/file-settings.ts";

/** `key: expected` of each problem. */
function problems(values: { pools?: unknown; warmup?: unknown; mounts?: unknown }): string[] {
  const result = readFileSettings(values, "/srv");
  assert.ok(!result.ok, "accepted");
  return result.problems.map(({ key, expected }) => `${key}: ${expected}`);
}

describe("readFileSettings()", () => {
  it("has nothing to say where nothing is said", () => {
    assert.deepEqual(readFileSettings({}, "/srv"), {
      ok: true,
      settings: {
        pools: {},
        warmup: [],
        mounts: [],
        rules: [],
        upstreams: [],
        bindings: [],
        stores: [{ kind: "embedded", name: "default", durability: "process" }],
        envVariables: null,
        sites: [],
        acme: null,
      },
    });
  });

  it("reads pools and paths", () => {
    const pools = {
      reports: { workers: 2, concurrency: 10, memoryLimit: "512mb", optional: true },
      constructor: {},
      default: { memoryLimit: "off" },
    };
    assert.deepEqual(readFileSettings({ pools, warmup: ["/", "/a?b=c"] }, "/srv"), {
      ok: true,
      settings: {
        pools: {
          reports: {
            workers: 2,
            concurrency: 10,
            memoryLimitBytes: 512 * 1024 ** 2,
            optional: true,
          },
          constructor: {
            workers: null,
            concurrency: null,
            memoryLimitBytes: null,
            optional: false,
          },
          default: { workers: null, concurrency: null, memoryLimitBytes: 0, optional: false },
        },
        warmup: ["/", "/a?b=c"],
        mounts: [],
        rules: [],
        upstreams: [],
        bindings: [],
        stores: [{ kind: "embedded", name: "default", durability: "process" }],
        envVariables: null,
        sites: [],
        acme: null,
      },
    });
  });

  it("names every key that is wrong, and what it may be", () => {
    assert.deepEqual(problems({ pools: [], warmup: "/" }), [
      "pools: an object: { reports: { workers: 2 } }",
      'warmup: a list of at most 100 paths: ["/"]',
    ]);
    const pools = {
      Reports: {},
      a: 3,
      b: { workers: 0, concurency: 1, memoryLimit: "1mb", optional: "yes" },
      default: { workers: 2 },
    };
    assert.deepEqual(problems({ pools, warmup: ["a", 7] }), [
      'pools.Reports: a name such as "reports" in lower-case letters, digits and "-"',
      "pools.a: an object: { workers: 2 }",
      'pools.b.concurency: "concurrency"',
      "pools.b.workers: a whole number from 1 to 1024",
      'pools.b.memoryLimit: a size from 64mb to 1024gb, such as "512mb", or "off"',
      "pools.b.optional: true or false",
      'pools.default.workers: none here: the key "workers" says it',
      'warmup[0]: a path that begins with "/", encoded as in a URL',
      'warmup[1]: a path that begins with "/", encoded as in a URL',
    ]);
  });
});
