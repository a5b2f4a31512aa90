import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { RawConnection } from "../helpers/raw-connection.ts";
import { runCommand } from "../helpers/run-command.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { spawnServer, startServer, type StartOptions } from "../helpers/start-server.ts";
import { findFreePort } from "../helpers/upstreams.ts";

const GOOD = `export default () => new Response("hello")`;

describe("a server that cannot start", { timeout: 180_000 }, () => {
  const cases: Record<string, [options: StartOptions, code: number, message: RegExp]> = {
    "a module with a syntax error": [
      { handlers: { "index.ts": GOOD, "broken.ts": "\n\nexport default () => {{" } },
      70,
      /handlers\/broken\.ts:3/,
    ],
    "a module that throws": [
      { handlers: { "api/x.ts": `${GOOD};\n\nthrow new Error("no database");` } },
      70,
      /handlers\/api\/x\.ts:3.*no database/s,
    ],
    "an export of the wrong shape": [
      { handlers: { "index.ts": `\nexport default "hello";` } },
      70,
      /handlers\/index\.ts:2/,
    ],
    "nothing exported": [{ handlers: { "index.ts": "export {};" } }, 70, /handlers\/index\.ts/],
    "two files for one route": [
      { handlers: { "about.ts": GOOD, "about/index.ts": GOOD } },
      70,
      /about\.ts.*about\/index\.ts|about\/index\.ts.*about\.ts/s,
    ],
    "a package that is not installed": [
      { handlers: { "index.ts": `import "not-installed-anywhere";\n${GOOD}` } },
      70,
      /handlers\/index\.ts:1.*not-installed-anywhere|handlers\/index\.ts.*not-installed-anywhere/s,
    ],
    "a worker that exits": [
      { handlers: { "index.ts": `process.exit(5);` } },
      70,
      /^handlers\/index\.ts:1:9: process\.exit\(5\), expected/m,
    ],
    "a worker that takes too long": [
      {
        handlers: { "index.ts": `for (;;) {}` },
        flags: ["--boot-timeout", "500ms"],
      },
      70,
      /bootTimeout \(500 ms\)/,
    ],
    "a bad setting": [
      { handlers: FIXTURE_HANDLERS, flags: ["--workers", "many"] },
      78,
      /^Cannot use --workers: found "many", expected a whole number/m,
    ],
    "an address of another machine": [
      { handlers: FIXTURE_HANDLERS, flags: ["--host", "192.0.2.1"] },
      70,
      /Cannot listen for http on 192\.0\.2\.1:0: the address does not belong to this machine/,
    ],
  };
  for (const [name, [options, code, message]] of Object.entries(cases)) {
    it(`because of ${name} says so and exits with ${code}`, async (t) => {
      const server = spawnServer(t, options);
      assert.deepEqual(await server.exit, { code, signal: null });
      assert.match(server.stderr, message);
      // For a person: no stack of ours.
      assert.doesNotMatch(server.stderr, /^\s+at .*(?:dist|runtime)\//m);
    });
  }

  it("without the word start finds its mistakes as well", async (t) => {
    const { code, stderr } = await runCommand(["--http", "nonsense"], temporaryFolder(t));
    assert.match(stderr, /^Cannot use --http: found "nonsense"/);
    assert.equal(code, 78);
  });

  it("because its port is in use says so before anybody waits for handlers, and leaves the other one alone", async (t) => {
    const first = await startServer(t, { handlers: FIXTURE_HANDLERS });
    const port = first.port("http");
    const neverLoads = "await new Promise(() => setInterval(() => {}, 1000));";
    const handlers = { "index.ts": `${neverLoads} export default () => new Response();` };
    const second = spawnServer(t, { handlers, flags: ["--http", String(port)] });
    assert.deepEqual(await second.exit, { code: 70, signal: null });
    assert.match(
      second.stderr,
      new RegExp(`Cannot listen for http on \\*:${port}: the port is in use`),
    );
    assert.equal(await (await first.fetch("/")).text(), "hello");
  });
});

describe("a server that is refused for its settings", { timeout: 180_000 }, () => {
  for (const [title, flags, message] of [
    [
      "certificates that are not there",
      ["--https", "0", "--certs", "nope"],
      /^Cannot use --certs: found no folder \S+\/nope, expected the folder of the certificates .*\n$/,
    ],
    [
      "a state folder that cannot be",
      ["--https", "0", "--state-dir", "/proc/edgicorn"],
      /^Cannot use the state folder \/proc\/edgicorn: ENOENT.*\n$/,
    ],
    [
      "a pid file that cannot be",
      ["--https", "0", "--pid-file", "nope/edgicorn.pid"],
      /^Cannot use --pid-file: found no folder .*\n$/,
    ],
  ] as const) {
    it(`because of ${title} exits with 78 and has made nothing`, async (t) => {
      const server = spawnServer(t, { handlers: { "index.ts": GOOD }, flags });
      assert.deepEqual(await server.exit, { code: 78, signal: null });
      assert.match(server.stderr, message);
      assert.deepEqual(readdirSync(server.dir), ["handlers"]);
      const check = await runCommand(["check", "--http", "0", ...flags], server.dir);
      assert.equal(check.code, 78);
      assert.match(check.stderr, message);
      assert.deepEqual(readdirSync(server.dir), ["handlers"]);
    });
  }
});

describe("a server that starts", { timeout: 300_000 }, () => {
  it("refuses connections until it can answer them, and then answers each", async (t) => {
    const port = await findFreePort();
    // It loads once a client was refused, however late the first client is.
    const waits = `import { existsSync } from "node:fs";
      while (!existsSync("go")) await new Promise((resolve) => setTimeout(resolve, 5));`;
    const server = spawnServer(t, {
      handlers: { "index.ts": `${waits}\n${GOOD}` },
      flags: ["--http", String(port)],
    });
    const seen = { refused: 0, answered: 0 };
    while (seen.answered < 20) {
      try {
        const connection = await RawConnection.open(port);
        connection.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert.match(await connection.untilClosed(), /^HTTP\/1\.1 200 OK\r\n.*hello$/s);
        seen.answered++;
      } catch (error) {
        const isRefused =
          error instanceof Error && "code" in error && error.code === "ECONNREFUSED";
        if (!isRefused || seen.answered > 0) throw error;
        seen.refused++;
        writeFileSync(join(server.dir, "go"), "");
        await delay(1);
      }
    }
    assert.ok(seen.refused > 0);
    await server.until(({ msg }) => msg === "listening");
  });

  it("listens on the address that it was given, IPv6 too", async (t) => {
    for (const [host, url] of [
      ["127.0.0.1", "http://127.0.0.1"],
      ["::1", "http://[::1]"],
    ] as const) {
      const server = await startServer(t, { handlers: FIXTURE_HANDLERS, flags: ["--host", host] });
      const response = await fetch(`${url}:${server.port("http")}/inspect`);
      const seen = (await response.json()) as Record<string, unknown>;
      assert.equal(seen["url"], `${url}:${server.port("http")}/inspect`);
      assert.equal(seen["clientAddress"], host);
    }
  });
});
