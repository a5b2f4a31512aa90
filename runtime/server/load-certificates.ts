import type { Config } from "../config/config.ts";
import { isCovered } from "../config/host-name.ts";
import { listNamedSites, listSiteCertificates } from "../config/sites.ts";
import { type LoadedCertificates, loadCertificates, type ServerCertificate } from "../tls/tls.ts";

/** Most host names that a warning names. */
const MOST_NAMED = 5;

/**
 * Loads the certificates of a server and its sites. Where unknown hosts are refused, the default certificate serves only
 * clients that name one of its hosts, unless the operator chose it as `default.crt`.
 *
 * @throws ERR_CERTIFICATE as `loadCertificates` does.
 */
export async function loadServerCertificates(
  config: Pick<Config, "certsDir" | "sites" | "unknownHost">,
): Promise<LoadedCertificates> {
  const loaded = await loadCertificates(config.certsDir, { ofSites: listSiteCertificates(config) });
  const [first, ...others] = loaded.certificates;
  const onlyByName = config.unknownHost === "refuse" && first.name !== "default";
  const warnings = [...loaded.warnings, ...warnOfUncovered(config, loaded.certificates)];
  return { ...loaded, certificates: [{ ...first, onlyByName }, ...others], warnings };
}

/** Returns a warning for host names of sites that no certificate has. Addresses do not count: clients send no names for them. */
export function warnOfUncovered(
  config: Pick<Config, "sites">,
  certificates: readonly Pick<ServerCertificate, "covers">[],
): string[] {
  const names = new Set(certificates.flatMap(({ covers }) => covers));
  const uncovered = listNamedSites(config)
    .flatMap(({ hosts }) => hosts)
    .filter((host) => !/^\[|^[\d.]+$/.test(host) && !isCovered(host, names));
  if (uncovered.length === 0) return [];
  const more = uncovered.length > MOST_NAMED ? ` and ${uncovered.length - MOST_NAMED} more` : "";
  const shown = uncovered.slice(0, MOST_NAMED).join(", ");
  return [`No certificate has the names ${shown}${more}: browsers refuse HTTPS there`];
}
