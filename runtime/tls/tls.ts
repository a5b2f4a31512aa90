import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { RuntimeError } from "../lib/errors.ts";
import {
  type CertificateFiles,
  type CertificateSource,
  findAllCertificateFiles,
  findCertificateFiles,
} from "./certificate-files.ts";
import { checkCertificate } from "./check-certificate.ts";
import {
  createDevelopmentCertificate,
  isDevelopmentCertificate,
} from "./development-certificate.ts";

/** A certificate that was checked and can be served. Plain data. */
export interface ServerCertificate extends CertificateFiles {
  /** DNS names to serve it for: lower case, perhaps `*.example.com`, each in one certificate only. */
  names: string[];
  /** All its DNS names, also those for which another certificate serves. */
  covers: readonly string[];
  /** The first certificate serves only clients that name one of its hosts. Absent: it serves all that no other one serves. */
  onlyByName?: boolean;
  /** Unix time. */
  notBeforeMs: number;
  /** Unix time. */
  notAfterMs: number;
  /** `development`: Edgicorn made it. `operator`: the operator put it there. */
  origin: "development" | "operator";
  /** Digest of both files. */
  digest: string;
}

/** The certificates in `certs/`. Plain data. */
export interface LoadedCertificates {
  /** The first is the default. It serves clients that name no server, or a server that no certificate names. */
  certificates: [ServerCertificate, ...ServerCertificate[]];
  /** Whether this call made the development certificate, or renewed it. */
  created: boolean;
  /** For the log: one line each. */
  warnings: string[];
}

/**
 * Loads the certificates of a folder. Makes one for `localhost` if there is none.
 *
 * `certificate-files.ts` says which files count. The default is `default.crt`, else the first certificate of the operator
 * by name, else the development certificate.
 *
 * @param certsDir Absolute path.
 * @param options.ofSites Certificates of sites. Where such a certificate and one of the folder have a name, the first serves it.
 * @throws ERR_CERTIFICATE whose message has one line per file that cannot be used.
 */
export async function loadCertificates(
  certsDir: string,
  { now = new Date(), ofSites = [] }: { now?: Date; ofSites?: readonly CertificateSource[] } = {},
): Promise<LoadedCertificates> {
  const sources = { certsDir, ofSites };
  const loaded = await loadAll(sources, now);
  if (!needsDevelopmentCertificate(loaded.certificates, now)) return finish(loaded, false);
  await createDevelopmentCertificate(certsDir, { now });
  const again = await loadAll(sources, now);
  const warnings = [...new Set([...loaded.warnings, ...again.warnings])];
  return finish({ ...again, warnings }, true);
}

/**
 * Reads and checks the certificates of a folder. Makes none: the result may be empty.
 *
 * @param certsDir Absolute path.
 * @throws ERR_CERTIFICATE as `loadCertificates` does.
 */
export function inspectCertificates(
  certsDir: string,
  { ofSites = [] }: { ofSites?: readonly CertificateSource[] } = {},
): Promise<{ certificates: ServerCertificate[]; warnings: string[] }> {
  return loadAll({ certsDir, ofSites }, new Date());
}

/** A start or reload renews the development certificate this long before its end. */
const RENEW_MS = 30 * 24 * 3_600_000;

interface LoadedFiles {
  /** Paths of the certificates of sites. */
  ofSites: ReadonlySet<string>;
  certificates: ServerCertificate[];
  warnings: string[];
}

async function loadAll(
  { certsDir, ofSites }: { certsDir: string; ofSites: readonly CertificateSource[] },
  now: Date,
): Promise<LoadedFiles> {
  const { pairs: own, problems, warnings } = await findCertificateFiles(certsDir);
  const isOwn = new Set(own.map(({ certPath }) => certPath));
  const found = await findAllCertificateFiles(ofSites);
  const others = found.pairs.filter(({ certPath }) => !isOwn.has(certPath));
  problems.push(...found.problems);
  warnings.push(...found.warnings);
  const pairs = [...own, ...others];
  const certificates: ServerCertificate[] = [];
  for (const files of pairs) {
    const loaded = await loadPair(files, now);
    if (loaded.ok) {
      certificates.push(loaded.certificate);
      warnings.push(...loaded.warnings);
    } else {
      problems.push(loaded.problem);
    }
  }
  if (problems.length > 0) throw new RuntimeError("ERR_CERTIFICATE", problems.join("\n"));
  return { certificates, warnings, ofSites: new Set(others.map(({ certPath }) => certPath)) };
}

