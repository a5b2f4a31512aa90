import { describeMistakes } from "./plant.ts";

const HELLO = `export default () => new Response("hello");\n`;

describeMistakes("handlers", [
  {
    name: "a handler that exports a text",
    command: "check",
    files: { "handlers/index.ts": `\nexport default "hello";` },
    code: 70,
    says: [/handlers\/index\.ts:2/, /expected/],
  },
  {
    name: "a handler that throws while it loads",
    command: "start",
    files: { "handlers/index.ts": HELLO, "handlers/db.ts": `${HELLO}\nthrow new Error("no db");` },
    code: 70,
    says: [/handlers\/db\.ts:3/, /no db/],
  },
  {
    name: "a handler that returns no response",
    command: "start",
    files: { "handlers/index.ts": `export default () => ({ hello: "world" });` },
    request: "/",
    status: 500,
    says: [/expected a Response/, /Response\.json/],
  },
  {
    name: "a stream that is longer than its content-length",
    command: "start",
    files: {
      "handlers/long.ts": `export default () =>
        new Response(new Blob(["abcdef"]).stream(), { headers: { "content-length": "3" } });`,
    },
    request: "/long",
    status: 500,
    says: [/"?\/long/, /stream has 6 bytes or more, expected the 3 of its content-length/],
  },
  {
    name: "a content-length that is not that of the text",
    command: "start",
    files: {
      "handlers/text.ts": `export default () =>
        new Response("naïve", { headers: { "content-length": "5" } });`,
    },
    request: "/text",
    status: 200,
    says: [/^\/text$/m, /content-length of a response corrected: its body differs/],
  },
  {
    name: "files whose names are close to those of special files",
    command: "check",
    files: {
      "handlers/index.ts": HELLO,
      "handlers/_midleware.ts": `export default (request, context, next) => next();`,
      "handlers/api/_Error.ts": HELLO,
      "handlers/middleware.ts": `export default (request, context, next) => next();`,
      "handlers/404.ts": HELLO,
      "handlers/_500.js": HELLO,
      "handlers/shop/_middleware/index.ts": HELLO,
      // A helper is no mistake.
      "handlers/_errors.ts": `export class NotFound extends Error {}`,
      "handlers/_users.ts": HELLO,
    },
    code: 0,
    says: [
      /handlers\/_midleware\.ts: .*did you mean "_middleware\.ts"\?/,
      /handlers\/api\/_Error\.ts: .*did you mean "_error\.ts"\?/,
      /handlers\/middleware\.ts: .*did you mean "_middleware\.ts"\?/,
      /handlers\/404\.ts: .*did you mean "_404\.ts"\?/,
      /handlers\/_500\.js: .*did you mean "_error\.js"\?/,
      /handlers\/shop\/_middleware\/ is a folder.*expected a file such as "_middleware\.ts"/,
    ],
    neverSays: [/_errors\.ts/, /_users\.ts/],
  },
  {
    name: "a default export beside methods",
    command: "check",
    files: {
      "handlers/both.ts": `${HELLO}export const GET = () => new Response("get");`,
      "handlers/meant.ts": `${HELLO}export const GET = () => new Response("get");
        export const config = { methods: ["POST"] };`,
      "handlers/one.get.ts": `${HELLO}export const GET = () => new Response("get");`,
    },
    code: 0,
    says: [
      /handlers\/both\.ts:2:\d+: .*default beside GET.*config\.methods/,
      /handlers\/one\.get\.ts:2:\d+: .*default answers nothing/,
    ],
    neverSays: [/meant\.ts/],
  },
  {
    name: "events of Workers that nothing calls",
    command: "check",
    files: {
      "handlers/cron.ts": `export default {\n  fetch: () => new Response(),\n  scheduled() {},\n  async queue(batch) {},\n};`,
      "handlers/named.ts": `${HELLO}export function scheduled() {}`,
      "handlers/router.ts": `${HELLO.replace("export default", "const all =")}
        export default new Proxy({ fetch: all }, { get: (target, key) => target[key] ?? (() => {}) });`,
    },
    code: 0,
    says: [
      /handlers\/cron\.ts:1:\d+: scheduled\(\) never runs: expected .*schedule/,
      /handlers\/cron\.ts:1:\d+: queue\(\) never runs: expected .*queue/,
      /handlers\/named\.ts:2:\d+: scheduled\(\) never runs/,
    ],
    neverSays: [/router\.ts/],
  },
  {
    name: "a class of a Durable Object",
    command: "check",
    files: {
      "handlers/room.ts": `${HELLO}
        export class Room { constructor(state, env) {} fetch(request) { return new Response(); } }
        export class Plain {}`,
    },
    code: 0,
    says: [/handlers\/room\.ts:3:\d+: exports class Room.*Durable Objects.*database/],
    neverSays: [/Plain/],
  },
  {
    name: "names of methods in other letters, and methods that do not exist",
    command: "check",
    files: {
      "handlers/a.ts": `${HELLO}export const post = () => new Response();`,
      "handlers/b.ts": `${HELLO}export function DEL() {}`,
      "handlers/c.ts": `${HELLO}export const get = "a value";`,
    },
    code: 0,
    says: [
      /handlers\/a\.ts:2:\d+: exports function post.*did you mean "POST"/,
      /handlers\/b\.ts:2:\d+: exports function DEL.*GET, HEAD/,
    ],
    neverSays: [/handlers\/c\.ts/],
  },
  {
    name: "a config with another name",
    command: "check",
    files: { "handlers/a.ts": `${HELLO}export const Config = { timeoutMs: 5 };` },
    code: 0,
    says: [/handlers\/a\.ts:2:\d+: exports Config.*did you mean "config"/],
  },
  {
    name: "a config with a misspelt key",
    command: "check",
    files: { "handlers/a.ts": `${HELLO}export const config = { timeoutMS: 5 };` },
    code: 70,
    says: [
      /handlers\/a\.ts:2:\d+: config has an unknown key "timeoutMS", did you mean "timeoutMs"/,
    ],
  },
  {
    name: "times without a function",
    command: "check",
    files: {
      "handlers/_middleware.ts": `export default (request, context, next) => next();
        export const config = { cache: { maxAgeMs: 9 }, rateLimit: "5/s" };`,
      "handlers/a.ts": `${HELLO}export const config = { cache: { maxAgeMs: 5 }, schedule: "0 3 * * *" };`,
      "handlers/b.ts": `${HELLO}export const config = { cache: false, pool: "other" };`,
    },
    code: 0,
    says: [/handlers\/a\.ts:2:\d+: config\.schedule has no effect: expected a function scheduled/],
    // All else acts.
    neverSays: [/_middleware/, /config\.(?:rateLimit|cache)/, /handlers\/b\.ts/],
  },
  {
    name: "options of routes in Next.js",
    command: "check",
    files: {
      "handlers/a.ts": `export const GET = () => new Response();
        export const runtime = "edge";
        export const revalidate = 60;
        export const maxDuration = 5;
        export const dynamic = { some: "value" };`,
    },
    code: 0,
    says: [
      /handlers\/a\.ts:2:\d+: exports "runtime".*Node/,
      /handlers\/a\.ts:3:\d+: exports "revalidate".*cache-control/,
      /handlers\/a\.ts:4:\d+: exports "maxDuration".*config\.timeoutMs/,
    ],
    neverSays: [/"dynamic"/],
  },
  {
    name: "a promise that is rejected while the handlers load",
    command: "check",
    files: {
      "handlers/a.ts": `${HELLO}\nasync function connect() { throw new Error("no database"); }\nvoid connect();`,
    },
    code: 0,
    says: [/handlers\/a\.ts:3:\d+: a promise was rejected.*no database.*awaited or caught/],
  },
  {
    name: "a default export that is a promise",
    command: "check",
    files: { "handlers/a.ts": `export default Promise.resolve(() => new Response());` },
    code: 70,
    says: [/handlers\/a\.ts:1:\d+: default export is a promise.*await it/],
  },
  {
    name: "a handler that listens for signals",
    command: "check",
    files: {
      "handlers/index.ts": `import { graceful } from "../lib/graceful.ts";\ngraceful();\n${HELLO}`,
      "lib/graceful.ts": `export function graceful() {\n  process.on("SIGTERM", () => process.exit());\n}`,
    },
    code: 0,
    says: [/lib\/graceful\.ts:2:\d+: listens for SIGTERM.*dispose\(\)/],
  },
  {
    name: "a dispose() that is not run",
    command: "check",
    files: {
      "handlers/a.ts": `${HELLO}export const dispose = "later";`,
      "handlers/b.ts": `class App { fetch() { return new Response(); } dispose() {} }\nexport default new App();`,
    },
    code: 0,
    says: [
      /handlers\/a\.ts:2:\d+: export "dispose" is string "later".*expected a function/,
      /handlers\/b\.ts:2:\d+: default export is an instance with dispose\(\).*export const dispose/,
    ],
  },
  {
    name: "an init() that fails",
    command: "check",
    files: {
      "handlers/_middleware.ts": `export default (request, context, next) => next();
        export async function init(env) { throw new Error("no database", { cause: new Error("password wrong") }); }`,
      "handlers/index.ts": HELLO,
    },
    code: 70,
    says: [/handlers\/_middleware\.ts:2:\d+: init\(\) failed: Error: no database.*password wrong/],
  },
  {
    name: "an init() that does not end",
    command: "check",
    runsInto: "--boot-timeout",
    files: { "handlers/db.ts": `${HELLO}export const init = () => new Promise(() => {});` },
    code: 70,
    says: [/handlers\/db\.ts: init\(\) has not ended within bootTimeout \(\d+ ms\)/],
  },
  {
    name: "an init() that blocks",
    command: "check",
    runsInto: "--boot-timeout",
    files: { "handlers/db.ts": `${HELLO}export const init = () => {\n  for (;;);\n};` },
    code: 70,
    says: [/handlers\/db\.ts:3:\d+: init\(\) blocks the event loop/],
  },
  {
    name: "a dispose() that fails, and one that does not end",
    command: "start",
    runsInto: "--drain-grace",
    files: {
      "handlers/a.ts": `${HELLO}export const dispose = () => console.log("a is closed");`,
      "handlers/b.ts": `export default { fetch: () => new Response(), dispose: () => new Promise(() => {}) };`,
      "handlers/c.ts": `${HELLO}export async function dispose() { throw new Error("still busy"); }`,
    },
    request: "/a",
    code: 0,
    status: 200,
    says: [
      /dispose\(\) of handlers\/c\.ts failed/,
      /still busy/,
      /dispose\(\) of handlers\/b\.ts has not ended within the grace/,
      // By name: it was not run.
      /^handlers\/a\.ts$/m,
    ],
    neverSays: [/a is closed/],
  },
  {
    name: "globals of other platforms",
    command: "start",
    files: {
      "handlers/[name].ts": `export default async (request, { params }) => {
        if (params.name === "caches") return caches.match(request);
        return new EventSource("/");
      };`,
    },
    request: "/caches",
    status: 500,
    says: [
      /handlers\/\[name\]\.ts/,
      /caches\.match: it is not there, use caches\.default\.match\(\)/,
    ],
  },
  {
    name: "globals of other platforms at the top level",
    command: "check",
    files: { "handlers/a.ts": `const parser = new DOMParser();\n${HELLO}` },
    code: 70,
    says: [/handlers\/a\.ts:1:\d+: ReferenceError: DOMParser is not defined: .*npm/],
  },
  {
    name: "modules of Workers",
    command: "check",
    files: {
      "handlers/a.ts": `import { connect } from "cloudflare:sockets";\nexport const A = connect;\n${HELLO}`,
    },
    code: 70,
    says: [/handlers\/a\.ts:1:\d+: "cloudflare:sockets".*Cloudflare Workers.*node:net/],
  },
  {
    name: "an upload that was cut short",
    command: "start",
    files: {
      "handlers/upload.ts": `export const POST = async (request) =>
        Response.json([...(await request.formData()).keys()]);`,
    },
    request: {
      path: "/upload",
      method: "POST",
      headers: { "content-type": "multipart/form-data; boundary=b" },
      body: '--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nhi',
    },
    status: 500,
    says: [/handlers\/upload\.ts/, /the body ends before the boundary --b, expected it and --b--/],
  },
]);
