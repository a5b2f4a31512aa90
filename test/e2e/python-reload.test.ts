import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { builtProgram } from "../helpers/built-program.ts";
import { HttpClient } from "../helpers/http-client.ts";
import { findPython, skipWithoutPython } from "../helpers/python.ts";
import { runCommand } from "../helpers/run-command.ts";
import {
  cleanEnvironment,
  type LogLine,
  spawnServer,
  startServer,
} from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const skip = skipWithoutPython();
const PYTHON = findPython() ?? "python3";

function has(text: string): (line: LogLine) => boolean {
  return ({ msg }) => msg?.includes(text) === true;
}

/** An application whose answer is an expression. */
function answering(expression: string): string {
  return [
    "def app(environ, start_response):",
    '    start_response("200 OK", [("Content-Type", "text/plain")])',
    `    return [str(${expression}).encode()]`,
    "",
  ].join("\n");
}

/** An application that answers with a number, or streams events until the file that the query names is there. */
function streaming(number: number): string {
  return [
    "import os, time",
    "def app(environ, start_response):",
    '    start_response("200 OK", [("Content-Type", "text/event-stream")])',
    '    file = environ["QUERY_STRING"]',
    `    return events(file) if file else [b"${number}"]`,
    "def events(file):",
    `    yield b"data: ${number} begins\\n\\n"`,
    "    while not os.path.exists(file): time.sleep(0.01)",
    `    yield b"data: ${number} ends\\n\\n"`,
  ].join("\n");
}

/** Runs a command to its end, in a folder. */
function run(cwd: string, args: readonly string[]): { status: number | null; text: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [builtProgram(), ...args], {
    cwd,
    env: cleanEnvironment(),
    encoding: "utf8",
  });
  return { status, text: stdout + stderr };
}

describe("the command line of a Python application", { timeout: 300_000, skip }, () => {
  it("takes its name as Gunicorn does, in a folder with nothing else", async (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, "shop.py"), answering('"shop"'));
    const checked = run(cwd, [
      "check",
      "shop:app",
      "--python",
      PYTHON,
      "--https",
      "off",
      "--http",
      "0",
    ]);
    assert.deepEqual([checked.status, /^ok: /m.test(checked.text)], [0, true], checked.text);
    const misspelt = run(cwd, [
      "check",
      "shop:ap",
      "--python",
      PYTHON,
      "--https",
      "off",
      "--http",
      "0",
    ]);
    assert.equal(misspelt.status, 70);
    assert.match(misspelt.text, /Cannot load the application shop:ap: shop has no ap/);
  });

  const failures: [title: string, app: string, source: string, expected: RegExp][] = [
    [
      "a missing module",
      "shop:app",
      "import nowhere",
      /shop\.py:1: ModuleNotFoundError: No module named 'nowhere'\n[^]*It looks for modules in /,
    ],
    ["a syntax error", "shop:app", "x = (", /shop\.py:1: SyntaxError: /],
    [
      "an error of the module",
      "shop:app",
      "\n1 / 0",
      /shop\.py:2: ZeroDivisionError: division by zero\nTraceback/,
    ],
    [
      "no such name",
      "shop:app",
      "application = print",
      /Cannot load the application shop:app: shop has no app/,
    ],
    [
      "a name that is not called",
      "shop:app",
      "app = 3",
      /found an object of type int, expected one that can be called/,
    ],
    [
      "a file for a module",
      "shop.py:app",
      "",
      /found a file, expected a module such as "shop:app"/,
    ],
    [
      "an exit",
      "shop:app",
      "import sys; sys.exit(4)",
      /the module ended the process: sys\.exit\(4\)/,
    ],
    [
      "a factory that fails",
      "shop:make(1)",
      "def make(x): raise ValueError(x)",
      /shop\.py:1: ValueError: 1/,
    ],
    [
      "a startup that fails",
      "shop:app",
      "async def app(scope, receive, send):\n    await receive()\n    raise ValueError('no database')",
      /its startup failed\n[^]*ValueError: no database/,
    ],
    [
      "a startup that says so",
      "shop:app",
      "async def app(scope, receive, send):\n    await receive()\n    await send({'type': 'lifespan.startup.failed', 'message': 'no queue'})\n    await receive()",
      /Cannot load the application shop:app: its startup failed\nno queue$/m,
    ],
    [
      "a silent end",
      "shop:app",
      "import os; os._exit(3)",
      /shop\.py: the worker exited with code 3 while it loaded this file/,
    ],
  ];
  it("says why it does not start", { timeout: 300_000 }, async (t) => {
    await Promise.all(
      failures.map(async ([title, app, source, expected]) => {
        const files = { "shop.py": source };
        const flags = ["--app", app, "--python", PYTHON];
        const server = spawnServer(t, { handlers: {}, files, workers: 1, flags });
        assert.deepEqual(await server.exit, { code: 70, signal: null }, title);
        assert.match(server.stderr, expected, title);
      }),
    );
  });

  it("names an interpreter that is not there", async (t) => {
    const flags = ["--app", "shop:app", "--python", "/nowhere/python"];
    const server = spawnServer(t, { handlers: {}, files: { "shop.py": "" }, flags });
    assert.deepEqual(await server.exit, { code: 70, signal: null });
    assert.match(server.stderr, /found no program \/nowhere\/python that can be run/);
  });

  it("runs a factory, and an ASGI application without a lifespan", async (t) => {
    const source = [
      "def make(word, *, times):",
      "    async def app(scope, receive, send):",
      '        assert scope["type"] == "http"',
      '        await send({"type": "http.response.start", "status": 200, "headers": []})',
      '        await send({"type": "http.response.body", "body": (word * times).encode()})',
      "    return app",
    ].join("\n");
    const flags = ["--app", 'shop:make("ha", times=2)', "--python", PYTHON];
    const server = await startServer(t, { handlers: {}, files: { "shop.py": source }, flags });
    assert.equal(await (await server.fetch("/")).text(), "haha");
  });
});

