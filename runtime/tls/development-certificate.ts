import { type KeyObject, type X509Certificate, createPrivateKey, randomUUID } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RuntimeError } from "../lib/errors.ts";

/** Common name of the issuer. It tells Edgicorn's certificates from the operator's. */
export const DEVELOPMENT_ISSUER = "Edgicorn development";

/** Returns whether Edgicorn made this certificate. */
export function isDevelopmentCertificate(certificate: X509Certificate): boolean {
  return certificate.issuer.split("\n").includes(`CN=${DEVELOPMENT_ISSUER}`);
}

/**
 * Makes `localhost.crt` and `localhost.key` in a folder, and the folder itself if its parent exists.
 *
 * Several processes may do this at once, and each may be killed at any time. A process publishes its key only if there
 * is none yet, and then signs a certificate for the key that it finds. Every certificate therefore fits the key, also
 * the last one. An existing key is kept: the call then renews its certificate.
 *
 * @param certsDir Absolute path.
 * @throws ERR_CERTIFICATE if the folder cannot be written, or holds a `localhost.key` that is no P-256 key.
 */
export async function createDevelopmentCertificate(
  certsDir: string,
  options: { now: Date },
): Promise<void> {
  try {
    await mkdir(certsDir, { mode: 0o700 }).catch(ignore("EEXIST"));
    // The ASN.1 library takes 25 ms to load: only when a certificate is made.
    const { generateKey, signCertificate } = await import("./sign-certificate.ts");
    const keyPath = join(certsDir, "localhost.key");
    await publishIfAbsent(keyPath, generateKey(), 0o600);
    const pem = signCertificate(await readKey(keyPath), {
      commonName: DEVELOPMENT_ISSUER,
      names: ["localhost"],
      addresses: ["127.0.0.1", "::1"],
      notBefore: new Date(options.now.getTime() - CLOCK_SKEW_MS),
      notAfter: new Date(options.now.getTime() + VALIDITY_MS),
    });
    await publish(join(certsDir, "localhost.crt"), pem, 0o644);
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new RuntimeError(
      "ERR_CERTIFICATE",
      `Cannot create a development certificate in ${certsDir}: ${reason}, ` +
        'expected a folder that can be written, or NAME.crt with NAME.key in it, or HTTPS "off"',
      { cause: error },
    );
  }
}

const DAY_MS = 24 * 3_600_000;

/**
 * Together with the day before the start, 397 days. Browsers refuse more than 398 days for a certificate of an
 * authority. Apple's refuse more than 825 days for any certificate.
 */
const VALIDITY_MS = 396 * DAY_MS;

/** A virtual machine that was paused has a late clock. */
const CLOCK_SKEW_MS = DAY_MS;

async function readKey(path: string): Promise<KeyObject> {
  try {
    const key = createPrivateKey(await readFile(path));
    if (key.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
  } catch {
    // The file is not PEM, or encrypted. It is refused below, like other keys that Edgicorn did not make.
  }
  throw new RuntimeError(
    "ERR_CERTIFICATE",
    `Cannot create a development certificate: found ${path}, which Edgicorn did not make, ` +
      "expected its certificate localhost.crt next to it",
  );
}

/** Writes a whole file under a new name, and publishes it unless another process was first. */
async function publishIfAbsent(path: string, content: string, mode: number): Promise<void> {
  const draft = await writeDraft(path, content, mode);
  try {
    // Unlike rename(), link() does not replace; unlike open() with O_EXCL, it shows the whole content at once.
    await link(draft, path).catch(ignore("EEXIST"));
  } finally {
    await rm(draft, { force: true });
  }
}

/** Writes a whole file in one step, in place of the one that is there. */
async function publish(path: string, content: string, mode: number): Promise<void> {
  const draft = await writeDraft(path, content, mode);
  try {
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

/** Writes a file beside `path`, with its mode from the first moment. `wx` is O_EXCL: it follows no planted link. */
async function writeDraft(path: string, content: string, mode: number): Promise<string> {
  const draft = `${path}.${randomUUID()}.tmp`;
  await writeFile(draft, content, { flag: "wx", mode, flush: true });
  return draft;
}

function ignore(code: string): (error: NodeJS.ErrnoException) => void {
  return (error) => {
    if (error.code !== code) throw error;
  };
}
