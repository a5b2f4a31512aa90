import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { HOOKS, OTHERS } from "../../runtime/cli/import/gunicorn-known.ts";
import { addGunicorn, CARRIED } from "../../runtime/cli/import/import-gunicorn.ts";
import { type GunicornSettings, readGunicorn } from "../../runtime/cli/import/read-gunicorn.ts";
import { type Remark, Report } from "../../runtime/cli/import/report.ts";
import { Section } from "../../runtime/cli/import/section.ts";
import { findPython, skipWithoutPython } from "../helpers/python.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

function convert(
  values: Record<string, unknown>,
  { computed = [], app = "a:app" }: { computed?: string[]; app?: string | null } = {},
): { config: unknown; remarks: Remark[] } {
  const config = new Section();
  const report = new Report();
  const settings: GunicornSettings = { values, lines: {}, computed, file: "gunicorn.conf.py" };
  addGunicorn(config, settings, { report, app, hasNginx: false });
  return { config: JSON.parse(JSON.stringify(config)) as unknown, remarks: report.remarks };
}

describe("addGunicorn()", () => {
  const cases: readonly [values: Record<string, unknown>, config: object, remarks: RegExp[]][] = [
    [{}, {}, []],
    [{ bind: "0.0.0.0:80" }, { http: 80, https: false }, []],
    [{ bind: "127.0.0.1:8000" }, { http: 8000, https: false, host: "127.0.0.1" }, []],
    [{ bind: ["[::1]:81", ":82"] }, { http: 81, https: false, host: "::1" }, [/one address/]],
    [{ bind: "unix:/run/a.sock" }, {}, [/listens on ports/]],
    [{ bind: "None:8000" }, {}, [/not set/]],
    [
      { bind: ":8443", certfile: "a.crt", keyfile: "a.key" },
      { http: false, https: 8443 },
      [/cp a\.crt certs\/site\.crt && cp a\.key certs\/site\.key/],
    ],
    [{ workers: 3, threads: 1 }, { workers: 3 }, []],
    [{ workers: "4", threads: "2" }, { workers: 4, threads: 2 }, []],
    [{ timeout: 120, graceful_timeout: 10 }, { requestTimeout: "120s", drainGrace: "10s" }, []],
    [{ timeout: 0 }, { requestTimeout: "24h" }, [/24 h at most/]],
    [
      { max_requests: 1000, max_requests_jitter: 50 },
      { maxRequestsPerWorker: 1000, maxRequestsJitter: 50 },
      [],
    ],
    [
      { accesslog: "-", errorlog: "-", loglevel: "WARNING" },
      { accessLog: true, logLevel: "warn" },
      [],
    ],
    [{ worker_class: "uvicorn.workers.UvicornWorker" }, { appKind: "asgi" }, []],
    [{ worker_class: "gevent" }, {}, [/no green threads/]],
    [{ forwarded_allow_ips: "*" }, {}, [/forge/]],
    [
      { forwarded_allow_ips: "10.0.0.1, 10.0.0.2" },
      { trustedProxies: ["10.0.0.1", "10.0.0.2"] },
      [],
    ],
    [{ preload_app: true, umask: 0, reload: false, helper: 1 }, {}, [/memory of modules/]],
    [{ post_fork: "function" }, {}, [/top level of a module/]],
    [{ toString: 1, constructor: "function" }, {}, []],
  ];
  for (const [values, config, patterns] of cases) {
    it(JSON.stringify(values), () => {
      const result = convert(values);
      assert.deepEqual(result.config, { app: "a:app", ...config });
      assert.equal(result.remarks.length, patterns.length, JSON.stringify(result.remarks));
      for (const [index, pattern] of patterns.entries()) {
        assert.match(result.remarks[index]?.reason ?? "", pattern);
      }
    });
  }

  it("asks for the name of the application, and says which numbers are those of this machine", () => {
    const { remarks } = convert({ workers: 9 }, { computed: ["workers"], app: null });
    assert.deepEqual(
      remarks.map(({ kind }) => kind),
      ["todo", "changed"],
    );
    assert.deepEqual(convert({ wsgi_app: "b:app" }, { app: null }).config, { app: "b:app" });
  });

  it("knows every setting of docs/gunicorn.md", () => {
    const page = readFileSync(new URL("../../docs/gunicorn.md", import.meta.url), "utf8");
    const table = page.split("| --- | --- |")[1]?.split("\n\n")[0] ?? "";
    const names = table
      .split("\n")
      .filter((line) => line.startsWith("| `"))
      .flatMap((line) => [...(line.split(" | ")[0] ?? "").matchAll(/`([a-z][a-z0-9_]+)`/g)])
      .map(([, name = ""]) => name)
      .filter((name) => name !== "server_hooks" && name !== "fork");
    assert(names.length > 80);
    for (const name of names) {
      assert(
        [CARRIED, OTHERS, HOOKS].some((known) => Object.hasOwn(known, name)),
        name,
      );
    }
  });
});