describe("a reload of a Python application", { timeout: 300_000, skip }, () => {
  it("proves new code before it serves, and rolls back only to code that is there", async (t) => {
    const files = { "shop.py": answering("1") };
    const flags = ["--app", "shop:app", "--python", PYTHON];
    const server = await startServer(t, { handlers: {}, files, workers: 2, flags });
    const { dir } = server;
    const answer = async (): Promise<string> => (await server.fetch("/")).text();
    // This process goes on meanwhile: else it would not see that the server closed an idle connection.
    const control = async (...args: string[]): Promise<{ status: number | null; text: string }> => {
      const place = ["--state-dir", join(dir, ".edgicorn")];
      const { code, stdout, stderr } = await runCommand([...args, ...place], dir);
      return { status: code, text: stdout + stderr };
    };
    assert.equal(await answer(), "1");

    writeFileSync(join(dir, "shop.py"), answering("2"));
    assert.match(
      (await control("reload")).text,
      /pool app {2}replaced {2}2 workers {2}changed: shop\.py/,
    );
    assert.equal(await answer(), "2");

    writeFileSync(join(dir, "shop.py"), answering("3 +"));
    const refused = await control("reload");
    assert.deepEqual([refused.status, /shop\.py:3: SyntaxError/.test(refused.text)], [70, true]);
    assert.equal(await answer(), "2");

    const lost = await control("rollback");
    assert.match(
      lost.text,
      /Cannot roll back to .*: found that the files of the application shop:app/,
    );
    writeFileSync(join(dir, "shop.py"), answering("1"));
    assert.equal((await control("rollback")).status, 0);
    assert.equal(await answer(), "1");
  });

  it("loses no request", async (t) => {
    const files = { "shop.py": answering("1") };
    const flags = ["--app", "shop:app", "--python", PYTHON];
    const server = await startServer(t, { handlers: {}, files, workers: 2, flags });
    const over = new AbortController();
    const statuses = new Map<number, number>();
    const load = Array.from({ length: 4 }, async () => {
      while (!over.signal.aborted) {
        const response = await server.fetch("/");
        await response.text();
        statuses.set(response.status, (statuses.get(response.status) ?? 0) + 1);
      }
    });
    for (let number = 2; number <= 4; number++) {
      writeFileSync(join(server.dir, "shop.py"), answering(String(number)));
      server.kill("SIGHUP");
      await server.until(
        (line) =>
          line.msg === "reloaded" && server.logs.filter(has("reloaded")).length === number - 1,
      );
    }
    over.abort();
    await Promise.all(load);
    assert.deepEqual([...statuses.keys()], [200]);
  });

  it("is made by edgicorn dev at each save, which shows tracebacks", async (t) => {
    const files = { "shop.py": answering("1") };
    const flags = ["--app", "shop:app", "--python", PYTHON];
    const server = await startServer(t, { command: "dev", handlers: {}, files, workers: 1, flags });
    // Node's fetch() says of itself that it does not navigate.
    const client = new HttpClient(t, server.http, { connections: 1 });
    const page = {
      headers: { accept: "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" },
    };
    writeFileSync(join(server.dir, "shop.py"), answering("1 / 0"));
    const shown = /<h1>ZeroDivisionError: division by zero<\/h1>[^]*shop\.py:3 in app/;
    await eventually(t, async () => {
      const { status, body } = await client.request("/", page);
      return status === 500 && shown.test(body.toString());
    });
    writeFileSync(join(server.dir, "shop.py"), answering("1 /"));
    const expected = /Cannot load the application shop:app[^]*shop\.py:3/;
    await eventually(t, async () =>
      expected.test((await client.request("/", page)).body.toString()),
    );
  });
});

