import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { connect, type TLSSocket } from "node:tls";
import { makeCertificate } from "../engine/uws/openssl.ts";
import { Load } from "../helpers/load.ts";
import { RawConnection } from "../helpers/raw-connection.ts";
import { Reloads } from "../helpers/reloads.ts";
import { send } from "../helpers/send.ts";
import { startServer, type StartOptions, type TestServer } from "../helpers/start-server.ts";

const HELLO = `export default () => Response.json(process.pid);`;

/** A server whose config file can be written anew. */
async function startConfigured(
  t: TestContext,
  config: object,
  options: Partial<StartOptions> = {},
): Promise<{ server: TestServer; reloads: Reloads; configure: (config: object) => void }> {
  const name = "edgicorn.config.json";
  const server = await startServer(t, {
    handlers: { "index.ts": HELLO },
    workers: 1,
    files: { [name]: JSON.stringify(config) },
    ...options,
  });
  return {
    server,
    reloads: new Reloads(server),
    configure: (next) => writeFileSync(join(server.dir, name), JSON.stringify(next)),
  };
}

/** A connection over TLS that names a server, and the subject of the certificate that it was shown. */
async function connectTls(
  t: TestContext,
  port: number,
  servername = "localhost",
): Promise<{ connection: RawConnection; names: string }> {
  const socket: TLSSocket = connect({ port, servername, rejectUnauthorized: false });
  t.after(() => socket.destroy());
  await once(socket, "secureConnect");
  const names = socket.getPeerCertificate().subjectaltname ?? "";
  return { connection: RawConnection.over(socket), names };
}

const GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/**
 * Sends one request after the other over a connection, which must stay open. A connection without requests may close after
 * 8 s, which a slow machine needs for a reload.
 */
function keepUsing(t: TestContext, connection: RawConnection): Load<number> {
  const ask = async (): Promise<number> => {
    connection.send(GET);
    return (await connection.response()).status;
  };
  return new Load(t, 1, ask, { pauseMs: 20 });
}

/** Asserts that a connection has answered each request, and answers one more. */
async function assertUsed(load: Load<number>): Promise<void> {
  await load.until(load.results.length + 1);
  const statuses = await load.stop();
  assert.ok(statuses.every((status) => status === 200));
}

