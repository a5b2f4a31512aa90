import { readFile } from "node:fs/promises";
import { createSecureContext } from "node:tls";
import type { UpstreamGroupSetting } from "../config/upstream-settings.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { UpstreamTls } from "../upstream/server-options.ts";

/** The texts of the files that a group names. */
export type LoadedTls = Pick<UpstreamTls, "ca" | "certificate">;

/**
 * Reads the files of the certificates that a group names, and checks them.
 *
 * @throws RuntimeError `ERR_CONFIG` with the key of the config for a file that cannot be read or used.
 */
export async function loadTls({ name, tls }: UpstreamGroupSetting): Promise<LoadedTls> {
  const place = `upstreams[${JSON.stringify(name)}].tls`;
  const { ca: caPath, cert, key: keyPath } = tls;
  const ca = caPath === null ? null : await readPem(caPath, `${place}.ca`);
  check({ ca: ca ?? undefined }, { place: `${place}.ca`, expected: "certificates in PEM" });
  if (cert === null || keyPath === null) return { ca, certificate: null };
  // One after the other, so that the same of two mistakes is always the one that is told.
  const chain = await readPem(cert, `${place}.cert`);
  const key = await readPem(keyPath, `${place}.key`);
  check({ cert: chain, key }, { place, expected: "a certificate and its key, in PEM" });
  return { ca, certificate: { chain, key } };
}

async function readPem(path: string, place: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw refusal(place, { found: `${path} (${reason})`, expected: "a file that can be read" });
  }
  // OpenSSL takes a text without a certificate for an empty list.
  if (!text.includes("-----BEGIN ")) {
    throw refusal(place, { found: `${path} without PEM`, expected: "a file in PEM" });
  }
  return text;
}

function check(
  options: Parameters<typeof createSecureContext>[0],
  { place, expected }: { place: string; expected: string },
): void {
  try {
    createSecureContext(options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw refusal(place, { found: reason, expected });
  }
}

function refusal(
  place: string,
  { found, expected }: { found: string; expected: string },
): RuntimeError {
  return new RuntimeError(
    "ERR_CONFIG",
    `Cannot use ${place}: found ${found}, expected ${expected}`,
  );
}