describe("a save under edgicorn dev", { timeout: 300_000, skip }, () => {
  it("serves while a stream is open, which goes on in the old worker", async (t) => {
    const files = { "shop.py": streaming(0) };
    const flags = ["--app", "shop:app", "--python", PYTHON];
    const server = await startServer(t, { command: "dev", handlers: {}, files, workers: 1, flags });
    const client = new HttpClient(t, server.http, { connections: 1 });
    const folder = temporaryFolder(t);
    for (let number = 1; ; number++) {
      const go = join(folder, `go-${number}`);
      const stream = await server.connect();
      stream.send(`GET /?${go} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      await stream.bytes("HTTP/1.1 200 OK".length);
      writeFileSync(join(server.dir, "shop.py"), streaming(number));
      await eventually(t, async () => {
        return (await client.request("/")).body.toString() === String(number);
      });
      writeFileSync(go, "");
      const events = await stream.untilClosed();
      if (/data: (\d+) begins\n\n[^]*data: \1 ends\n\n/.test(events)) break;
      // The reload that files cause which are as young as the server may have been the second one for this stream.
      assert.ok(number < 4, events);
    }
  });
});

describe("Python applications beside handlers and files", { timeout: 180_000, skip }, () => {
  it("answer what neither a file nor a handler answers, below their mounts", async (t) => {
    const source = [
      "def make(name):",
      "    def app(environ, start_response):",
      '        start_response("200 OK", [("Content-Type", "text/plain")])',
      "        return [f\"{name} {environ['SCRIPT_NAME']}|{environ['PATH_INFO']}\".encode()]",
      "    return app",
    ].join("\n");
    const config = `export default {
      app: "shop:make('root')",
      python: ${JSON.stringify(PYTHON)},
      mounts: { "/api": { app: "shop:make('api')", threads: 2, workers: 1 } },
    }`;
    const server = await startServer(t, {
      handlers: {
        "hello.ts": 'export default () => new Response("handler");',
        "api/own.ts": 'export default () => new Response("own");',
      },
      public: { "file.txt": "file" },
      files: { "shop.py": source, "edgicorn.config.mjs": config },
      workers: 1,
    });
    const answers: [path: string, expected: string][] = [
      ["/file.txt", "file"],
      ["/hello", "handler"],
      ["/api/own", "own"],
      ["/api/users/1", "api /api|/users/1"],
      ["/api", "api /api|"],
      ["/apis", "root |/apis"],
      ["/", "root |/"],
    ];
    for (const [path, expected] of answers) {
      assert.equal(await (await server.fetch(path)).text(), expected, path);
    }
  });

  it("refuse a handler for the same paths", async (t) => {
    const server = spawnServer(t, {
      handlers: { "[...path].ts": 'export default () => new Response("");' },
      files: { "shop.py": answering("1") },
      flags: ["--app", "shop:app", "--python", PYTHON],
    });
    assert.deepEqual(await server.exit, { code: 70, signal: null });
    assert.match(
      server.stderr,
      /\[\.\.\.path\]\.ts and the application shop:app: both answer \/\*\*/,
    );
  });
});
