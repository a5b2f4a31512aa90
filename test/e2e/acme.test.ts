import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { connect } from "node:tls";
import { eventually } from "../helpers/eventually.ts";
import { Load } from "../helpers/load.ts";
import { BLOCKED_NAME, type Pebble, skipWithoutPebble, startPebble } from "../helpers/pebble.ts";
import { Reloads } from "../helpers/reloads.ts";
import { send } from "../helpers/send.ts";
import {
  spawnServer,
  startServer,
  type StartOptions,
  type TestServer,
} from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { findFreePort } from "../helpers/upstreams.ts";

const NAMES = ["a.test", "b.test"];

/** Returns the names and the serial number of the certificate for a host name. */
async function readCertificate(
  port: number,
  servername: string,
): Promise<{ names: string; serial: string }> {
  const socket = connect({ port, servername, rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const { subjectaltname = "", serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return { names: subjectaltname, serial: serialNumber };
}

function options(
  pebble: Pebble,
  { config, flags }: { config: object; flags: readonly string[] },
): StartOptions {
  return {
    handlers: { "index.ts": `export default () => new Response("hi");` },
    workers: 1,
    https: true,
    files: { "edgicorn.config.json": JSON.stringify(config) },
    flags,
    env: { NODE_EXTRA_CA_CERTS: pebble.caPath },
  };
}

const isIssued = ({ msg }: { msg?: string }): boolean => msg === "certificate issued";
const isOrdering = ({ msg }: { msg?: string }): boolean => msg === "ordering a certificate";

describe("acme", { timeout: 600_000, skip: skipWithoutPebble() }, () => {
  it("issues for two names in spite of redirects and rules, and renews under load without a failed connection", async (t) => {
    const port = await findFreePort();
    const pebble = await startPebble(t, { httpPort: port, validitySeconds: 12 });
    const config = {
      acme: { email: "me@a.test", directory: pebble.directory, names: NAMES },
      httpsRedirect: true,
      rules: [{ path: "/.well-known/**", respond: { status: 410 } }],
    };
    // The authority answers once the certificate for development was seen.
    pebble.kill("SIGSTOP");
    const server = await startServer(
      t,
      options(pebble, { config, flags: ["--http", String(port)] }),
    );
    const https = server.port("https");
    // Until then, clients get the certificate for development.
    assert.match((await readCertificate(https, "a.test")).names, /DNS:localhost/);
    pebble.kill("SIGCONT");
    await server.until(({ msg }) => msg === "certificates changed");
    let first = await readCertificate(https, "a.test");
    assert.equal(first.names, "DNS:a.test, DNS:b.test");
    // On a slow machine it may be renewed between two looks.
    await eventually(t, async () => {
      first = await readCertificate(https, "a.test");
      return (await readCertificate(https, "b.test")).serial === first.serial;
    });
    // A token that is not live belongs to the site.
    const unknown = await send(
      `${server.http}/.well-known/acme-challenge/unknown-token-0123456789`,
    );
    assert.equal(unknown.status, 410);

    const load = new Load(t, 4, async () => (await send(`${server.https}/`)).status);
    await server.until((line) => isIssued(line) && server.logs.filter(isIssued).length > 1);
    await server.until(
      (line) =>
        line.msg === "certificates changed" &&
        server.logs.indexOf(line) > server.logs.findLastIndex(isIssued),
    );
    const renewed = await readCertificate(https, "a.test");
    assert.notEqual(renewed.serial, first.serial);
    const statuses = await load.stop();
    assert.ok(statuses.length > 0 && statuses.every((status) => status === 200));
    // Certificates for 12 s are renewed again and again: the next order may have begun.
    const challenges = join(server.dir, "certs/.acme/challenges");
    await eventually(t, () => readdirSync(challenges).length === 0);
  });

  it("orders once for servers that share the folder and after restarts, and keeps the old certificate when an order fails", async (t) => {
    const port = await findFreePort();
    const pebble = await startPebble(t, { httpPort: port });
    const certs = temporaryFolder(t);
    const config = { acme: { directory: pebble.directory, names: NAMES } };
    const start = (t2: TestContext, http: number): Promise<TestServer> => {
      const flags = ["--http", String(http), "--certs", certs];
      return startServer(t2, options(pebble, { config, flags }));
    };
    const other = await findFreePort();
    const [server, second] = await Promise.all([start(t, port), start(t, other)]);
    // A server that starts late finds the certificate of the other one.
    for (const each of [server, second]) {
      const https = each.port("https");
      await eventually(t, async () =>
        (await readCertificate(https, "a.test")).names.includes("DNS:a.test"),
      );
    }
    assert.equal(pebble.orders(), 1);
    const { serial } = await readCertificate(second.port("https"), "b.test");
    assert.equal((await readCertificate(server.port("https"), "a.test")).serial, serial);
    await second.stop();

    const third = await start(t, other);
    assert.equal((await readCertificate(third.port("https"), "a.test")).serial, serial);
    await third.stop();
    assert.ok(!third.logs.some(isOrdering));

    const more = { ...config.acme, names: [...NAMES, BLOCKED_NAME] };
    writeFileSync(join(server.dir, "edgicorn.config.json"), JSON.stringify({ acme: more }));
    await new Reloads(server).next();
    const failed = await server.until(
      ({ msg }) => msg?.startsWith("certificate not issued") === true,
    );
    assert.match(String(failed.msg), /the present one stays: .*blocked-domain\.example/is);
    assert.ok(Date.parse(String(failed["nextAttempt"])) > Date.now() + 60_000);
    assert.equal((await readCertificate(server.port("https"), "a.test")).serial, serial);
    await server.stop();

    const orders = pebble.orders();
    const flags = ["--http", String(port), "--certs", certs];
    const restarted = await startServer(t, options(pebble, { config: { acme: more }, flags }));
    const waiting = await restarted.until(
      ({ msg }) => msg === "the next order of a certificate waits",
    );
    assert.equal(waiting["nextAttempt"], failed["nextAttempt"]);
    assert.match(String(waiting["lastError"]), /blocked-domain\.example/);
    assert.equal((await readCertificate(restarted.port("https"), "a.test")).serial, serial);
    await restarted.stop();
    assert.equal(pebble.orders(), orders);

    chmodSync(join(certs, "a.test/privkey.pem"), 0o644);
    const refused = spawnServer(t, options(pebble, { config, flags }));
    assert.equal((await refused.exit).code, 70);
    assert.match(refused.stderr, /privkey\.pem: found mode 0644, expected 0600/);
  });
});
