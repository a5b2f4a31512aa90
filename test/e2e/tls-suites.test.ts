import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { describe, it } from "node:test";
import { connect, type ConnectionOptions } from "node:tls";
import { makeCertificate } from "../engine/uws/openssl.ts";
import { startServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const HANDLERS = { "index.ts": `export default () => new Response("hello");` };

/** The suite that both sides agree on; `null`: they do not. */
async function suiteOf(port: number, options: ConnectionOptions): Promise<string | null> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  try {
    await once(socket, "secureConnect");
    return socket.getCipher().name;
  } catch {
    return null;
  } finally {
    socket.destroy();
  }
}

/** Certificates of RSA, which all suites of TLS 1.2 can use that there are: one is the default, one has a name. */
function makeCertificates(dir: string): void {
  makeCertificate({ base: join(dir, "default"), key: "rsa:2048", altNames: "DNS:a.test" });
  makeCertificate({ base: join(dir, "named"), key: "rsa:2048", altNames: "DNS:b.test" });
}

describe("TLS", { timeout: 180_000 }, () => {
  it("offers suites with forward secrecy and an authenticated cipher only, for each name", async (t) => {
    const certs = temporaryFolder(t);
    makeCertificates(certs);
    const flags = ["--certs", certs];
    const server = await startServer(t, { handlers: HANDLERS, https: true, workers: 1, flags });
    const port = server.port("https");
    for (const servername of ["a.test", "b.test"]) {
      for (const [ciphers, expected] of [
        ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
        ["ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"],
        ["AES128-GCM-SHA256:AES256-GCM-SHA384", null],
        ["AES128-SHA:AES256-SHA", null],
        ["ECDHE-RSA-AES128-SHA:ECDHE-RSA-AES256-SHA:ECDHE-RSA-AES128-SHA256", null],
      ] as const) {
        const suite = await suiteOf(port, { servername, ciphers, maxVersion: "TLSv1.2" });
        assert.equal(suite, expected, `${servername} ${ciphers}`);
      }
    }
    assert.equal(await suiteOf(port, { minVersion: "TLSv1", maxVersion: "TLSv1.1" }), null);
    assert.match((await suiteOf(port, {})) ?? "", /^TLS_/);
    await t.test("as sslscan sees it", (inner) => {
      const scan = spawnSync("sslscan", ["--no-colour", `127.0.0.1:${port}`], { encoding: "utf8" });
      if (scan.error !== undefined) {
        inner.skip("sslscan is not installed (apt-get install sslscan)");
        return;
      }
      const offered = [...scan.stdout.matchAll(/(?:Preferred|Accepted)\s+(\S+)\s.*bits\s+(\S+)/g)];
      const old = offered
        .filter(([, version]) => version !== "TLSv1.3")
        .map(([, , suite]) => suite);
      assert.deepEqual(
        new Set(old),
        new Set([
          "ECDHE-RSA-AES128-GCM-SHA256",
          "ECDHE-RSA-AES256-GCM-SHA384",
          "ECDHE-RSA-CHACHA20-POLY1305",
        ]),
      );
      assert.doesNotMatch(scan.stdout, /TLSv1\.[01]\s+enabled/);
    });
  });

  it("offers other suites, and TLS 1.3 only, where that is asked for", async (t) => {
    const certs = temporaryFolder(t);
    makeCertificates(certs);
    const start = async (...flags: string[]): Promise<number> => {
      const options = { handlers: HANDLERS, https: true, workers: 1 };
      const server = await startServer(t, { ...options, flags: ["--certs", certs, ...flags] });
      return server.port("https");
    };
    const [older, newest] = await Promise.all([
      start("--tls-ciphers", "ECDHE-RSA-AES128-SHA"),
      start("--tls-min-version", "1.3"),
    ]);
    for (const servername of ["a.test", "b.test"]) {
      const name = { servername, maxVersion: "TLSv1.2" } as const;
      assert.equal(await suiteOf(older, name), "ECDHE-RSA-AES128-SHA");
      assert.equal(await suiteOf(older, { ...name, ciphers: "ECDHE+AESGCM" }), null);
      assert.equal(await suiteOf(newest, name), null);
      assert.match((await suiteOf(newest, { servername })) ?? "", /^TLS_/);
    }
  });
});
