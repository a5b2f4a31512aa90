import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { H3, defineHandler } from "h3";
import { Hono } from "hono";
import { Router } from "itty-router";
import {
  readErrorModule,
  readFallbackModule,
  readHandlerModule,
  readMiddlewareModule,
  type Shape,
} from "../../runtime/worker/handler-shape.ts";

const handle = (): Response => new Response("ok");

class App {
  fetch(): Response {
    return handle();
  }
}

/** The messages of what is wrong, `[]` if nothing is. */
function problemsOf(shape: Shape<unknown>): string[] {
  return shape.ok ? [] : shape.problems.map(({ message }) => message);
}

describe("readHandlerModule()", () => {
  const usable: [
    name: string,
    namespace: Record<string, unknown>,
    any: string | null,
    methods: string[],
  ][] = [
    ["a default function", { default: handle }, "function", []],
    ["module syntax", { default: { fetch: handle } }, "fetch", []],
    [
      "module syntax with scheduled()",
      { default: { fetch: handle, scheduled: handle } },
      "fetch",
      [],
    ],
    ["an instance of a class", { default: new App() }, "fetch", []],
    ["a Hono app", { default: new Hono() }, "fetch", []],
    ["an itty-router, which is a proxy", { default: Router() }, "fetch", []],
    ["an h3 app", { default: new H3() }, "fetch", []],
    ["an h3 handler, a function with fetch()", { default: defineHandler(() => "x") }, "fetch", []],
    [
      "a null-prototype object",
      { default: Object.assign(Object.create(null), { fetch: handle }) },
      "fetch",
      [],
    ],
    ["method exports", { GET: handle, DELETE: handle }, null, ["GET", "DELETE"]],
    ["an h3 handler as a method", { GET: defineHandler(() => "x") }, null, ["GET"]],
    ["default and method exports", { default: handle, POST: handle }, "function", ["POST"]],
    [
      "a default beside helpers of any name",
      { default: handle, get: handle, x: 1 },
      "function",
      [],
    ],
    ["module.exports = function", { default: handle, "module.exports": handle }, "function", []],
    [
      "default.default of CommonJS",
      { default: { __esModule: true, default: handle } },
      "function",
      [],
    ],
    ["methods of CommonJS", { default: { GET: handle } }, null, ["GET"]],
    [
      "default and methods of CommonJS",
      { default: { default: handle, PUT: handle }, x: 1 },
      "function",
      ["PUT"],
    ],
  ];
  for (const [name, namespace, any, methods] of usable) {
    it(`takes ${name}`, () => {
      const shape = readHandlerModule(namespace, null);
      assert.ok(shape.ok, problemsOf(shape).join("\n"));
      assert.equal(shape.module.any?.kind ?? null, any);
      assert.deepEqual([...shape.module.methods.keys()], methods);
    });
  }

  const refused: [namespace: Record<string, unknown>, ...problems: string[]][] = [
    [{}, 'exports nothing, expected "export default" or a method such as "export const GET"'],
    [
      { handler: handle, x: 1 },
      'exports "handler", "x", expected "export default" or a method such as "export const GET"',
    ],
    [{ fetch: handle }, 'exports "fetch", expected "export default { fetch }"'],
    [{ get: handle }, 'exports "get", expected "GET": names of methods are upper case'],
    [
      { GET: handle, Post: handle },
      'exports "Post", expected "POST": names of methods are upper case',
    ],
    [{ GET: 3 }, 'export "GET" is number 3, expected a function'],
    [
      { GET: null, POST: {} },
      'export "GET" is null, expected a function',
      'export "POST" is object {}, expected a function',
    ],
    [
      { default: "hi" },
      'default export is string "hi", expected a function or an object with fetch()',
    ],
    [{ default: null }, "default export is null, expected a function or an object with fetch()"],
    [
      { default: [] },
      "default export is array of 0, expected a function or an object with fetch()",
    ],
    [
      { default: { fetsh: handle } },
      "default export is object { fetsh }, expected a function or an object with fetch()",
    ],
    [
      { default: { fetch: "x" } },
      'default export has a fetch that is string "x", expected a function',
    ],
    [
      { default: new Map() },
      "default export is instance of Map, expected a function or an object with fetch()",
    ],
    [
      { default: App },
      'default export is class App, expected an instance: "export default new ..."',
    ],
    [
      { default: Promise.resolve(handle) },
      "default export is a promise, expected a function or an object with fetch(): await it",
    ],
    [
      { default: new Response() },
      'default export is a Response, expected a function or an object with fetch(): make it for each request, "() => new Response(...)"',
    ],
    [
      { GET: handle, config: { methods: ["GET"] } },
      "config.methods is set, expected none: its exports already say which methods it answers",
    ],
  ];
  for (const [namespace, ...problems] of refused) {
    it(`refuses: ${problems[0]}`, () => {
      assert.deepEqual(problemsOf(readHandlerModule(namespace, null)), problems);
    });
  }

  it("holds a file to the method in its name", () => {
    assert.deepEqual(problemsOf(readHandlerModule({ default: handle }, "GET")), []);
    assert.deepEqual(problemsOf(readHandlerModule({ GET: handle }, "GET")), []);
    const found = 'exports "POST", expected "GET" or a default: the file\'s name says GET only';
    assert.deepEqual(problemsOf(readHandlerModule({ POST: handle }, "GET")), [found]);
    const config = { methods: ["GET"] };
    assert.deepEqual(problemsOf(readHandlerModule({ default: handle, config }, "GET")), [
      "config.methods is set, expected none: its name already says which methods it answers",
    ]);
  });

  it("takes a whole config", () => {
    const config = {
      methods: ["GET", "POST"],
      timeoutMs: 0,
      bodyLimitBytes: 1024,
      bodyTimeoutMs: 0,
      minBodyRateBytesPerSecond: 0,
      sendTimeoutMs: 90_000,
      reserved: true,
      pool: "reports",
      cache: { maxAgeMs: 1000, staleMs: 5 },
      rateLimit: { requests: 10, windowMs: 1000 },
      schedule: ["0 3 * * *"],
    };
    const shape = readHandlerModule({ default: handle, config }, null);
    assert.deepEqual(shape.ok && shape.module.config, config);
    for (const part of [{ cache: false }, { schedule: "*/5 * * * 1-5" }, {}, undefined]) {
      assert.deepEqual(problemsOf(readHandlerModule({ default: handle, config: part }, null)), []);
    }
  });

  const badConfigs: [config: unknown, ...problems: string[]][] = [
    ["fast", 'config is string "fast", expected an object'],
    [[], "config is array of 0, expected an object"],
    [{ timeout: 1 }, 'config has an unknown key "timeout", did you mean "timeoutMs"?'],
    [
      { requestTimeout: 1 },
      'config has an unknown key "requestTimeout", did you mean "timeoutMs"?',
    ],
    [
      { maxBodySize: 1 },
      'config has an unknown key "maxBodySize", expected one of bodyLimitBytes, bodyBufferBytes, cache, overflow, responseOverflow, timeoutMs, bodyTimeoutMs, minBodyRateBytesPerSecond, sendTimeoutMs, webSocketOrigins, webSocketMessageLimitBytes, webSocketBufferBytes, webSocketPingMs, webSocketIdleTimeoutMs, reserved, replay, compression, pool, rateLimit, methods, schedule, queue',
    ],
    [
      { timeoutMs: "10s" },
      'config.timeoutMs is string "10s", expected whole milliseconds, 0 for no limit',
    ],
    [
      { timeoutMs: -1 },
      "config.timeoutMs is number -1, expected whole milliseconds, 0 for no limit",
    ],
    [{ timeoutMs: null }, "config.timeoutMs is null, expected whole milliseconds, 0 for no limit"],
    [{ replay: "no" }, 'config.replay is string "no", expected true or false'],
    [{ bodyLimitBytes: 1.5 }, "config.bodyLimitBytes is number 1.5, expected whole bytes"],
    [
      { methods: ["get"] },
      'config.methods is ["get"], expected a list of upper-case methods such as ["GET", "POST"]',
    ],
    [
      { methods: [] },
      'config.methods is [], expected a list of upper-case methods such as ["GET", "POST"]',
    ],
    [
      { cache: { maxAge: 1 } },
      "config.cache is object { maxAge }, expected true, false or { maxAgeMs?, staleMs?, query?, ignoreQuery?, cookies? }: whole milliseconds, and lists of names",
    ],
    [
      { rateLimit: { requests: 1 } },
      `config.rateLimit is object { requests }, expected a rate such as "100/min", "10/s" or "5000/12h", or { requests, windowMs } in whole numbers above 0`,
    ],
    [
      { schedule: "daily" },
      'config.schedule is string "daily", expected a cron expression such as "0 3 * * *", { cron, timeZone, overlap, catchUp } with overlap "skip", "queue" or "allow" and catchUp "none", "one" or "all", or a list of them, each once',
    ],
    [
      { timeoutMs: NaN, pool: 1 },
      "config.timeoutMs is number NaN, expected whole milliseconds, 0 for no limit",
      'config.pool is number 1, expected a name such as "reports" in lower-case letters, digits and "-"',
    ],
  ];
  for (const [config, ...problems] of badConfigs) {
    it(`refuses: ${problems[0]}`, () => {
      assert.deepEqual(problemsOf(readHandlerModule({ default: handle, config }, null)), problems);
    });
  }
});

