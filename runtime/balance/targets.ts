import { isIP } from "node:net";
import { formatUpstreamAddress, type UpstreamAddressSetting } from "../config/upstream-address.ts";
import type { UpstreamGroupSetting, UpstreamServerSetting } from "../config/upstream-settings.ts";
import type { UpstreamServerOptions, UpstreamTls } from "../upstream/server-options.ts";
import type { NameQuery, ResolvedAddress } from "./names/resolve-name.ts";
import type { LoadedTls } from "./load-tls.ts";

/** The share of the requests and the bounds of one server, as the config has them. */
export interface MemberSetting {
  readonly weight: number;
  readonly backup: boolean;
  /** Most requests at a time. */
  readonly most: number;
}

/** One server that a group should have: an address of the config, or one of the addresses of a name. */
export interface Target {
  /** The address. Names the server among all servers of the group. */
  readonly key: string;
  /** The field `host` of health checks. */
  readonly host: string;
  readonly options: Omit<UpstreamServerOptions, "onSettled">;
  readonly setting: MemberSetting;
}

/** Bounds for all upstream servers. */
const HEAD_BYTES = 64 * 1024;
const MOST_FIELDS = 500;
const MOST_IDLE = 256;

/** Longer than most servers keep an idle connection: they say how long with `Keep-Alive: timeout`. */
const KEEP_ALIVE_MS = 60_000;

/**
 * Returns the name that must be resolved for a server of the config; `null`: none. The system itself resolves `localhost` when
 * a connection is opened, since its two addresses are one server.
 */
export function toNameQuery(address: UpstreamAddressSetting): NameQuery | null {
  if (address.kind === "unix") return null;
  if (address.kind === "srv") return { kind: "service", name: address.host };
  const isKnown = isIP(address.host) !== 0 || address.host === "localhost";
  return isKnown ? null : { kind: "host", name: address.host };
}

/**
 * Returns the servers of one entry of the config.
 *
 * @param found The addresses of its name; `null`: it needs none.
 */
export function toTargets(
  server: UpstreamServerSetting,
  found: readonly ResolvedAddress[] | null,
  { group, tls }: { group: UpstreamGroupSetting; tls: LoadedTls },
): Target[] {
  const { address, weight, backup } = server;
  const most = server.maxConnections ?? group.maxConnections;
  const text = formatUpstreamAddress(address);
  const create = (place: Place, setting: Omit<MemberSetting, "most">): Target => ({
    key: place.key,
    host: address.kind === "unix" ? "localhost" : toAuthority(address, place),
    options: {
      name: place.key === text ? text : `${place.key} (${text})`,
      address: place.address,
      tls: toTls(address, { group, tls }),
      limits: {
        headBytes: HEAD_BYTES,
        fields: MOST_FIELDS,
        idleConnections: Math.min(most, MOST_IDLE),
        keepAliveMs: KEEP_ALIVE_MS,
      },
      timeouts: {
        connectMs: group.connectTimeoutMs,
        firstByteMs: group.firstByteTimeoutMs,
        idleMs: group.idleTimeoutMs,
      },
    },
    setting: { ...setting, most },
  });
  if (address.kind === "unix") {
    const place = { key: text, address: { kind: "unix", path: address.path } } as const;
    return [create(place, { weight, backup })];
  }
  if (found === null) {
    if (address.kind === "srv") return [];
    const { host, port } = address;
    return [create({ key: text, address: { kind: "tcp", host, port } }, { weight, backup })];
  }
  return found.map((each) => {
    const port = each.port ?? (address.kind === "tcp" ? address.port : 0);
    const { host } = each;
    const key = formatUpstreamAddress({ kind: "tcp", tls: address.tls, host, port });
    const setting = { weight: weight * each.weight, backup: backup || each.backup };
    return create({ key, address: { kind: "tcp", host, port } }, setting);
  });
}

/** Tells whether the connections to two servers have the same settings. */
export function haveSameOptions(one: Target, other: Target): boolean {
  return JSON.stringify(one.options) === JSON.stringify(other.options);
}

interface Place {
  readonly key: string;
  readonly address: UpstreamServerOptions["address"];
}

/** Returns host and port as the field `host` has them: without the usual port. */
function toAuthority(
  address: Exclude<UpstreamAddressSetting, { kind: "unix" }>,
  place: Place,
): string {
  const scheme = address.tls ? "https" : "http";
  const port = place.address.kind === "tcp" ? place.address.port : 0;
  const host = isIP(address.host) === 6 ? `[${address.host}]` : address.host;
  return new URL(`${scheme}://${host}:${port}`).host;
}

function toTls(
  address: UpstreamAddressSetting,
  { group, tls }: { group: UpstreamGroupSetting; tls: LoadedTls },
): UpstreamTls | null {
  if (address.kind === "unix" || !address.tls) return null;
  const { serverName, verify } = group.tls;
  return { serverName: serverName ?? address.host, ...tls, verifies: verify };
}
