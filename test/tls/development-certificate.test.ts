import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { X509Certificate, createPrivateKey } from "node:crypto";
import { once } from "node:events";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createServer, get } from "node:https";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  createDevelopmentCertificate,
  isDevelopmentCertificate,
} from "../../runtime/tls/development-certificate.ts";
import { compileProgram } from "../helpers/compile-program.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { makeCertificate, openssl } from "../engine/uws/openssl.ts";

function read(dir: string): { certificate: X509Certificate; cert: string; key: string } {
  const cert = readFileSync(join(dir, "localhost.crt"), "utf8");
  const key = readFileSync(join(dir, "localhost.key"), "utf8");
  return { certificate: new X509Certificate(cert), cert, key };
}

describe("createDevelopmentCertificate()", { timeout: 180_000 }, () => {
  it("makes one that browsers take: names, purpose, age, signature", async (t) => {
    const dir = temporaryFolder(t);
    const now = new Date("2026-03-04T05:06:07Z");
    await createDevelopmentCertificate(dir, { now });
    const { certificate, key } = read(dir);
    assert.equal(
      certificate.subjectAltName,
      "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
    );
    assert.ok(certificate.checkIP("::1"));
    assert.equal(certificate.ca, false);
    // serverAuth. The types call it optional; it is there unless a certificate has no such extension.
    assert.deepEqual(certificate.keyUsage, ["1.3.6.1.5.5.7.3.1"]);
    assert.equal(Date.parse(certificate.validFrom), Date.parse("2026-03-03T05:06:07Z"));
    const days = (Date.parse(certificate.validTo) - Date.parse(certificate.validFrom)) / 86_400_000;
    assert.equal(days, 397);
    assert.ok(certificate.verify(certificate.publicKey));
    assert.ok(certificate.checkPrivateKey(createPrivateKey(key)));
    assert.equal(certificate.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1");
    assert.ok(isDevelopmentCertificate(certificate));
  });

  it("makes one that OpenSSL parses without a complaint and trusts as its own root", async (t) => {
    const dir = temporaryFolder(t);
    await createDevelopmentCertificate(dir, { now: new Date() });
    const path = join(dir, "localhost.crt");
    const output = openssl(
      "verify -x509_strict -check_ss_sig -purpose sslserver -verify_hostname localhost",
      `-partial_chain -CAfile ${path} ${path}`,
    );
    assert.match(output, /: OK/);
  });

  it("serves TLS to who trusts it, by name and by address", async (t) => {
    const dir = temporaryFolder(t);
    await createDevelopmentCertificate(dir, { now: new Date() });
    const { cert, key } = read(dir);
    const server = createServer({ cert, key }, (_, response) => response.end());
    t.after(() => server.close());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    for (const host of ["localhost", "127.0.0.1"]) {
      const response = await new Promise<IncomingMessage>((settle, fail) => {
        get({ host, port: address.port, family: 4, ca: cert, agent: false }, settle).once(
          "error",
          fail,
        );
      });
      assert.equal(response.resume().statusCode, 200);
    }
  });

  it("keeps the key to its owner from its first moment on", async (t) => {
    const dir = join(temporaryFolder(t), "certs");
    const before = process.umask(0);
    t.after(() => process.umask(before));
    await createDevelopmentCertificate(dir, { now: new Date() });
    assert.equal(statSync(join(dir, "localhost.key")).mode & 0o777, 0o600);
    assert.equal(statSync(join(dir, "localhost.crt")).mode & 0o777, 0o644);
    assert.equal(statSync(dir).mode & 0o777, 0o700);
    assert.deepEqual(readdirSync(dir).toSorted(), ["localhost.crt", "localhost.key"]);
  });

  it("renews with the same key", async (t) => {
    const dir = temporaryFolder(t);
    await createDevelopmentCertificate(dir, { now: new Date(0) });
    const first = read(dir);
    await createDevelopmentCertificate(dir, { now: new Date() });
    const second = read(dir);
    assert.equal(second.key, first.key);
    assert.notEqual(second.certificate.serialNumber, first.certificate.serialNumber);
  });

  it("leaves a key alone that it did not make", async (t) => {
    const dir = temporaryFolder(t);
    makeCertificate({ base: join(dir, "localhost"), key: "rsa:2048" });
    const { key, cert } = read(dir);
    await assert.rejects(createDevelopmentCertificate(dir, { now: new Date() }), {
      code: "ERR_CERTIFICATE",
      message:
        `Cannot create a development certificate: found ${dir}/localhost.key, which Edgicorn did not make, ` +
        "expected its certificate localhost.crt next to it",
    });
    assert.deepEqual([read(dir).key, read(dir).cert], [key, cert]);
  });

  it("makes one pair when several processes start at once", async (t) => {
    const program = compileProgram(t, {
      text: `
        import { existsSync } from "node:fs";
        import { loadCertificates } from "./runtime/tls/tls.ts";
        import "./runtime/tls/sign-certificate.ts";
        const [, , dir, go] = process.argv;
        console.log("ready");
        while (!existsSync(go));
        await loadCertificates(dir);`,
    });
    for (let round = 0; round < 3; round++) {
      const dir = join(temporaryFolder(t), "certs");
      const go = join(temporaryFolder(t), "go");
      const children = Array.from({ length: 4 }, () =>
        spawn(process.execPath, [program, dir, go], { stdio: ["ignore", "pipe", "inherit"] }),
      );
      t.after(() => children.forEach((child) => child.kill("SIGKILL")));
      const exits = children.map((child) => once(child, "exit"));
      await Promise.all(children.map((child) => once(child.stdout, "data")));
      writeFileSync(go, "");
      for (const exit of exits) assert.deepEqual(await exit, [0, null]);
      const { certificate, key } = read(dir);
      assert.ok(certificate.checkPrivateKey(createPrivateKey(key)));
      assert.equal(readdirSync(dir).length, 2);
    }
  });
});