type LoadedPair =
  | { ok: true; certificate: ServerCertificate; warnings: string[] }
  | { ok: false; problem: string };

async function loadPair(files: CertificateFiles, now: Date): Promise<LoadedPair> {
  const { certPath, keyPath } = files;
  const cert = await readPem(certPath);
  if (!cert.ok) return cert;
  const key = await readPem(keyPath);
  if (!key.ok) return key;
  const pems = { certPath, keyPath, cert: cert.content, key: key.content };
  const checked = checkCertificate(pems, now);
  if (!checked.ok) return checked;
  const { certificate, names } = checked;
  const isOurs = isDevelopmentCertificate(certificate);
  return {
    ok: true,
    certificate: {
      ...files,
      names,
      covers: [...names],
      notBeforeMs: Date.parse(certificate.validFrom),
      notAfterMs: Date.parse(certificate.validTo),
      origin: isOurs ? "development" : "operator",
      digest: createHash("sha256").update(pems.cert).update(pems.key).digest("hex"),
    },
    // A development certificate that is about to expire is renewed instead.
    warnings: [...(isOurs ? [] : checked.warnings), ...warnAboutMode(keyPath, key.mode)],
  };
}

function warnAboutMode(keyPath: string, mode: number): string[] {
  if ((mode & OTHERS_MAY_READ) === 0 || process.platform === "win32") return [];
  const octal = (mode & 0o777).toString(8).padStart(4, "0");
  return [`${keyPath} can be read by every user of this machine (mode ${octal}), expected 0600`];
}

const OTHERS_MAY_READ = 0o004;

async function readPem(
  path: string,
): Promise<{ ok: true; content: Buffer; mode: number } | { ok: false; problem: string }> {
  let file: FileHandle | null = null;
  try {
    file = await open(path);
    // The mode of the opened file: the name may be a link, and may change.
    const { mode } = await file.stat();
    return { ok: true, content: await file.readFile(), mode };
  } catch (error) {
    // Errors of the file system have a code.
    const { code, message } = error as NodeJS.ErrnoException;
    const user = process.getuid?.();
    const reason =
      code === "EACCES"
        ? `found no permission for user ${user}, expected a file that this user may read, in folders that this user may enter`
        : message;
    return { ok: false, problem: `Cannot read ${path}: ${reason}` };
  } finally {
    await file?.close();
  }
}

function needsDevelopmentCertificate(certificates: ServerCertificate[], now: Date): boolean {
  return certificates.every(
    ({ origin, name, notAfterMs }) =>
      origin === "development" && name === "localhost" && notAfterMs - now.getTime() < RENEW_MS,
  );
}

function finish(
  { certificates, warnings, ofSites }: LoadedFiles,
  created: boolean,
): LoadedCertificates {
  const isOfSite = ({ certPath }: ServerCertificate): boolean => ofSites.has(certPath);
  const [first, ...others] = certificates.toSorted(
    (a, b) => rank(a, isOfSite(a)) - rank(b, isOfSite(b)),
  );
  if (first === undefined) {
    // The certificate was made a moment ago.
    throw new RuntimeError("ERR_CERTIFICATE", "Cannot load localhost.crt: it was just removed");
  }
  const all = [first, ...others];
  const repeated = dropRepeatedNames([
    ...all.filter(isOfSite),
    ...all.filter((certificate) => !isOfSite(certificate)),
  ]);
  return { certificates: [first, ...others], created, warnings: [...warnings, ...repeated] };
}

/**
 * Orders certificates. The first is the default. It keeps a name that two have, unless one belongs to a site. Certificates
 * of equal rank stay in order of name.
 */
function rank({ name, origin }: ServerCertificate, isOfSite: boolean): number {
  if (name === "default" && !isOfSite) return 0;
  return origin === "operator" ? (isOfSite ? 2 : 1) : 3;
}

/** Removes names that an earlier certificate has: uWebSockets.js ignores the second certificate and reports nothing. */
function dropRepeatedNames(byRank: readonly ServerCertificate[]): string[] {
  const owners = new Map<string, ServerCertificate>();
  const warnings: string[] = [];
  for (const certificate of byRank) {
    certificate.names = certificate.names.filter((name) => {
      const owner = owners.get(name);
      if (owner === undefined) {
        owners.set(name, certificate);
        return true;
      }
      if (certificate.origin === "operator") {
        warnings.push(`${certificate.certPath} is not used for ${name}: ${owner.certPath} is`);
      }
      return false;
    });
  }
  return warnings;
}
