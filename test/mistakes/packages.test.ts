import { describeMistakes, type Mistake } from "./plant.ts";

const HELLO = `export default () => new Response("hello");\n`;
const A = { "handlers/a.ts": HELLO };
/** Soon over, and long enough for a busy machine to come to the handlers. */
const BOOT = ["--boot-timeout", "4s"];

/** A handler of two that does not load. */
function boot(name: string, code: string, says: readonly RegExp[]): Mistake {
  const files = { ...A, "handlers/b.ts": `\n${code}\n${HELLO}` };
  return { name, command: "check", flags: BOOT, files, code: 70, says };
}

describeMistakes("loading", [
  boot("a top level that waits for ever", "await new Promise(() => {});", [
    /^handlers\/b\.ts.*: its top-level await has not finished/m,
    /within bootTimeout \(4000 ms\)/,
  ]),
  boot("a top level that never ends", "while (true);", [
    /^handlers\/b\.ts:2:1: blocks the event loop/m,
    /within bootTimeout \(4000 ms\), expected the top level to end/,
  ]),
  {
    name: "a top level that never ends, in another file",
    command: "check",
    flags: BOOT,
    files: {
      ...A,
      "handlers/b.ts": `import "../lib/spin.ts";\n${HELLO}`,
      "lib/spin.ts": "let n = 0;\nfor (;;) n++;\nexport {};",
    },
    code: 70,
    says: [/^lib\/spin\.ts:2:\d+: blocks the event loop/m, /\(while handlers\/b\.ts loads\)/],
  },
  boot("a handler that exits", "process.exit(3);", [
    /^handlers\/b\.ts:2:9: process\.exit\(3\), expected it to go on until its handlers are loaded/m,
  ]),
  {
    name: "a package that exits",
    command: "check",
    files: {
      ...A,
      "handlers/b.ts": `import "quits";\n${HELLO}`,
      "node_modules/quits/package.json": `{ "name": "quits", "main": "i.cjs" }`,
      "node_modules/quits/i.cjs": `if (!process.env.NOPE) process.exit(1);`,
    },
    code: 70,
    says: [
      /^node_modules\/quits\/i\.cjs:1:\d+: process\.exit\(1\), expected it to go on/m,
      /\(while handlers\/b\.ts loads\)/,
    ],
  },
  boot("a handler that aborts the process", "process.abort();", [
    /^handlers\/b\.ts: the worker exited with signal SIGABRT while it loaded this file/m,
  ]),
  {
    ...boot(
      "a handler that fills the memory",
      "const all: unknown[] = []; for (;;) all.push(new Array(1e4).fill(1));",
      [/while (?:it loads|it loaded this file|handlers\/b\.ts loads)/, /handlers\/b\.ts/],
    ),
    flags: ["--worker-memory-limit", "64mb"],
  },
  boot(
    "an error with a cause",
    `throw new Error("no database", { cause: new Error("password wrong") });`,
    [/^handlers\/b\.ts:2:7: Error: no database \(cause: Error: password wrong\)/m],
  ),
  boot(
    "an error of several",
    `throw new AggregateError([new Error("a"), new Error("b")], "none");`,
    [/^handlers\/b\.ts:2:7: AggregateError: none \(errors: Error: a; Error: b\)/m],
  ),
  boot("a server that does not answer", `await fetch("http://127.0.0.1:9/");`, [
    /^handlers\/b\.ts:2:\d+: TypeError: fetch failed \(cause: /m,
  ]),
  boot(
    "an exception of a timer",
    `setTimeout(() => { throw new Error("late"); });\nawait new Promise(() => {});`,
    [/^handlers\/b\.ts:2:26: Error: late, thrown outside of any promise/m],
  ),
]);