describe("readGunicorn()", { skip: skipWithoutPython(), timeout: 120_000 }, () => {
  it("returns computed values, functions and lines, whatever the file prints", async (t) => {
    const { values, lines, computed } = await read(
      t,
      [
        "import multiprocessing, os, subprocess",
        "print('noise')",
        "subprocess.run(['echo', 'more noise'])",
        "def helper():",
        "    timeout = 1",
        "    return ('127.0.0.1', 80)",
        "bind = '%s:%d' % helper()",
        "workers = multiprocessing.cpu_count() * 0 + 2",
        "if True:",
        "    threads = 4",
        "def post_fork(server, worker):",
        "    pass",
        "raw_env = {'a': float('nan'), 'b': {1}, 'c': (b'x', None)}",
      ].join("\n"),
    );
    assert.deepEqual(values["bind"], "127.0.0.1:80");
    assert.deepEqual(
      [values["workers"], values["threads"], values["post_fork"]],
      [2, 4, "function"],
    );
    assert.deepEqual(values["raw_env"], { a: null, b: [1], c: [null, null] });
    assert.equal(values["os"], undefined);
    assert.deepEqual(lines["threads"], { line: 10, text: "threads = 4" });
    assert.equal(lines["timeout"], undefined);
    assert.deepEqual(computed, ["workers"]);
  });

  const mistakes: readonly [text: string, message: RegExp][] = [
    ["a = 1\nb = 1 / 0\n", /Python says "ZeroDivisionError: division by zero \(line 2\)"$/],
    ["a = (\n", /SyntaxError: .*\(.*line 1/],
    ["import sys\nsys.exit(0)\n", /SystemExit: 0 \(line 2\)/],
    ["import os\nos._exit(0)\n", /Python printed no settings$/],
    ["x = input()\n", /EOFError/],
    ["import no_such_module_here\n", /ModuleNotFoundError/],
  ];
  for (const [text, message] of mistakes) {
    it(`refuses ${JSON.stringify(text)}`, async (t) => {
      await assert.rejects(read(t, text), { code: "ERR_CONFIG", message });
    });
  }

  it("ends a file that never ends", async (t) => {
    await assert.rejects(read(t, "while True: pass\n", 300), {
      code: "ERR_CONFIG",
      message: /Cannot import gunicorn\.conf\.py: Python needed more than 0\.3 s/,
    });
  });

  it("names the interpreter that is missing", async (t) => {
    const cwd = temporaryFolder(t);
    await assert.rejects(readGunicorn(join(cwd, "a.py"), { cwd, python: "/no/python" }), {
      message: /found no Python, expected python3/,
    });
  });
});

function read(t: TestContext, text: string, timeoutMs?: number): Promise<GunicornSettings> {
  const cwd = temporaryFolder(t);
  const file = join(cwd, "gunicorn.conf.py");
  writeFileSync(file, text);
  const python = findPython() ?? "python3";
  return readGunicorn(file, { cwd, python, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
}
