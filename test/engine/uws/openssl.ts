import { execFileSync } from "node:child_process";
import { chmodSync } from "node:fs";
import { join } from "node:path";

export interface OpensslCertificate {
  /** Path without its ending: `NAME.crt` and `NAME.key` are made. */
  base: string;
  /** `DNS:a.test,DNS:*.a.test`; none without. */
  altNames?: string;
  /** As `openssl req -newkey` takes it; P-256 by default. */
  key?: string;
}

const P256 = "ec -pkeyopt ec_paramgen_curve:prime256v1";

/** Makes a self-signed certificate for 90 days, the way an operator does. */
export function makeCertificate({ base, altNames, key = P256 }: OpensslCertificate): void {
  openssl(
    `req -x509 -newkey ${key} -noenc -days 90 -subj /CN=operator`,
    `-keyout ${base}.key -out ${base}.crt`,
    ...(altNames === undefined ? [] : [`-addext subjectAltName=${altNames}`]),
  );
  chmodSync(`${base}.key`, 0o600);
}

/** Makes an authority, and a key `NAME.key` whose certificate it signs. Returns the paths of both certificates. */
export function makeChain(dir: string, name: string): { leaf: string; issuer: string } {
  const authority = join(dir, ".authority");
  const leaf = join(dir, ".leaf.crt");
  openssl(
    `req -x509 -newkey ${P256} -noenc -days 90 -subj /CN=authority`,
    `-keyout ${authority}.key -out ${authority}.crt`,
  );
  openssl(
    `req -x509 -newkey ${P256} -noenc -days 90 -subj /CN=leaf`,
    "-addext subjectAltName=DNS:chain.test -addext basicConstraints=critical,CA:FALSE",
    `-CA ${authority}.crt -CAkey ${authority}.key`,
    `-keyout ${join(dir, `${name}.key`)} -out ${leaf}`,
  );
  return { leaf, issuer: `${authority}.crt` };
}

/** Runs the program. Arguments are separated by spaces, which paths in the temporary folder do not have. */
export function openssl(...lines: readonly string[]): string {
  const args = lines.flatMap((line) => line.split(" "));
  return execFileSync("openssl", args, { stdio: ["ignore", "pipe", "pipe"] }).toString();
}
