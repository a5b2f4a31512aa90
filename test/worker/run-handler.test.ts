import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { startRoute, startRunner, type Runner } from "./run-routes.ts";

function request(method = "GET", headers: Record<string, string> = {}): Request {
  return new Request("http://localhost/test", { method, headers });
}

/** Runs the first route and reads what comes back: `200 text`. */
async function answer({ routes, run }: Runner, sent = request()): Promise<string> {
  const response = await run(routes[0], sent);
  return `${response.status} ${await response.text()}`;
}

/** A request whose URL must not come back as markup. */
function attack(accept: string): Request {
  return new Request("http://localhost/?'<script>alert(1)</script>", { headers: { accept } });
}

/** Source of a middleware that appends a mark to the request on the way in and to the body on the way out. */
function middlewareThatMarks(mark: string): string {
  return `export default async (request, context, next) => {
    const trace = (request.headers.get("trace") ?? "") + "${mark}";
    const response = await next(new Request(request, { headers: { trace } }));
    return new Response(await response.text() + "${mark}", response);
  };`;
}

const OK = "export default () => new Response('ok');";
const PASS = "export default (request, context, next) => next();";

describe("runHandler()", () => {
  describe("forms", () => {
    it("calls functions with the context, and fetch() as a method with env and the context", async (t) => {
      const { routes, run } = await startRunner(t, {
        files: {
          "function.ts": `export default async function (request, context) {
            return Response.json([this === undefined, request.method, context.params, context.env.GREETING, arguments.length]);
          }`,
          "fetch.ts": `export default new class {
            name = "app";
            fetch(request, env, context) {
              return Response.json([this.name, env.GREETING, Object.isFrozen(env), context.params.id]);
            }
          }`,
        },
        routes: [
          { pattern: "/a/:id", handlers: [[null, "function.ts"]] },
          { pattern: "/b/:id", handlers: [[null, "fetch.ts"]] },
        ],
      });
      const first = await run(routes[0], request(), { id: "7" });
      assert.deepEqual(await first.json(), [false, "GET", { id: "7" }, "hello", 2]);
      const second = await run(routes[1], request(), { id: "8" });
      assert.deepEqual(await second.json(), ["app", "hello", true, "8"]);
    });

    it("stays synchronous when handler and middleware are", async (t) => {
      const plain = await startRoute(t, { "handler.ts": OK });
      assert.ok(plain.run(plain.routes[0]) instanceof Response);
      const wrapped = await startRoute(t, {
        "_middleware.ts": PASS,
        "inner/_middleware.ts": PASS,
        "handler.ts": OK,
      });
      assert.ok(wrapped.run(wrapped.routes[0]) instanceof Response);
      const failing = await startRoute(t, {
        "_error.ts": OK,
        "handler.ts": "export default () => { throw new Error('x') };",
      });
      assert.ok(failing.run(failing.routes[0]) instanceof Response);
    });

    it("leaves the response as it is, streams included", async (t) => {
      const runner = await startRoute(t, {
        "_middleware.ts": PASS,
        "handler.ts": `
          export const response = new Response(new ReadableStream({ pull() {} }, { highWaterMark: 0 }), { status: 201 });
          export default () => (globalThis.sentByTest = response);`,
      });
      const response = await runner.run(runner.routes[0]);
      assert.equal(response, (globalThis as { sentByTest?: Response }).sentByTest);
      assert.equal(response.bodyUsed, false);
      assert.equal(response.body?.locked, false);
    });

    it("takes the Response of another library", async (t) => {
      const runner = await startRoute(t, {
        "handler.ts": `
          class Foreign {
            status = 203; statusText = "Fine"; headers = new Headers([["set-cookie", "a"], ["set-cookie", "b"]]);
            body = new Blob(["foreign"]).stream();
            get [Symbol.toStringTag]() { return "Response"; }
          }
          export default async () => new Foreign();`,
      });
      const response = await runner.run(runner.routes[0]);
      assert.ok(response instanceof Response);
      assert.deepEqual(response.headers.getSetCookie(), ["a", "b"]);
      assert.equal(`${response.status} ${response.statusText}`, "203 Fine");
      assert.equal(await response.text(), "foreign");
    });
  });

  describe("apps of frameworks", () => {
    it("runs a Hono app, which sees env and the execution context", async (t) => {
      const runner = await startRoute(t, {
        "app.ts": `import { Hono } from "hono";
          const app = new Hono();
          app.get("/hono/:name", (c) => {
            c.executionCtx.waitUntil(Promise.reject(new Error("later")));
            c.executionCtx.passThroughOnException();
            return c.text(c.env.GREETING + " " + c.req.param("name"));
          });
          app.get("/throws", () => { throw new Error("inside"); });
          export default app;`,
        "handler.ts": "export { default } from './app.ts';",
      });
      const get = (path: string) => answer(runner, new Request(`http://localhost${path}`));
      assert.equal(await get("/hono/ann"), "200 hello ann");
      assert.equal(await get("/nowhere"), "404 404 Not Found");
      await runner.background.settled();
      assert.equal(runner.background.failures, 1);
      assert.equal(runner.log[0]?.msg, "waitUntil() promise was rejected");
      assert.equal(runner.log[0]?.err?.message, "later");
    });

    it("runs an itty-router", async (t) => {
      const runner = await startRoute(t, {
        "handler.ts": `import { AutoRouter } from "itty-router";
          const router = AutoRouter();
          router.get("/itty/:name", (request, env) => env.GREETING + " " + request.params.name);
          export default router;`,
      });
      const get = (path: string) => answer(runner, new Request(`http://localhost${path}`));
      assert.equal(await get("/itty/ann"), '200 "hello ann"');
      assert.equal(await get("/nowhere"), '404 {"status":404,"error":"Not Found"}');
    });

    it("runs an h3 app and an h3 handler", async (t) => {
      const app = await startRoute(t, {
        "handler.ts": `import { H3 } from "h3";
          const app = new H3();
          app.get("/h3/:name", (event) => ({ name: event.context.params.name }));
          app.get("/stream", () => new Blob(["streamed"]).stream());
          export default app;`,
      });
      const get = (path: string) => answer(app, new Request(`http://localhost${path}`));
      assert.equal(await get("/h3/ann"), '200 {"name":"ann"}');
      assert.equal(await get("/stream"), "200 streamed");
      assert.match(await get("/nowhere"), /^404 /);
      const handler = await startRoute(t, {
        "handler.ts": `import { defineHandler } from "h3";
          export default defineHandler((event) => "hi " + event.url.pathname);`,
      });
      assert.equal(await answer(handler), "200 hi /test");
    });
  });

  describe("methods", () => {
    const METHODS = {
      "handler.ts": `export const GET = (request) => new Response("get as " + request.method);
        export const POST = () => new Response("post");`,
    };

    it("picks the method's export; HEAD runs GET and keeps its name", async (t) => {
      const runner = await startRoute(t, METHODS);
      assert.equal(await answer(runner, request("GET")), "200 get as GET");
      assert.equal(await answer(runner, request("HEAD")), "200 get as HEAD");
      assert.equal(await answer(runner, request("POST")), "200 post");
    });

    it("answers OPTIONS with 204 and other methods with 405, both with Allow", async (t) => {
      const { routes, run } = await startRoute(t, METHODS);
      const allow = "GET, HEAD, POST, OPTIONS";
      const options = await run(routes[0], request("OPTIONS"));
      assert.deepEqual([options.status, options.headers.get("allow")], [204, allow]);
      const refused = await run(routes[0], request("DELETE"));
      assert.deepEqual([refused.status, refused.headers.get("allow")], [405, allow]);
    });

    it("prefers a HEAD and an OPTIONS export", async (t) => {
      const runner = await startRoute(t, {
        "handler.ts": `export const GET = () => new Response("get");
          export const HEAD = () => new Response(null, { status: 202 });
          export const OPTIONS = () => new Response("mine");`,
      });
      assert.equal(await answer(runner, request("HEAD")), "202 ");
      assert.equal(await answer(runner, request("OPTIONS")), "200 mine");
    });

    it("gives the default what no export answers, and leaves OPTIONS to it", async (t) => {
      const runner = await startRoute(t, {
        "handler.ts": `export const GET = () => new Response("get");
          export default (request) => new Response("any " + request.method);`,
      });
      assert.equal(await answer(runner, request("GET")), "200 get");
      assert.equal(await answer(runner, request("HEAD")), "200 get");
      assert.equal(await answer(runner, request("OPTIONS")), "200 any OPTIONS");
      assert.equal(await answer(runner, request("PURGE")), "200 any PURGE");
    });

    it("holds a default export to config.methods", async (t) => {
      const runner = await startRoute(t, {
        "handler.ts": `export const config = { methods: ["GET"] };
          export default (request) => new Response("any " + request.method);`,
      });
      assert.equal(await answer(runner, request("HEAD")), "200 any HEAD");
      const refused = await runner.run(runner.routes[0], request("PUT"));
      assert.deepEqual([refused.status, refused.headers.get("allow")], [405, "GET, HEAD, OPTIONS"]);
    });

    it("picks among the files of one route", async (t) => {
      const runner = await startRunner(t, {
        files: {
          "users.get.ts": "export default () => new Response('get');",
          "users.post.ts": "export const POST = () => new Response('post');",
          "users.ts": "export default (request) => new Response('any ' + request.method);",
        },
        routes: [
          {
            pattern: "/users",
            handlers: [
              ["GET", "users.get.ts"],
              ["POST", "users.post.ts"],
              [null, "users.ts"],
            ],
          },
        ],
      });
      assert.equal(await answer(runner, request("GET")), "200 get");
      assert.equal(await answer(runner, request("POST")), "200 post");
      assert.equal(await answer(runner, request("PUT")), "200 any PUT");
    });

    it("takes 405 and OPTIONS through the middleware, which may answer itself", async (t) => {
      const runner = await startRoute(t, {
        "_middleware.ts": `export default async (request, context, next) => {
          if (request.method === "OPTIONS") return new Response("cors");
          const response = await next();
          response.headers.set("x-seen", String(response.status));
          return response;
        };`,
        ...METHODS,
      });
      assert.equal(await answer(runner, request("OPTIONS")), "200 cors");
      const refused = await runner.run(runner.routes[0], request("DELETE"));
      assert.equal(refused.headers.get("x-seen"), "405");
    });
  });

  describe("middleware", () => {
    it("wraps from the outside in, and may replace request and response", async (t) => {
      const runner = await startRoute(t, {
        "_middleware.ts": middlewareThatMarks("1"),
        "a/_middleware.ts": middlewareThatMarks("2"),
        "a/b/_middleware.ts": middlewareThatMarks("3"),
        "handler.ts":
          "export default (request) => new Response(request.headers.get('trace') + '|', { status: 202 });",
      });
      assert.equal(await answer(runner), "202 123|321");
    });

    it("picks the handler by the method of the request that it is given", async (t) => {
      const runner = await startRoute(t, {
        "_middleware.ts":
          "export default (request, context, next) => next(new Request(request, { method: 'DELETE' }));",
        "handler.ts": `export const POST = () => new Response("post");
          export const DELETE = () => new Response("delete");`,
      });
      assert.equal(await answer(runner, request("POST")), "200 delete");
    });

    it("may answer without the handler", async (t) => {
      const runner = await startRoute(t, {
        "_middleware.ts": "export default () => new Response('no', { status: 401 });",
        "handler.ts": "export default () => { throw new Error('unreachable') };",
      });
      assert.equal(await answer(runner), "401 no");
      assert.deepEqual(runner.log, []);
    });

    it("may catch what comes from inside, thrown or rejected, and a wrong return value", async (t) => {
      const middleware = `export default async (request, context, next) => {
        try { return await next(); } catch (error) { return new Response("caught " + error.message); }
      };`;
      const handlers = {
        "() => { throw new Error('x') }": "200 caught x",
        "async () => { throw new Error('y') }": "200 caught y",
        "async () => 5":
          "200 caught Cannot send what handlers/handler.ts returned: found number 5, expected a Response",
      };
      for (const [handler, expected] of Object.entries(handlers)) {
        const runner = await startRoute(t, {
          "_middleware.ts": middleware,
          "inner/_middleware.ts": PASS,
          "handler.ts": `export default ${handler};`,
        });
        assert.equal(await answer(runner), expected);
        assert.deepEqual(runner.log, []);
      }
    });

    it("is where the log says that a mistake with next() is, not in our own code", async (t) => {
      const runner = await startRoute(t, {
        "_middleware.ts":
          "type A = 1;\nexport default (request, context, next) => {\n  next();\n  return next();\n};",
        "handler.ts": OK,
      });
      assert.match(await answer(runner), /^500 /);
      assert.deepEqual([runner.log[0]?.file, runner.log[0]?.line], ["handlers/_middleware.ts", 4]);
    });

    it("fails when it calls next() twice, gives it no request, or returns nothing", async (t) => {
      const mistakes = {
        "async (request, context, next) => { await next(); return next(); }":
          "Cannot call next() twice in handlers/_middleware.ts",
        "(request, context, next) => next(new Error('express'))":
          "Cannot call next() in handlers/_middleware.ts: found instance of Error, expected a Request or nothing",
        "async (request, context, next) => { await next(); }":
          'Cannot send what handlers/_middleware.ts returned: found undefined, expected a Response (is a "return" missing?)',
      };
      for (const [middleware, message] of Object.entries(mistakes)) {
        const runner = await startRoute(t, {
          "_middleware.ts": `export default ${middleware};`,
          "handler.ts": OK,
        });
        assert.match(await answer(runner), /^500 Internal Server Error/);
        assert.deepEqual(
          runner.log.map(({ err }) => err?.message),
          [message],
        );
      }
    });
  });

  describe("failures", () => {
    const THROWS: [what: string, handler: string, message: string][] = [
      ["throws", "() => { throw new Error('secret') }", "secret"],
      ["rejects", "async () => { throw new TypeError('secret') }", "secret"],
      [
        "throws a string",
        "() => { throw 'secret' }",
        'Cannot answer from handlers/handler.ts: found string "secret" thrown, expected an Error',
      ],
      [
        "rejects with undefined",
        "() => Promise.reject()",
        "Cannot answer from handlers/handler.ts: found undefined thrown, expected an Error",
      ],
      [
        "returns nothing",
        "() => {}",
        'Cannot send what handlers/handler.ts returned: found undefined, expected a Response (is a "return" missing?)',
      ],
      [
        "resolves to nothing",
        "async () => {}",
        'Cannot send what handlers/handler.ts returned: found undefined, expected a Response (is a "return" missing?)',
      ],
      [
        "returns a string",
        "() => 'secret'",
        'Cannot send what handlers/handler.ts returned: found string "secret", expected a Response (new Response(text) makes one)',
      ],
      [
        "returns an object",
        "() => ({ secret: 1, b: 2 })",
        "Cannot send what handlers/handler.ts returned: found object { secret, b }, expected a Response (Response.json(value) makes one)",
      ],
      [
        "returns null",
        "() => null",
        "Cannot send what handlers/handler.ts returned: found null, expected a Response",
      ],
      [
        "returns a thenable that rejects",
        "() => ({ then(resolve, reject) { reject(new Error('secret')) } })",
        "secret",
      ],
    ];
    for (const [what, handler, message] of THROWS) {
      it(`answers 500 when a handler ${what}, says nothing of it, and logs it once`, async (t) => {
        const runner = await startRoute(t, { "handler.ts": `\n\nexport default ${handler};` });
        const response = await runner.run(runner.routes[0]);
        assert.equal(response.status, 500);
        assert.equal(await response.text(), "Internal Server Error\nRequest test-1\n");
        assert.equal(runner.log.length, 1);
        const [line] = runner.log;
        assert.deepEqual(
          [line?.level, line?.err?.message, line?.requestId, line?.route, line?.handler],
          [50, message, "test-1", "/test", "handlers/handler.ts"],
        );
      });
    }

    it("logs file and line in the source, and the cause", async (t) => {
      const runner = await startRoute(t, {
        "helper.ts": `interface A {
            a: string;
          }
          export function fail(a: A): never {
            throw new Error("outer", { cause: new Error("inner " + a.a) });
          }`,
        "handler.ts":
          "import { fail } from './helper.ts';\nexport default async () => fail({ a: 'x' });",
      });
      await runner.run(runner.routes[0]);
      const [line] = runner.log;
      assert.deepEqual(
        [line?.file, line?.line, line?.code],
        ["handlers/helper.ts", 5, "ERR_HANDLER_THREW"],
      );
      assert.match(line?.err?.stack ?? "", /handlers\/handler\.ts:2:.*caused by: Error: inner x/s);
    });

    it("sends a Response that is thrown", async (t) => {
      const runner = await startRoute(t, {
        "_middleware.ts": `export default async (request, context, next) => {
          const response = await next();
          return new Response(await response.text() + " seen", response);
        };`,
        "handler.ts": "export default () => { throw new Response('thrown', { status: 418 }) };",
      });
      assert.equal(await answer(runner), "418 thrown seen");
      const rejecting = await startRoute(t, {
        "handler.ts": "export default async () => { throw new Response('rejected') };",
      });
      assert.equal(await answer(rejecting), "200 rejected");
      assert.deepEqual([...runner.log, ...rejecting.log], []);
    });

    it("keeps to its own exchange: others at the same time are not affected", async (t) => {
      const runner = await startRoute(t, {
        "handler.ts": `export default async (request, context) => {
          await new Promise(setImmediate);
          if (context.params.fails === "yes") throw new Error(context.requestId);
          return new Response(context.requestId);
        };`,
      });
      const responses = await Promise.all(
        Array.from({ length: 20 }, async (_, index) =>
          runner.run(runner.routes[0], request(), { fails: index % 2 === 0 ? "yes" : "no" }),
        ),
      );
      for (const [index, response] of responses.entries()) {
        const id = `test-${(index + 1).toString(36)}`;
        const text = await response.text();
        assert.equal(text, index % 2 === 0 ? `Internal Server Error\nRequest ${id}\n` : id);
      }
      assert.ok(runner.log.every(({ requestId, err }) => err?.message === requestId));
    });

    it("is no failure when the client has left", async (t) => {
      const runner = await startRoute(t, {
        "handler.ts":
          "export default (request) => new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(request.signal.reason)));",
      });
      const client = new AbortController();
      const pending = runner.run(
        runner.routes[0],
        new Request("http://localhost/", { signal: client.signal }),
      );
      client.abort();
      assert.equal((await pending).status, 499);
      assert.deepEqual(
        runner.log.map(({ level, msg }) => [level, msg]),
        [[20, "handler aborted"]],
      );
    });
  });

  describe("what cannot even be looked at", () => {
    const FOREIGN = `(fields) => ({
      status: 200, statusText: "", headers: [], body: null, get [Symbol.toStringTag]() { return "Response" }, ...fields,
    })`;
    const VALUES = {
      "a foreign response with status 700": `(${FOREIGN})({ status: 700 })`,
      "a foreign response with status 0": `(${FOREIGN})({ status: 0 })`,
      "a foreign response whose body is locked": `(() => {
        const body = new Blob(["x"]).stream(); body.getReader(); return (${FOREIGN})({ body });
      })()`,
      "a foreign response with a field that is none": `(${FOREIGN})({ headers: [["a b", "c"]] })`,
      "a value with a getter that throws": `({ get then() { throw new Error("no") } })`,
      "a type that throws": `({ get [Symbol.toStringTag]() { throw new Error("no") } })`,
    };
    for (const [name, value] of Object.entries(VALUES)) {
      it(`${name} is a failure of the handler, or of the _error that returns it`, async (t) => {
        for (const kind of ["", "async "]) {
          const files = { "handler.ts": `export default ${kind}() => ${value};` };
          assert.match(await answer(await startRoute(t, files)), /^500 Internal/);
          const caught = await startRoute(t, {
            ...files,
            "_middleware.ts": `export default async (request, context, next) => {
              try { return await next(); } catch { return new Response("caught"); }
            };`,
          });
          assert.equal(await answer(caught), "200 caught");
          const shown = await startRoute(t, {
            ...files,
            "_error.ts": "export default () => new Response('shown', { status: 418 });",
          });
          assert.equal(await answer(shown), "418 shown");
          const failing = await startRoute(t, {
            "handler.ts": "export default () => { throw new Error() };",
            "_error.ts": `export default ${kind}() => ${value};`,
          });
          assert.match(await answer(failing), /^500 Internal/);
        }
      });
    }

    it("an answer of _error whose body was read is answered 500", async (t) => {
      for (const kind of ["", "async "]) {
        const runner = await startRoute(t, {
          "handler.ts": "export default () => { throw new Error() };",
          "_error.ts": `export default ${kind}() => {
            const response = new Response(new Blob(["x"]).stream()); response.body.getReader(); return response;
          };`,
        });
        assert.match(await answer(runner), /^500 Internal/);
      }
    });
  });

  describe("passThroughOnException()", () => {
    const HANDLER = `export default async (request, context) => {
      context.passThroughOnException();
      if (request.url.endsWith("/given")) throw new Response("given", { status: 418 });
      if (request.url.endsWith("/caught")) return new Response("fine");
      throw new Error("inside");
    };`;

    it("offers a failed request first, then lets _error answer it", async (t) => {
      const runner = await startRoute(t, {
        "_error.ts": "export default (error) => new Response('shown ' + error.message);",
        "handler.ts": HANDLER,
      });
      assert.equal(await answer(runner), "500 shown inside");
      assert.deepEqual(runner.asked, [1]);
      assert.deepEqual(
        runner.log.map(({ msg }) => msg),
        ["handler failed"],
      );
    });

    it("offers no request that has an answer, even one that was thrown", async (t) => {
      const runner = await startRoute(t, {
        "_middleware.ts": `export default async (request, context, next) => {
          try { return await next(); } catch (error) {
            if (error instanceof Response) throw error;
            return new Response("caught");
          }
        };`,
        "handler.ts": HANDLER,
      });
      const get = (path: string) => answer(runner, new Request(`http://localhost${path}`));
      assert.equal(await get("/given"), "418 given");
      assert.equal(await get("/caught"), "200 fine");
      assert.equal(await get("/fails"), "200 caught");
      assert.deepEqual(runner.asked, []);
    });
  });

  describe("_error", () => {
    it("gets what was thrown, as it is, with request and context", async (t) => {
      const runner = await startRoute(t, {
        "_error.ts": `export default async (error, request, context) =>
          Response.json([error, request.method, context.params.id], { status: 503 });`,
        "handler.ts": "export default () => { throw 'as it is' };",
      });
      const response = await runner.run(runner.routes[0], request("PUT"), { id: "7" });
      assert.equal(response.status, 503);
      assert.deepEqual(await response.json(), ["as it is", "PUT", "7"]);
      assert.equal(runner.log.length, 1);
    });

    it("sends 500 for what it leaves at 200, and its cookies with it", async (t) => {
      const runner = await startRoute(t, {
        "_error.ts":
          "export default () => new Response('sorry', { headers: [['set-cookie', 'a'], ['set-cookie', 'b']] });",
        "handler.ts": "export default () => { throw new Error() };",
      });
      const response = await runner.run(runner.routes[0]);
      assert.deepEqual([response.status, await response.text()], [500, "sorry"]);
      assert.deepEqual(response.headers.getSetCookie(), ["a", "b"]);
    });

    it("gives way to the plain 500 when it fails too; both are logged", async (t) => {
      for (const body of ["() => { throw new Error('second') }", "async () => 'second'"]) {
        const runner = await startRoute(t, {
          "_error.ts": `export default ${body};`,
          "handler.ts": "export default () => { throw new Error('first') };",
        });
        assert.equal(await answer(runner), "500 Internal Server Error\nRequest test-1\n");
        assert.deepEqual(
          runner.log.map(({ handler }) => handler),
          ["handlers/handler.ts", "handlers/_error.ts"],
        );
      }
    });

    it("also gets what middleware throws", async (t) => {
      const runner = await startRoute(t, {
        "_middleware.ts": "export default () => { throw new Error('early') };",
        "_error.ts": "export default (error) => new Response(error.message, { status: 500 });",
        "handler.ts": OK,
      });
      assert.equal(await answer(runner), "500 early");
    });
  });

  describe("_404", () => {
    it("answers any method with 404 unless it says otherwise", async (t) => {
      const { fallbacks, run } = await startRunner(t, {
        files: {
          "_404.ts":
            "export default async () => new Response('nothing here', { headers: { a: 'b' } });",
          "gone/_404.ts": "export default { fetch: () => new Response('gone', { status: 410 }) };",
        },
        fallbacks: [
          { pattern: "/**", handlers: [[null, "_404.ts"]] },
          { pattern: "/gone/**", handlers: [[null, "gone/_404.ts"]] },
        ],
      });
      const missing = await run(fallbacks[0], request("POST"));
      assert.deepEqual(
        [missing.status, missing.headers.get("a"), await missing.text()],
        [404, "b", "nothing here"],
      );
      const gone = await run(fallbacks[1]);
      assert.deepEqual([gone.status, await gone.text()], [410, "gone"]);
    });
  });

  describe("error pages", () => {
    const HANDLER = {
      "handler.ts":
        "export default (request: Request) => {\n  // <here>\n  throw new Error(`no <b>${request.url}</b>`, { cause: new Error('why') });\n};",
    };
    it("say nothing of the inside in production, as HTML to those who accept it", async (t) => {
      const runner = await startRoute(t, HANDLER);
      const response = await runner.run(runner.routes[0], attack("text/html,*/*"));
      const html = await response.text();
      assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
      assert.equal(response.headers.get("cache-control"), "no-store");
      assert.match(html, /<h1>Internal Server Error<\/h1>\n<p>Request <code>test-1<\/code>/);
      assert.doesNotMatch(html, /handler|Error:|script|why/);
    });

    it("show message, place, source, stack and cause in development, escaped", async (t) => {
      const runner = await startRoute(t, HANDLER, "development");
      const response = await runner.run(runner.routes[0], attack("text/html"));
      const html = await response.text();
      assert.equal(response.status, 500);
      assert.match(html, /<h1 class="bad">Error: no &lt;b&gt;http:/);
      assert.match(html, /<h2>handlers\/handler\.ts:3:9<\/h2>/);
      assert.match(html, /<mark>&gt; {4}3 \| {3}throw new Error\(/);
      assert.match(html, /\/\/ &lt;here&gt;/);
      assert.match(html, /\[cause\]: Error: why/);
      // The page's own script comes last.
      assert.doesNotMatch(html.replace(/<script>\n.*$/s, ""), /<script|<b>|<here>/);
    });

    it("are plain text for other clients", async (t) => {
      const runner = await startRoute(t, HANDLER, "development");
      const response = await runner.run(runner.routes[0], attack("application/json"));
      assert.equal(response.headers.get("content-type"), "text/plain; charset=utf-8");
      const text = await response.text();
      assert.match(text, /^Error: no <b>http.*\n>    3 \| {3}throw new Error/s);
    });

    it("show values that are no errors, and no file outside of the project", async (t) => {
      const runner = await startRoute(
        t,
        {
          "handler.ts": `export default () => {
            throw Object.assign(new Error("forged"), { stack: "Error: forged\\n    at x (/etc/hostname:1:1)" });
          };`,
        },
        "development",
      );
      const text = await answer(runner);
      assert.match(text, /^500 Error: forged\n/);
      assert.doesNotMatch(text, /1 \| /);
      const plain = await startRoute(
        t,
        { "handler.ts": "export default () => { throw undefined };" },
        "development",
      );
      assert.match(await answer(plain), /^500 undefined\nGET http:\/\/localhost\/test, request/);
    });
  });
});