describe("SIGHUP, with a config file", { timeout: 600_000 }, () => {
  it("keeps workers and says nothing of settings that only follow from others", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": HELLO }, workers: 1 });
    const pid = await (await server.fetch("/")).text();
    const report = `export const config = { pool: "reports" };\n${HELLO}`;
    writeFileSync(join(server.handlersDir, "report.ts"), report);
    const pools = { reports: { workers: 2 } };
    writeFileSync(join(server.dir, "edgicorn.config.json"), JSON.stringify({ pools }));
    const { settings, pools: changes } = await new Reloads(server).next();
    assert.deepEqual(settings, ["pools"]);
    assert.deepEqual(changes, [
      { name: "default", change: "kept", reasons: [], workers: 1 },
      { name: "reports", change: "added", reasons: ["new pool"], workers: 2 },
    ]);
    assert.equal(await (await server.fetch("/")).text(), pid);
  });

  it("follows it, and keeps workers that it does not concern", async (t) => {
    const { server, reloads, configure } = await startConfigured(t, { bodyLimit: 10 });
    const post = async (): Promise<number> =>
      (await server.fetch("/", { method: "POST", body: "x".repeat(20) })).status;
    assert.equal(await post(), 413);
    // Lines are written in batches: this one must not come after the reload.
    await server.untilAccess({ method: "POST", status: 413 });
    mkdirSync(join(server.dir, "web"));
    writeFileSync(join(server.dir, "web/a.txt"), "static");
    configure({ bodyLimit: 30, accessLog: false });
    const { pools, settings } = await reloads.next();
    assert.deepEqual(settings, ["bodyLimit", "accessLog"]);
    assert.deepEqual(pools, [{ name: "default", change: "kept", reasons: [], workers: 1 }]);
    const accessLines = server.accessLines.length;
    assert.equal(await post(), 200);
    assert.equal(server.accessLines.length, accessLines);

    configure({ bodyLimit: 30, responseBuffer: "64kb" });
    const replacing = await reloads.next();
    assert.deepEqual(replacing.settings, ["responseBuffer", "accessLog"]);
    assert.deepEqual(replacing.pools[0]?.reasons, ["responseBuffer changed"]);
    assert.equal(await post(), 200);
    await server.untilAccess({ method: "POST", status: 200 });
  });

  it("applies it as a whole or not at all", async (t) => {
    const { server, reloads, configure } = await startConfigured(t, { bodyLimit: 10 });
    const state = async (): Promise<unknown> => [
      (await server.fetch("/", { method: "POST", body: "x".repeat(20) })).status,
      await (await server.fetch("/")).json(),
      (await server.fetch("/new")).status,
    ];
    const before = await state();
    // All of it would be fine, but for one thing.
    writeFileSync(join(server.handlersDir, "new.ts"), HELLO);
    const refusals: [config: object, message: RegExp][] = [
      [
        { bodyLimit: 30, sendTimeout: -1 },
        /Cannot use sendTimeout in edgicorn\.config\.json: found -1/,
      ],
      [{ bodyLimit: 30, header: 1 }, /unknown key/],
      [
        { bodyLimit: 30, stateDir: "elsewhere", headerLimit: "8kb" },
        /Cannot change headerLimit while the server runs: found 8192, expected 16384.*\n.*Cannot change stateDir/,
      ],
      [{ bodyLimit: 30, warmup: ["/fails"] }, /worker \d+ answered GET \/fails with 500/],
      [{ bodyLimit: 30, pools: { default: { workers: 2 } } }, /pools\.default\.workers/],
    ];
    writeFileSync(join(server.handlersDir, "fails.ts"), `export default () => { throw 1; };`);
    for (const [config, message] of refusals) {
      configure(config);
      assert.match(await reloads.refused(), message);
      assert.deepEqual(await state(), before);
    }
    configure({ bodyLimit: 30 });
    writeFileSync(join(server.handlersDir, "broken.ts"), "\n\nexport default (;");
    assert.match(await reloads.refused(), /handlers\/broken\.ts:3/);
    assert.deepEqual(await state(), before);
    rmSync(join(server.handlersDir, "broken.ts"));
    await reloads.next();
    const [status, , found] = (await state()) as unknown[];
    assert.deepEqual([status, found], [200, 200]);
  });

  it("moves to another public folder, under load", async (t) => {
    const files = {
      "one/page.txt": "one",
      "two/page.txt": "two",
      "edgicorn.config.json": JSON.stringify({ public: "one", http: 0, https: "off" }),
    };
    const server = await startServer(t, {
      handlers: { "index.ts": HELLO },
      workers: 1,
      files,
      publicFromFile: true,
    });
    const load = new Load(t, 4, async () => (await server.fetch("/page.txt")).text());
    await load.until(20);
    writeFileSync(
      join(server.dir, "edgicorn.config.json"),
      JSON.stringify({ public: "two", http: 0, https: "off" }),
    );
    assert.deepEqual((await new Reloads(server).next()).settings, ["public"]);
    await load.until(20, (text) => text === "two");
    const texts = await load.stop();
    assert.deepEqual([...new Set(texts)], ["one", "two"]);
  });
});

