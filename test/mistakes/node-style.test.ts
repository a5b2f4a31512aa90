import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describeMistakes } from "./plant.ts";

const FROM_NODE = /import \{ fromNode \} from "edgicorn"/;
const HELLO = `export default () => new Response("hello");\n`;

/** What the check looks at in an application of Express, without the package. */
const EXPRESS = `const app = (req, res, next) => app.handle(req, res, next);
Object.assign(app, { handle() {}, set() {}, use() {}, listen() {} });
export default app;
`;

describeMistakes("Node-style applications", [
  {
    name: "applications and servers that are exported as they are",
    command: "check",
    files: {
      "handlers/express.ts": EXPRESS,
      "handlers/router.ts": `export default Object.assign(() => {}, { handle() {}, stack: [] });`,
      "handlers/koa.ts": `class Application { callback() {} use() {} listen() {} }
        export default new Application();`,
      "handlers/fastify.ts": `export default { inject() {}, ready() {}, listen() {} };`,
      "handlers/nest.ts": `export default { getHttpAdapter() {}, init() {}, listen() {} };`,
      "handlers/server.ts": `import { createServer } from "node:http";
        export default createServer((req, res) => res.end("hi"));`,
      "handlers/other.ts": `export default { listen() {}, use() {} };`,
      "handlers/method.ts": `${EXPRESS}export const GET = app;`,
    },
    code: 70,
    says: [
      /handlers\/express\.ts:3\S* default export is an Express application, expected "export default fromNode\(app\)"/,
      /handlers\/router\.ts:1\S* default export is an Express router, expected "export default fromNode\(router\)"/,
      /handlers\/koa\.ts:2\S* default export is a Koa application, .*fromNode\(app\)/,
      /handlers\/fastify\.ts:1\S* default export is a Fastify application, .*fromNode\(app\)/,
      /handlers\/nest\.ts:1\S* default export is a NestJS application, .*getInstance\(\)/,
      /handlers\/server\.ts:2\S* default export is an http\.Server, .*fromNode\(server\)/,
      /handlers\/other\.ts:1\S* default export is an application with listen\(\)/,
      /handlers\/method\.ts:4\S* export "GET" is an Express application/,
      FROM_NODE,
    ],
  },
  {
    name: "an application that listens by itself",
    command: "check",
    files: {
      "src/app.ts": `import { createServer } from "node:http";
        export const server = createServer((req, res) => res.end("hi"));
        server.listen(0);`,
      "handlers/index.ts": `import { server } from "../src/app.ts";
        import { fromNode } from "edgicorn";
        export default fromNode(server);`,
    },
    prepare: (dir) => linkEdgicorn(dir),
    code: 0,
    says: [/src\/app\.ts:3:\d+: opens port 0 by itself/, /Leave listen\(\) out.*fromNode\(app\)/],
  },
  {
    name: "a function (req, res) that calls res.end()",
    command: "start",
    files: {
      "handlers/old.ts": `export default function (req: any, res: any) {\n  res.end("hi");\n}`,
    },
    request: "/old",
    status: 500,
    says: [
      /Cannot answer from handlers\/old\.ts: found a call of res\.end\(\)/,
      /fromNode\(handler\)/,
      FROM_NODE,
    ],
  },
  {
    name: "a function (request, reply) that sets a field first, shown in the browser",
    command: "dev",
    files: {
      "handlers/old.ts": `export default async (_request: any, out: any) => {\n  out.setHeader("a", "b");\n};`,
    },
    request: "/old",
    status: 500,
    says: [/handlers\/old\.ts: found a call of out\.setHeader\(\)/, FROM_NODE],
  },
  {
    name: "a function (req, res) that answers later",
    command: "start",
    files: {
      "handlers/old.ts": `export default (req: any, res: any) => { req.later = () => res.end("hi"); };`,
    },
    request: "/old",
    status: 500,
    says: [/Cannot send what handlers\/old\.ts returned: found undefined/, /fromNode\(handler\)/],
    neverSays: [/is a "return" missing/],
  },
  {
    name: "an error in a handler that has nothing to do with Node",
    command: "start",
    files: {
      "handlers/own.ts": `export default (request: any, context: any) => context.db.query.run();`,
      "handlers/hello.ts": HELLO,
    },
    request: "/own",
    status: 500,
    says: [/handlers\/own\.ts/],
    neverSays: [/fromNode/],
  },
  {
    name: "fromNode() of a promise, of a NestJS application and of an app with fetch()",
    command: "check",
    files: {
      "handlers/promise.ts": `import { fromNode } from "edgicorn";
        export default fromNode(Promise.resolve() as any);`,
      "handlers/nest.ts": `import { fromNode } from "edgicorn";
        export default fromNode({ getHttpAdapter() {} } as any);`,
      "handlers/fetch.ts": `import { fromNode } from "edgicorn";
        export default fromNode({ fetch() {} } as any);`,
    },
    prepare: (dir) => linkEdgicorn(dir),
    code: 70,
    says: [
      /handlers\/promise\.ts:2.*found a promise.*"fromNode\(await app\)"/,
      /handlers\/nest\.ts:2.*found a NestJS application.*getInstance\(\)/,
      /handlers\/fetch\.ts:2.*a handler already: "export default app"/,
    ],
  },
]);

/** Installs this package in a project, as `npm link` does. */
function linkEdgicorn(dir: string): void {
  mkdirSync(join(dir, "node_modules"));
  symlinkSync(join(import.meta.dirname, "../.."), join(dir, "node_modules/edgicorn"));
}
