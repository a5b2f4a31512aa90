import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { RuntimeError } from "../lib/errors.ts";

/** A certificate and its private key. */
export interface CertificateFiles {
  /** `example.com` for `example.com.crt`; for certbot's files the name of their folder. */
  name: string;
  /** Absolute path. The file has the server's certificate first, then the intermediate ones. */
  certPath: string;
  /** Absolute path. */
  keyPath: string;
}

/** A folder of certificates, or the two files of one. Absolute paths. */
export type CertificateSource =
  | { readonly dir: string }
  | { readonly certPath: string; readonly keyPath: string };

export interface FoundCertificates {
  /** Sorted by name. */
  pairs: CertificateFiles[];
  /** Reasons why the folder is unusable: one line each. */
  problems: string[];
  /** Likely mistakes: one line each. */
  warnings: string[];
}

/**
 * Finds the certificates in a folder: `NAME.crt` with `NAME.key`, which is also how Kubernetes mounts a TLS secret, and
 * `fullchain.pem` with `privkey.pem`, in the folder or one below: `--certs /etc/letsencrypt/live` works as it is.
 *
 * Names that begin with a dot are skipped. A `localhost.key` alone is no mistake of the operator: it is the first file
 * of a development certificate.
 *
 * @returns An empty result if there is no such folder.
 * @throws ERR_CERTIFICATE if the folder cannot be read.
 */
export async function findCertificateFiles(certsDir: string): Promise<FoundCertificates> {
  const found: FoundCertificates = { pairs: [], problems: [], warnings: [] };
  const entries = await listFolder(certsDir);
  for (const entry of entries) {
    const path = join(certsDir, entry.name);
    if (await isFolder(entry, path)) {
      const names = (await listFolder(path)).map(({ name }) => name);
      if (names.includes("fullchain.pem")) addCertbotPair(found, path, names);
    }
  }
  const names = entries.map(({ name }) => name);
  if (names.includes("fullchain.pem")) addCertbotPair(found, certsDir, names);
  addNamedPairs(found, certsDir, names);
  if (found.pairs.length === 0) {
    const ignored = names.filter((name) => name.endsWith(".pem"));
    if (ignored.length > 0) {
      found.warnings.push(
        `Ignored ${ignored.join(", ")} in ${certsDir}: expected NAME.crt with NAME.key, ` +
          "or fullchain.pem with privkey.pem",
      );
    }
  }
  found.pairs.sort((a, b) => (a.name < b.name ? -1 : 1));
  return found;
}

/** Finds the certificates of several sources, each file once. Throws as `findCertificateFiles` does. */
export async function findAllCertificateFiles(
  sources: readonly CertificateSource[],
): Promise<FoundCertificates> {
  const all: FoundCertificates = { pairs: [], problems: [], warnings: [] };
  const seen = new Set<string>();
  for (const source of sources) {
    // Sites may share a folder.
    if ("dir" in source && seen.has(source.dir)) continue;
    if ("dir" in source) seen.add(source.dir);
    const found = "dir" in source ? await findCertificateFiles(source.dir) : toPair(source);
    for (const pair of found.pairs) {
      if (!seen.has(pair.certPath)) all.pairs.push(pair);
      seen.add(pair.certPath);
    }
    all.problems.push(...found.problems);
    all.warnings.push(...found.warnings);
  }
  return all;
}

function toPair({ certPath, keyPath }: { certPath: string; keyPath: string }): FoundCertificates {
  const name = basename(certPath).replace(/\.\w+$/, "");
  return { pairs: [{ name, certPath, keyPath }], problems: [], warnings: [] };
}

function addNamedPairs(found: FoundCertificates, dir: string, names: readonly string[]): void {
  for (const file of names) {
    const name = file.replace(/\.(crt|key)$/, "");
    const [certName, keyName] = [`${name}.crt`, `${name}.key`];
    if (file === certName) {
      if (names.includes(keyName)) {
        found.pairs.push({ name, certPath: join(dir, certName), keyPath: join(dir, keyName) });
      } else {
        found.problems.push(
          `Cannot use ${join(dir, certName)}: found no ${keyName} next to it, expected its private key`,
        );
      }
    } else if (file === keyName && !names.includes(certName) && name !== "localhost") {
      found.problems.push(
        `Cannot use ${join(dir, keyName)}: found no ${certName} next to it, expected its certificate`,
      );
    }
  }
}

function addCertbotPair(found: FoundCertificates, dir: string, names: readonly string[]): void {
  const certPath = join(dir, "fullchain.pem");
  if (names.includes("privkey.pem")) {
    found.pairs.push({ name: basename(dir), certPath, keyPath: join(dir, "privkey.pem") });
  } else {
    found.problems.push(
      `Cannot use ${certPath}: found no privkey.pem next to it, expected its private key`,
    );
  }
}

async function listFolder(dir: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries.filter(({ name }) => !name.startsWith("."));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return [];
    const reason = error instanceof Error ? error.message : String(error);
    throw new RuntimeError("ERR_CERTIFICATE", `Cannot read the certificates: ${reason}`, {
      cause: error,
    });
  }
}

/** Follows links: certbot's folders are often linked into place. */
async function isFolder(entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  return await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false, // A dangling link is no folder.
  );
}
