import { isIP } from "node:net";
import { type AdminAddress, formatAdminAddress } from "./admin-setting.ts";
import type { Config } from "./config.ts";
import { listUpstreamGroups } from "./proxies.ts";

/** Returns problems of an admin listener that other machines, or visitors of a site, would reach. */
export function findAdminProblems(
  config: Pick<
    Config,
    "admin" | "adminTokenDigest" | "proxy" | "rules" | "sites" | "upstreams" | "spa"
  >,
  label: string,
): string[] {
  const { admin, adminTokenDigest } = config;
  if (admin === null) return [];
  const problems: string[] = [];
  if (admin.kind === "tcp" && adminTokenDigest === null && !isOfThisMachine(admin.host)) {
    problems.push(
      `Cannot use ${label}: found ${JSON.stringify(formatAdminAddress(admin))}, which other machines reach, and no adminToken, ` +
        'expected a token (adminToken: "file:/run/secrets/admin-token", or the variable EDGICORN_ADMIN_TOKEN), ' +
        'an address of this machine alone such as "127.0.0.1:9090", or "unix:" and a path',
    );
  }
  for (const { name, servers } of listUpstreamGroups(config)) {
    if (!servers.some(({ address }) => isSamePlace(address, admin))) continue;
    problems.push(
      `Cannot use ${label}: found that the proxy to ${JSON.stringify(name)} leads to it, ` +
        "expected an address that no visitor reaches",
    );
  }
  return problems;
}

/** Tells whether only programs of this machine reach a host. */
function isOfThisMachine(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

function isSamePlace(
  address: { kind: string; host?: string; port?: number; path?: string },
  admin: AdminAddress,
): boolean {
  if (admin.kind === "unix") return address.kind === "unix" && address.path === admin.path;
  if (address.kind !== "tcp" || address.port !== admin.port || admin.port === 0) return false;
  const { host = "" } = address;
  return host === admin.host || isOfThisMachine(host);
}