describe("SIGHUP, with certificates", { timeout: 600_000 }, () => {
  it("serves new ones to new connections, and closes no old one", async (t) => {
    const server = await startServer(t, {
      handlers: { "index.ts": HELLO },
      workers: 1,
      https: true,
      // Only the reload may take them.
      flags: ["--watch-certs", "off"],
    });
    const port = server.port("https");
    const certs = join(server.dir, "certs");
    const old = await connectTls(t, port);
    assert.equal(old.names, "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1");
    const uses = [keepUsing(t, old.connection)];

    makeCertificate({ base: join(certs, "default"), altNames: "DNS:first.test" });
    makeCertificate({ base: join(certs, "other"), altNames: "DNS:other.test" });
    const reloads = new Reloads(server);
    const load = new Load(t, 2, async () => (await send(`${server.https}/`)).status);
    const { settings, pools } = await reloads.next();
    assert.deepEqual(settings, ["certs"]);
    assert.equal(pools[0]?.change, "kept");
    assert.equal((await connectTls(t, port, "any.test")).names, "DNS:first.test");
    const other = await connectTls(t, port, "other.test");
    assert.equal(other.names, "DNS:other.test");
    uses.push(keepUsing(t, other.connection));

    makeCertificate({ base: join(certs, "default"), altNames: "DNS:second.test" });
    await reloads.next();
    assert.equal((await connectTls(t, port, "any.test")).names, "DNS:second.test");
    // Connections of both earlier times live.
    await Promise.all(uses.map(assertUsed));
    const statuses = await load.stop();
    assert.ok(statuses.length > 0 && statuses.every((status) => status === 200));
  });

  it("refuses a key that does not fit, and serves on with the old one", async (t) => {
    const server = await startServer(t, {
      handlers: { "index.ts": HELLO },
      workers: 1,
      https: true,
      // Only the reload may take them.
      flags: ["--watch-certs", "off"],
    });
    const port = server.port("https");
    const base = join(server.dir, "certs/default");
    makeCertificate({ base, altNames: "DNS:first.test" });
    const reloads = new Reloads(server);
    await reloads.next();
    const key = readFileSync(`${base}.key`);
    makeCertificate({ base, altNames: "DNS:second.test" });
    writeFileSync(`${base}.key`, key);
    writeFileSync(join(server.handlersDir, "new.ts"), HELLO);
    assert.match(await reloads.refused(), /found the key of another certificate/);
    const { connection, names } = await connectTls(t, port, "any.test");
    assert.equal(names, "DNS:first.test");
    const use = keepUsing(t, connection);
    // Nothing else of that reload counts either.
    assert.equal((await server.fetch("/new")).status, 404);
    // The other way round: certificates that are fine are not served when the handlers are refused.
    makeCertificate({ base, altNames: "DNS:second.test" });
    writeFileSync(join(server.handlersDir, "new.ts"), "throw new Error('broken');");
    assert.match(await reloads.refused(), /new\.ts:1.*broken/s);
    assert.equal((await connectTls(t, port, "any.test")).names, "DNS:first.test");
    rmSync(join(server.handlersDir, "new.ts"));
    assert.deepEqual((await reloads.next()).settings, ["certs"]);
    assert.equal((await connectTls(t, port, "any.test")).names, "DNS:second.test");
    await assertUsed(use);
  });
});

describe("certificates whose files change", { timeout: 300_000 }, () => {
  it("are served without a reload, unless they cannot be used", async (t) => {
    const server = await startServer(t, {
      handlers: { "index.ts": HELLO },
      workers: 1,
      https: true,
    });
    const port = server.port("https");
    const base = join(server.dir, "certs/default");
    const use = keepUsing(t, (await connectTls(t, port)).connection);
    makeCertificate({ base, altNames: "DNS:first.test" });
    await server.until(({ msg }) => msg === "certificates changed");
    assert.equal((await connectTls(t, port, "any.test")).names, "DNS:first.test");
    await assertUsed(use);
    writeFileSync(`${base}.crt`, "no certificate");
    await server.until(({ msg }) => msg?.includes("certificates on disk are not used") === true);
    assert.equal((await connectTls(t, port, "any.test")).names, "DNS:first.test");
  });
});
