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
]);
