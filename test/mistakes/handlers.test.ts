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
]);