describe("readMiddlewareModule()", () => {
  it("takes a default function and a config without methods", () => {
    const config = { timeoutMs: 5 };
    const shape = readMiddlewareModule({ default: handle, config });
    assert.deepEqual(shape, { ok: true, module: { handle, config } });
    assert.deepEqual(
      problemsOf(readMiddlewareModule({ default: handle, config: { methods: ["GET"] } })),
      [
        'config has an unknown key "methods", expected one of bodyLimitBytes, bodyBufferBytes, cache, overflow, responseOverflow, timeoutMs, bodyTimeoutMs, minBodyRateBytesPerSecond, sendTimeoutMs, webSocketOrigins, webSocketMessageLimitBytes, webSocketBufferBytes, webSocketPingMs, webSocketIdleTimeoutMs, reserved, replay, compression, pool, rateLimit, files',
      ],
    );
  });

  it("refuses anything else", () => {
    const form = "expected a function (request, context, next) => Response";
    assert.deepEqual(problemsOf(readMiddlewareModule({})), [`there is no default export, ${form}`]);
    assert.deepEqual(problemsOf(readMiddlewareModule({ default: { fetch: handle } })), [
      `default export is object { fetch }, ${form}`,
    ]);
    assert.deepEqual(problemsOf(readMiddlewareModule({ default: App })), [
      `default export is class App, ${form}`,
    ]);
  });
});

describe("readErrorModule(), readFallbackModule()", () => {
  it("take a default export", () => {
    assert.deepEqual(readErrorModule({ default: handle }), { ok: true, module: handle });
    assert.ok(readFallbackModule({ default: handle }).ok);
    assert.ok(readFallbackModule({ default: new Hono() }).ok);
    assert.ok(readFallbackModule({ default: { default: handle } }).ok);
  });

  it("refuse anything else", () => {
    assert.deepEqual(problemsOf(readErrorModule({ default: 1 })), [
      "default export is number 1, expected a function (error, request, context) => Response",
    ]);
    assert.deepEqual(problemsOf(readErrorModule({ default: handle, config: {} })), [
      'exports "config", expected only "export default"',
    ]);
    assert.deepEqual(problemsOf(readFallbackModule({ GET: handle })), [
      'exports "GET", expected only "export default"',
    ]);
    assert.deepEqual(problemsOf(readFallbackModule({})), [
      'exports nothing, expected "export default" or a method such as "export const GET"',
    ]);
  });
});
