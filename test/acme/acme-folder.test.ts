import assert from "node:assert/strict";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { AcmeFolder } from "../../runtime/acme/acme-folder.ts";
import { NO_ATTEMPTS } from "../../runtime/acme/schedule.ts";
import { findCertificateFiles } from "../../runtime/tls/certificate-files.ts";
import { makeCertificate } from "../engine/uws/openssl.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const WANTED = { name: "a.test", names: ["a.test", "b.test"], directory: "https://ca.test/dir" };

async function openFolder(t: TestContext): Promise<{ dir: string; folder: AcmeFolder }> {
  const dir = temporaryFolder(t);
  const folder = new AcmeFolder(dir);
  await folder.make();
  return { dir, folder };
}

function makePems(dir: string): { chain: string; key: string } {
  const base = join(dir, ".made");
  makeCertificate({ base, altNames: "DNS:a.test,DNS:b.test" });
  return { chain: readFileSync(`${base}.crt`, "utf8"), key: readFileSync(`${base}.key`, "utf8") };
}

describe("AcmeFolder", { timeout: 60_000 }, () => {
  it("replaces a certificate and its key in one step, and keeps two earlier ones", async (t) => {
    const { dir, folder } = await openFolder(t);
    assert.equal(await folder.readCertificate(WANTED), null);
    const pems = makePems(dir);
    for (let count = 0; count < 4; count++) await folder.publishCertificate(WANTED, pems);
    const { pairs, problems } = await findCertificateFiles(dir);
    assert.deepEqual([pairs.map(({ name }) => name), problems], [["a.test"], []]);
    const key = join(dir, "a.test/privkey.pem");
    assert.equal(statSync(key).mode & 0o777, 0o600);
    assert.equal(readdirSync(join(dir, ".acme/issued")).length, 3);
    const found = await folder.readCertificate(WANTED);
    assert.deepEqual(found?.names, WANTED.names);
    // Another authority: its certificate is still to be ordered.
    assert.equal(await folder.readCertificate({ ...WANTED, directory: "https://b.test/" }), null);
  });

  it("does not touch files of the operator", async (t) => {
    const { dir, folder } = await openFolder(t);
    mkdirSync(join(dir, "a.test"));
    const publishing = folder.publishCertificate(WANTED, { chain: "", key: "" });
    await assert.rejects(publishing, { code: "ERR_CERTIFICATE", message: /did not order/ });
  });

  it("gives the lock to one at a time, and takes one that was left behind", async (t) => {
    const { dir, folder } = await openFolder(t);
    const locks = await Promise.all(Array.from({ length: 8 }, () => folder.lock()));
    const held = locks.filter((release) => release !== null);
    assert.equal(held.length, 1);
    await held[0]?.();
    const again = await folder.lock();
    assert.ok(again !== null);
    const old = new Date(Date.now() - 10 * 60_000);
    utimesSync(join(dir, ".acme/lock"), old, old);
    const takers = await Promise.all(Array.from({ length: 8 }, () => folder.lock()));
    const taken = takers.filter((release) => release !== null);
    assert.equal(taken.length, 1);
    // The one that lost it does not release the lock of the other.
    await again();
    assert.equal(await folder.lock(), null);
    await taken[0]?.();
  });

  it("records attempts by names and authority, and refuses a damaged record", async (t) => {
    const { dir, folder } = await openFolder(t);
    assert.deepEqual(await folder.readAttempts(WANTED), NO_ATTEMPTS);
    const attempts = { failures: 2, nextAttemptMs: 7, lastError: "no" };
    await folder.writeAttempts(WANTED, attempts);
    assert.deepEqual(await new AcmeFolder(dir).readAttempts(WANTED), attempts);
    assert.deepEqual(await folder.readAttempts({ ...WANTED, names: ["a.test"] }), NO_ATTEMPTS);
    writeFileSync(join(dir, ".acme/attempts.json"), "{");
    await assert.rejects(folder.readAttempts(WANTED), /remove it to begin anew/);
  });

  it("makes one key for each account, and names keys that others can read", async (t) => {
    const { dir, folder } = await openFolder(t);
    let made = 0;
    const make = (): string => `key ${++made}`;
    const first = await folder.readAccountKey("https://ca.test/", make);
    assert.equal(await folder.readAccountKey("https://ca.test/", make), first);
    assert.notEqual(await folder.readAccountKey("https://other.test/", make), first);
    await folder.checkModes();
    const [name = ""] = readdirSync(join(dir, ".acme")).filter((file) => file.endsWith(".key"));
    chmodSync(join(dir, ".acme", name), 0o640);
    await assert.rejects(folder.checkModes(), /found mode 0640, expected 0600 \(chmod 600/);
  });

  it("shows tokens to all, and no other file", async (t) => {
    const { dir, folder } = await openFolder(t);
    await folder.writeToken("token-1", "token-1.print");
    writeFileSync(join(dir, ".acme/challenges/token-2"), "another text");
    writeFileSync(join(dir, ".acme/challenges/.hidden"), ".hidden.x");
    assert.deepEqual(
      await new AcmeFolder(dir).readTokens(),
      new Map([["token-1", "token-1.print"]]),
    );
    await folder.removeToken("token-1");
    assert.equal((await folder.readTokens()).size, 0);
  });
});
