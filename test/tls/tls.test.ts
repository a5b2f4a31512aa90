import assert from "node:assert/strict";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { describe, it } from "node:test";
import { type LoadedCertificates, loadCertificates } from "../../runtime/tls/tls.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { makeCertificate, makeChain, openssl } from "../engine/uws/openssl.ts";

const DAY_MS = 24 * 3_600_000;

async function refusal(dir: string): Promise<string> {
  try {
    await loadCertificates(dir);
  } catch (error) {
    assert.ok(error instanceof RuntimeError, String(error));
    assert.equal(error.code, "ERR_CERTIFICATE");
    return error.message.replaceAll(`${dir}/`, "");
  }
  return assert.fail("accepted");
}

function names({ certificates }: LoadedCertificates): string[] {
  return certificates.map(({ name }) => name);
}

function daysFromNow(days: number): Date {
  return new Date(Date.now() + days * DAY_MS);
}

function day(days: number): string {
  return daysFromNow(days).toISOString().slice(0, 10);
}

describe("loadCertificates()", { timeout: 180_000 }, () => {
  it("makes a certificate for localhost where there is none, once", async (t) => {
    const dir = join(temporaryFolder(t), "certs");
    const first = await loadCertificates(dir);
    const [certificate] = first.certificates;
    assert.equal(first.created, true);
    assert.deepEqual(first.warnings, []);
    assert.deepEqual(
      { ...certificate, notBeforeMs: 0, notAfterMs: 0, digest: "" },
      {
        name: "localhost",
        certPath: join(dir, "localhost.crt"),
        keyPath: join(dir, "localhost.key"),
        names: ["localhost"],
        covers: ["localhost"],
        notBeforeMs: 0,
        notAfterMs: 0,
        origin: "development",
        digest: "",
      },
    );
    const pem = readFileSync(certificate.certPath, "utf8");
    const second = await loadCertificates(dir);
    assert.equal(second.created, false);
    assert.deepEqual(second.certificates, first.certificates);
    assert.equal(readFileSync(certificate.certPath, "utf8"), pem);
    assert.deepEqual(structuredClone(second), second);
  });

  it("serves a name with the certificate of its site, and all others with the first of the folder", async (t) => {
    const dir = temporaryFolder(t);
    const [certs, site] = [join(dir, "certs"), join(dir, "site")];
    for (const folder of [certs, site]) mkdirSync(folder);
    makeCertificate({ base: join(certs, "z"), altNames: "DNS:a.test,DNS:b.test" });
    makeCertificate({ base: join(site, "default"), altNames: "DNS:b.test" });
    const pair = { certPath: join(site, "default.crt"), keyPath: join(site, "default.key") };
    const { certificates, created } = await loadCertificates(certs, {
      ofSites: [{ dir: site }, { dir: site }, pair, { dir: certs }],
    });
    assert.equal(created, false);
    assert.deepEqual(
      certificates.map(({ name, names: served, covers }) => [name, served, covers]),
      [
        ["z", ["a.test"], ["a.test", "b.test"]],
        ["default", ["b.test"], ["b.test"]],
      ],
    );
    // A certificate of a site is enough.
    const alone = await loadCertificates(join(dir, "none"), { ofSites: [pair] });
    assert.deepEqual([names(alone), alone.created], [["default"], false]);
    await assert.rejects(
      loadCertificates(certs, { ofSites: [{ ...pair, keyPath: join(certs, "z.key") }] }),
      /found the key of another certificate/,
    );
  });

  it("renews its own certificate before it expires", async (t) => {
    const dir = temporaryFolder(t);
    const old = await loadCertificates(dir, { now: daysFromNow(-380) });
    const renewed = await loadCertificates(dir);
    assert.equal(renewed.created, true);
    assert.deepEqual(renewed.warnings, []);
    assert.ok(renewed.certificates[0].notAfterMs > old.certificates[0].notAfterMs);
  });

  it("finishes what a process that was killed began", async (t) => {
    const dir = temporaryFolder(t);
    await loadCertificates(dir);
    renameSync(join(dir, "localhost.crt"), join(dir, "elsewhere"));
    const again = await loadCertificates(dir);
    assert.equal(again.created, true);
  });

  it("takes the operator's certificates and makes none", async (t) => {
    const dir = temporaryFolder(t);
    makeCertificate({ base: join(dir, "b"), altNames: "DNS:B.test,DNS:*.b.test,IP:10.0.0.1" });
    makeCertificate({ base: join(dir, "a"), altNames: "DNS:a.test" });
    const loaded = await loadCertificates(dir);
    assert.deepEqual(names(loaded), ["a", "b"]);
    assert.deepEqual(loaded.certificates[1]?.names, ["b.test", "*.b.test"]);
    assert.equal(loaded.certificates[0].origin, "operator");
    assert.equal(loaded.created, false);
    assert.deepEqual(loaded.warnings, []);
    assert.ok(!existsSync(join(dir, "localhost.crt")));
  });

  it("puts default.crt first, then the operator's, then its own", async (t) => {
    const dir = temporaryFolder(t);
    await loadCertificates(dir);
    makeCertificate({ base: join(dir, "z"), altNames: "DNS:z.test" });
    assert.deepEqual(names(await loadCertificates(dir)), ["z", "localhost"]);
    makeCertificate({ base: join(dir, "default"), altNames: "DNS:d.test" });
    makeCertificate({ base: join(dir, "a"), altNames: "DNS:a.test" });
    assert.deepEqual(names(await loadCertificates(dir)), ["default", "a", "z", "localhost"]);
  });

  it("leaves a name to one certificate, the operator's before its own", async (t) => {
    const dir = temporaryFolder(t);
    await loadCertificates(dir);
    makeCertificate({ base: join(dir, "a"), altNames: "DNS:x.test,DNS:localhost" });
    makeCertificate({ base: join(dir, "b"), altNames: "DNS:X.test,DNS:y.test" });
    const { certificates, warnings } = await loadCertificates(dir);
    assert.deepEqual(
      certificates.map((certificate) => certificate.names),
      [["x.test", "localhost"], ["y.test"], []],
    );
    assert.deepEqual(warnings, [`${dir}/b.crt is not used for x.test: ${dir}/a.crt is`]);
  });

  it("takes certbot's folders, linked or not, and the folder of one", async (t) => {
    const dir = temporaryFolder(t);
    for (const folder of ["live", "live/a.test", "archive"]) mkdirSync(join(dir, folder));
    for (const folder of ["live/a.test", "archive"]) {
      const base = join(dir, folder, "made");
      makeCertificate({ base, altNames: `DNS:${basename(folder)}` });
      renameSync(`${base}.crt`, join(dir, folder, "fullchain.pem"));
      renameSync(`${base}.key`, join(dir, folder, "privkey.pem"));
    }
    symlinkSync("../archive", join(dir, "live", "b.test"));
    symlinkSync("nowhere", join(dir, "live", "dangling"));
    writeFileSync(join(dir, "live", "README"), "");
    assert.deepEqual(names(await loadCertificates(join(dir, "live"))), ["a.test", "b.test"]);
    assert.deepEqual(names(await loadCertificates(join(dir, "archive"))), ["archive"]);
  });

  it("takes a chain, and says when it is in the wrong order", async (t) => {
    const dir = temporaryFolder(t);
    const { leaf, issuer } = makeChain(dir, "c");
    const write = (...files: string[]): void =>
      writeFileSync(join(dir, "c.crt"), files.map((file) => readFileSync(file, "utf8")).join(""));
    write(leaf, issuer);
    const loaded = await loadCertificates(dir);
    assert.deepEqual([names(loaded), loaded.warnings], [["c"], []]);
    write(issuer, leaf);
    assert.equal(
      await refusal(dir),
      "Cannot use c.crt: found the certificates in the wrong order, expected the server's own first",
    );
    makeCertificate({ base: join(dir, ".other"), altNames: "DNS:o.test" });
    write(leaf, join(dir, ".other.crt"));
    assert.deepEqual((await loadCertificates(dir)).warnings, [
      `${dir}/c.crt is out of order: its certificate 2 did not issue its certificate 1`,
    ]);
  });

  it("warns of dates, open keys, missing names and files that it does not know", async (t) => {
    const dir = temporaryFolder(t);
    makeCertificate({ base: join(dir, "a") });
    const bare = await loadCertificates(dir);
    assert.deepEqual(bare.warnings, [
      `${dir}/a.crt names no host (it has no subjectAltName): browsers refuse it`,
    ]);
    makeCertificate({ base: join(dir, "a"), altNames: "DNS:a.test" });
    const at = async (days: number): Promise<string[]> =>
      (await loadCertificates(dir, { now: daysFromNow(days) })).warnings;
    assert.deepEqual(await at(59), []);
    assert.deepEqual(await at(61), [`${dir}/a.crt expires on ${day(90)}`]);
    assert.deepEqual(await at(91), [`${dir}/a.crt expired on ${day(90)}`]);
    assert.deepEqual(await at(-1), [`${dir}/a.crt is not valid before ${day(0)}`]);
    chmodSync(join(dir, "a.key"), 0o644);
    assert.deepEqual(await at(0), [
      `${dir}/a.key can be read by every user of this machine (mode 0644), expected 0600`,
    ]);

    const other = temporaryFolder(t);
    writeFileSync(join(other, "cert.pem"), "");
    assert.deepEqual((await loadCertificates(other)).warnings, [
      `Ignored cert.pem in ${other}: expected NAME.crt with NAME.key, or fullchain.pem with privkey.pem`,
    ]);
  });

  const damage: [title: string, break_: (dir: string) => unknown, message: string][] = [
    [
      "a certificate without its key",
      (dir) => renameSync(join(dir, "a.key"), join(dir, ".a.key")),
      "Cannot use a.crt: found no a.key next to it, expected its private key",
    ],
    [
      "a key without its certificate",
      (dir) => renameSync(join(dir, "a.crt"), join(dir, ".a.crt")),
      "Cannot use a.key: found no a.crt next to it, expected its certificate",
    ],
    [
      "the key of another certificate",
      (dir) => {
        makeCertificate({ base: join(dir, ".b") });
        copyFileSync(join(dir, ".b.key"), join(dir, "a.key"));
      },
      "Cannot use a.key: found the key of another certificate, expected the one of a.crt",
    ],
    [
      "an encrypted key",
      (dir) => {
        renameSync(join(dir, "a.key"), join(dir, ".a.key"));
        openssl(`pkcs8 -topk8 -v2 aes256 -passout pass:x -in ${dir}/.a.key -out ${dir}/a.key`);
      },
      "Cannot use a.key: found an encrypted private key, expected one without a passphrase " +
        "(openssl pkey -in OLD -out NEW removes it)",
    ],
    [
      "a key encrypted the old way",
      (dir) => openssl(`ec -aes256 -passout pass:x -in ${dir}/a.key -out ${dir}/a.key`),
      "Cannot use a.key: found an encrypted private key, expected one without a passphrase " +
        "(openssl pkey -in OLD -out NEW removes it)",
    ],
    [
      "a certificate as the key",
      (dir) => copyFileSync(join(dir, "a.crt"), join(dir, "a.key")),
      'Cannot use a.key: found "CERTIFICATE", expected a private key in PEM',
    ],
    [
      "a key as the certificate",
      (dir) => copyFileSync(join(dir, "a.key"), join(dir, "a.crt")),
      'Cannot use a.crt: found "PRIVATE KEY", expected a certificate in PEM',
    ],
    [
      "a certificate in DER",
      (dir) => openssl(`x509 -outform der -in ${dir}/a.crt -out ${dir}/a.crt`),
      "Cannot use a.crt: found binary (DER), expected a certificate in PEM",
    ],
    [
      "an empty file",
      (dir) => writeFileSync(join(dir, "a.crt"), ""),
      "Cannot use a.crt: found an empty file, expected a certificate in PEM",
    ],
    [
      "any text",
      (dir) => writeFileSync(join(dir, "a.key"), "hello"),
      "Cannot use a.key: found no PEM, expected a private key in PEM",
    ],
    [
      "a damaged certificate",
      (dir) => {
        const pem = readFileSync(join(dir, "a.crt"), "utf8").split("\n");
        writeFileSync(join(dir, "a.crt"), pem.toSpliced(2, 2).join("\n"));
      },
      "Cannot use a.crt: found a damaged certificate, expected PEM",
    ],
    [
      "a damaged key",
      (dir) => {
        const pem = readFileSync(join(dir, "a.key"), "utf8").split("\n");
        writeFileSync(join(dir, "a.key"), pem.toSpliced(1, 1).join("\n"));
      },
      "Cannot use a.key: found a damaged private key, expected PEM",
    ],
    [
      "a key on a curve that uWebSockets.js refuses",
      (dir) =>
        makeCertificate({
          base: join(dir, "a"),
          key: "ec -pkeyopt ec_paramgen_curve:secp256k1",
        }),
      "Cannot use a.key: found an ECDSA key on secp256k1, " +
        "expected RSA, ECDSA (P-256, P-384, P-521) or Ed25519",
    ],
    [
      "a key of a type that uWebSockets.js refuses",
      (dir) => makeCertificate({ base: join(dir, "a"), key: "rsa-pss" }),
      "Cannot use a.key: found a key of type rsa-pss, " +
        "expected RSA, ECDSA (P-256, P-384, P-521) or Ed25519",
    ],
    [
      "a folder as the key",
      (dir) => {
        renameSync(join(dir, "a.key"), join(dir, ".a.key"));
        mkdirSync(join(dir, "a.key"));
      },
      "Cannot read a.key: EISDIR: illegal operation on a directory, read",
    ],
    [
      "several at once, a line each",
      (dir) => {
        writeFileSync(join(dir, "b.crt"), "");
        writeFileSync(join(dir, "c.key"), "");
      },
      "Cannot use b.crt: found no b.key next to it, expected its private key\n" +
        "Cannot use c.key: found no c.crt next to it, expected its certificate",
    ],
  ];
  for (const [title, breakIt, message] of damage) {
    it(`refuses ${title}`, async (t) => {
      const dir = temporaryFolder(t);
      makeCertificate({ base: join(dir, "a"), altNames: "DNS:a.test" });
      breakIt(dir);
      assert.equal(await refusal(dir), message);
    });
  }

  for (const key of [
    "ec -pkeyopt ec_paramgen_curve:secp384r1",
    "ec -pkeyopt ec_paramgen_curve:secp521r1",
    "rsa:2048",
    "ed25519",
  ]) {
    it(`accepts ${key}`, async (t) => {
      const dir = temporaryFolder(t);
      makeCertificate({ base: join(dir, "a"), altNames: "DNS:a.test", key });
      assert.deepEqual(names(await loadCertificates(dir)), ["a"]);
    });
  }

  it("says so where it cannot make one", async (t) => {
    const dir = join(temporaryFolder(t), "no", "certs");
    await assert.rejects(loadCertificates(dir), (error) => {
      assert.ok(error instanceof RuntimeError);
      assert.equal(
        error.message,
        `Cannot create a development certificate in ${dir}: ` +
          `ENOENT: no such file or directory, mkdir '${dir}', ` +
          'expected a folder that can be written, or NAME.crt with NAME.key in it, or HTTPS "off"',
      );
      return true;
    });
  });
});
