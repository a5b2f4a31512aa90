import { type KeyObject, type X509Certificate, createPrivateKey, randomUUID } from "node:crypto";
import { link, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { RuntimeError } from "../lib/errors.ts";

/** Common name of the issuer. It tells Edgicorn's certificates from the operator's. */
export const DEVELOPMENT_ISSUER = "Edgicorn development";

/** Whether Edgicorn made this certificate. */
export function isDevelopmentCertificate(certificate: X509Certificate): boolean {
  return certificate.issuer.split("\n").includes(`CN=${DEVELOPMENT_ISSUER}`);
}

/**
 * Makes `localhost.crt` and `localhost.key` in a folder, and the folder itself if its parent exists.
 *
 * Several processes may do this at once, and any of them may be killed at any time: the key is published first, under
 * its name only if there is none yet, and every process signs a certificate for the key that it finds there. Whichever
 * certificate comes last, it fits the key. An existing key is kept, so this also renews a certificate.
 *
 * @param certsDir Absolute.
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
 * With the day before: 397 days. Browsers refuse more than 398 for a certificate of an authority, 825 (Apple) for any.
 */
const VALIDITY_MS = 396 * DAY_MS;

/** Virtual machines wake up with old clocks. */
const CLOCK_SKEW_MS = DAY_MS;

async function readKey(path: string): Promise<KeyObject> {
  try {
    const key = createPrivateKey(await readFile(path));
    if (key.asymmetricKeyDetails?.namedCurve === "prime256v1") return key;
  } catch {
    // Not PEM, or encrypted: refused below, as any other key that is not ours.
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

/** A file beside `path`, with its mode from the first moment. `wx` is O_EXCL: it follows no planted link. */
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
