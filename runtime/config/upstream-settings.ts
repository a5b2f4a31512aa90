import { resolve } from "node:path";
import { isRecord, type Refuse, refuseUnknown, TOKEN } from "./rule-reader.ts";
import {
  duration,
  hostName,
  orOff,
  type SettingType,
  statusList,
  wholeNumber,
} from "./setting-types.ts";
import {
  formatUpstreamAddress,
  parseUpstreamAddress,
  UPSTREAM_ADDRESS_EXPECTED,
  type UpstreamAddressSetting,
} from "./upstream-address.ts";

/** A group of upstream servers, which share the requests of a proxy. */
export interface UpstreamGroupSetting {
  readonly name: string;
  readonly servers: readonly UpstreamServerSetting[];
  readonly balance: BalanceSetting;
  /** `null`: clients have no server of their own. */
  readonly sticky: StickySetting | null;
  /** `null`: every server always gets requests. */
  readonly health: UpstreamHealthSetting | null;
  /** Most requests of one server at a time. */
  readonly maxConnections: number;
  /** As the settings of these names for workers. */
  readonly queueLimit: number;
  readonly queueDelayMs: number;
  readonly queueTimeoutMs: number;
  readonly connectTimeoutMs: number;
  readonly firstByteTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly tls: UpstreamTlsSetting;
}

export interface UpstreamServerSetting {
  readonly address: UpstreamAddressSetting;
  /** Its share of the requests, relative to other servers. */
  readonly weight: number;
  /** It gets requests only when no other server can. */
  readonly backup: boolean;
  /** `null`: that of the group. */
  readonly maxConnections: number | null;
}

/** The rule by which a group chooses a server for a request. */
export type BalanceSetting =
  | { readonly kind: "least-busy" }
  | { readonly kind: "round-robin" }
  /** Requests with the same value go to the same server. */
  | { readonly kind: "hash"; readonly key: HashKeySetting };

export type HashKeySetting =
  | "address"
  | "path"
  /** Name in lower case. */
  | { readonly header: string }
  | { readonly cookie: string };

/** A cookie that keeps a client at its server. */
export interface StickySetting {
  readonly cookie: string;
  /** Key of the hash that stands for a server; `null`: it depends on the server's address only. */
  readonly secret: string | null;
  /** `null`: the cookie ends with the browser. */
  readonly maxAgeSeconds: number | null;
}

export interface UpstreamHealthSetting {
  /** A server is out after so many failed requests in a row. */
  readonly failures: number;
  /** Longest time from the first of these failures to the last. */
  readonly windowMs: number;
  /** How long it is out the first time. */
  readonly outTimeMs: number;
  /** Time in which the share of a server that returns grows to its weight. */
  readonly slowStartMs: number;
  /** Requests that ask each server whether it works; `null`: none. */
  readonly check: HealthCheckSetting | null;
}

export interface HealthCheckSetting {
  readonly path: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Good answers in a row after which a server is in again. */
  readonly rise: number;
  /** Bad answers in a row after which it is out. */
  readonly fall: number;
  /** Statuses and classes of good answers: `200`, `2xx`. */
  readonly statuses: readonly string[];
}

export interface UpstreamTlsSetting {
  /** Absolute path of a file with certificates of authorities, in PEM; `null`: those of Node. */
  readonly ca: string | null;
  /** Name that the certificate must have, also sent to the server; `null`: the host of the address. */
  readonly serverName: string | null;
  readonly verify: boolean;
  /** Absolute paths of the certificate and the key that Edgicorn shows; `null`: none. */
  readonly cert: string | null;
  readonly key: string | null;
}

const NAME = /^[\w][\w.-]{0,63}$/;

const DAY_MS = 24 * 3_600_000;

/** Type and default of a member. */
interface Member<Value> {
  readonly type: SettingType<unknown, Value>;
  readonly default: unknown;
}

/** Members of a group that are plain values. Their names and defaults are those of similar settings. */
const GROUP_MEMBERS = {
  maxConnections: { type: wholeNumber(1, 100_000), default: 1000 },
  queueLimit: { type: wholeNumber(0, 1_000_000), default: 10_000 },
  queueDelay: { type: duration(0, 3_600_000, "any"), default: "500ms" },
  queueTimeout: { type: duration(1, 3_600_000), default: "10s" },
  // nginx: proxy_connect_timeout 60s
  connectTimeout: { type: duration(1, 3_600_000), default: "5s" },
  // nginx: proxy_read_timeout 60s
  firstByteTimeout: { type: duration(1, DAY_MS), default: "60s" },
  idleTimeout: { type: duration(1, DAY_MS), default: "60s" },
} as const satisfies Record<string, Member<number>>;

const HEALTH_MEMBERS = {
  // nginx: max_fails 1
  failures: { type: wholeNumber(1, 1000), default: 3 },
  // nginx: fail_timeout 10s
  window: { type: duration(1, 3_600_000), default: "10s" },
  outTime: { type: duration(100, 3_600_000), default: "1s" },
  slowStart: { type: duration(0, 3_600_000, "none"), default: "10s" },
} as const satisfies Record<string, Member<number>>;

const CHECK_MEMBERS = {
  interval: { type: duration(100, 3_600_000), default: "5s" },
  timeout: { type: duration(1, 3_600_000), default: "5s" },
  // haproxy: rise 2, fall 3
  rise: { type: wholeNumber(1, 100), default: 2 },
  fall: { type: wholeNumber(1, 100), default: 3 },
  status: { type: statusList(), default: "2xx,3xx" },
} as const satisfies Record<string, Member<unknown>>;

const GROUP_NAMES = [
  "servers",
  "balance",
  "sticky",
  "health",
  "tls",
  ...Object.keys(GROUP_MEMBERS),
] as const;

interface Place {
  readonly key: string;
  readonly folder: string;
  readonly refuse: Refuse;
}

/**
 * Checks the groups of the key `upstreams`.
 *
 * @param place.folder Folder of the config file: paths are relative to it.
 */
export function readUpstreams(value: unknown, place: Place): UpstreamGroupSetting[] {
  if (!isRecord(value)) {
    place.refuse(place.key, value, 'an object: { api: { servers: ["http://10.0.0.1:3000"] } }');
    return [];
  }
  return Object.entries(value).flatMap(([name, group]) => {
    const key = `${place.key}[${JSON.stringify(name)}]`;
    if (!NAME.test(name)) {
      place.refuse(key, name, "a name of at most 64 letters, digits, and the characters _ . -");
      return [];
    }
    return [readUpstreamGroup(name, group, { ...place, key })];
  });
}

/** Checks one group: an object, or only its servers. Reports problems; the result is unusable then. */
export function readUpstreamGroup(
  name: string,
  value: unknown,
  { key, folder, refuse }: Place,
): UpstreamGroupSetting {
  const given = typeof value === "string" || Array.isArray(value) ? { servers: value } : value;
  if (!isRecord(given)) {
    refuse(key, value, 'an object: { servers: ["http://10.0.0.1:3000", "http://10.0.0.2:3000"] }');
  }
  const group = isRecord(given) ? given : {};
  refuseUnknown(group, GROUP_NAMES, { key, refuse });
  const read = (member: keyof typeof GROUP_MEMBERS): number =>
    readMember(group, { members: GROUP_MEMBERS, name: member, key, refuse });
  const place = (part: string): Place => ({ key: `${key}.${part}`, folder, refuse });
  return Object.freeze({
    name,
    servers: isRecord(given) ? readServers(group["servers"], place("servers")) : [],
    balance: readBalance(group["balance"], place("balance")),
    sticky: readSticky(group["sticky"], place("sticky")),
    health: readHealth(group["health"], place("health")),
    maxConnections: read("maxConnections"),
    queueLimit: read("queueLimit"),
    queueDelayMs: read("queueDelay"),
    queueTimeoutMs: read("queueTimeout"),
    connectTimeoutMs: read("connectTimeout"),
    firstByteTimeoutMs: read("firstByteTimeout"),
    idleTimeoutMs: read("idleTimeout"),
    tls: readTls(group["tls"], place("tls")),
  });
}

function readServers(
  value: unknown,
  { key, folder, refuse }: Place,
): readonly UpstreamServerSetting[] {
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (value === undefined || list.length === 0) {
    refuse(key, value, 'a list of servers: ["http://10.0.0.1:3000"]');
    return [];
  }
  const seen = new Map<string, string>();
  const servers = list.flatMap((entry, at) => {
    const place = { key: Array.isArray(value) ? `${key}[${at}]` : key, folder, refuse };
    const server = readServer(entry, place);
    if (server === null) return [];
    const text = formatUpstreamAddress(server.address);
    const other = seen.get(text);
    if (other !== undefined) refuse(place.key, text, `another server than that of ${other}`);
    seen.set(text, place.key);
    return [server];
  });
  if (servers.length > 0 && servers.every(({ backup }) => backup)) {
    refuse(key, "only servers with backup: true", "one that is no backup");
  }
  return Object.freeze(servers);
}

const SERVER_MEMBERS = {
  weight: { type: wholeNumber(1, 1000), default: 1 },
  maxConnections: GROUP_MEMBERS.maxConnections,
} as const satisfies Record<string, Member<number>>;

function readServer(value: unknown, place: Place): UpstreamServerSetting | null {
  const { key, refuse } = place;
  const given = typeof value === "string" ? { url: value } : value;
  if (!isRecord(given)) {
    refuse(
      key,
      value,
      `${UPSTREAM_ADDRESS_EXPECTED}, or { url: "http://10.0.0.1:3000", weight: 2 }`,
    );
    return null;
  }
  refuseUnknown(given, ["url", "backup", ...Object.keys(SERVER_MEMBERS)], { key, refuse });
  const { url, backup = false, maxConnections } = given;
  const address = readAddress(url, typeof value === "string" ? place : inside(place, "url"));
  if (typeof backup !== "boolean") refuse(`${key}.backup`, backup, "true or false");
  const members = { members: SERVER_MEMBERS, key, refuse };
  const weight = readMember(given, { ...members, name: "weight" });
  const most = readMember(given, { ...members, name: "maxConnections" });
  if (address === null) return null;
  return {
    address,
    weight,
    backup: backup === true,
    maxConnections: maxConnections === undefined ? null : most,
  };
}

/** Checks the address of one server. The path of a socket becomes absolute. */
export function readAddress(
  value: unknown,
  { key, folder, refuse }: Place,
): UpstreamAddressSetting | null {
  const address = typeof value === "string" ? parseUpstreamAddress(value) : null;
  if (address === null || "expected" in address) {
    refuse(key, hidePassword(value), address?.expected ?? UPSTREAM_ADDRESS_EXPECTED);
    return null;
  }
  return address.kind === "unix" ? { ...address, path: resolve(folder, address.path) } : address;
}

/** No message may show a password. */
function hidePassword(value: unknown): unknown {
  return typeof value === "string" ? value.replace(/\/\/[^/@]*@/, "//(hidden)@") : value;
}

function readBalance(value: unknown, { key, refuse }: Place): BalanceSetting {
  const usual: BalanceSetting = { kind: "least-busy" };
  if (value === undefined) return usual;
  if (value === "least-busy" || value === "round-robin") return { kind: value };
  const expected =
    '"least-busy", "round-robin", or { hash: "address" } ("path", { header: "x-user" } and { cookie: "session" } as well)';
  if (isRecord(value) && Object.keys(value).length === 1 && "hash" in value) {
    const { hash } = value;
    if (hash === "address" || hash === "path") return { kind: "hash", key: hash };
    if (isRecord(hash) && Object.keys(hash).length === 1) {
      const { header, cookie } = hash;
      if (typeof header === "string" && TOKEN.test(header)) {
        return { kind: "hash", key: { header: header.toLowerCase() } };
      }
      if (typeof cookie === "string" && TOKEN.test(cookie))
        return { kind: "hash", key: { cookie } };
    }
  }
  refuse(key, value, expected);
  return usual;
}

/** Stands for a value that no message may show. */
const HIDDEN = "(hidden)";

function readSticky(value: unknown, { key, refuse }: Place): StickySetting | null {
  if (value === undefined || value === "off" || value === false) return null;
  const given = typeof value === "string" ? { cookie: value } : value;
  if (!isRecord(given)) {
    refuse(key, value, 'the name of a cookie, { cookie: "server", maxAge: "1h" } or "off"');
    return null;
  }
  refuseUnknown(given, ["cookie", "secret", "maxAge"], { key, refuse });
  const { cookie, secret = null, maxAge } = given;
  const isCookie = typeof cookie === "string" && TOKEN.test(cookie);
  if (!isCookie) {
    refuse(typeof value === "string" ? key : `${key}.cookie`, cookie, "the name of a cookie");
  }
  const isSecret = secret === null || (typeof secret === "string" && secret.length >= 16);
  if (!isSecret) refuse(`${key}.secret`, HIDDEN, "a text of at least 16 characters");
  const age = maxAge === undefined ? null : duration(1000, 365 * DAY_MS).parse(maxAge);
  if (maxAge !== undefined && age === null) {
    refuse(`${key}.maxAge`, maxAge, duration(1000, 365 * DAY_MS).expected);
  }
  if (!isCookie || !isSecret) return null;
  return { cookie, secret, maxAgeSeconds: age === null ? null : Math.floor(age.value / 1000) };
}

const PATH = /^\/[!-"$-~]*$/;

function readHealth(value: unknown, { key, refuse }: Place): UpstreamHealthSetting | null {
  if (value === "off" || value === false) return null;
  const given = value === undefined ? {} : value;
  const health = isRecord(given) ? given : {};
  if (!isRecord(given)) refuse(key, value, '{ path: "/healthz", interval: "5s" } or "off"');
  const checks = Object.keys(CHECK_MEMBERS);
  refuseUnknown(health, ["path", ...Object.keys(HEALTH_MEMBERS), ...checks], { key, refuse });
  const { path } = health;
  const read = (name: keyof typeof HEALTH_MEMBERS): number =>
    readMember(health, { members: HEALTH_MEMBERS, name, key, refuse });
  const isPath = typeof path === "string" && PATH.test(path);
  if (path !== undefined && !isPath) {
    refuse(`${key}.path`, path, 'a path, perhaps with a query, such as "/healthz"');
  }
  const useless =
    path === undefined ? checks.find((name) => health[name] !== undefined) : undefined;
  if (useless !== undefined) {
    refuse(`${key}.${useless}`, health[useless], 'a "path" beside it, which the checks ask for');
  }
  return {
    failures: read("failures"),
    windowMs: read("window"),
    outTimeMs: read("outTime"),
    slowStartMs: read("slowStart"),
    check: isPath ? readCheck(health, { path, key, refuse }) : null,
  };
}

function readCheck(
  health: Readonly<Record<string, unknown>>,
  { path, key, refuse }: { path: string; key: string; refuse: Refuse },
): HealthCheckSetting {
  const place = { members: CHECK_MEMBERS, key, refuse };
  return {
    path,
    intervalMs: readMember(health, { ...place, name: "interval" }),
    timeoutMs: readMember(health, { ...place, name: "timeout" }),
    rise: readMember(health, { ...place, name: "rise" }),
    fall: readMember(health, { ...place, name: "fall" }),
    statuses: readMember(health, { ...place, name: "status" }),
  };
}

function readTls(value: unknown, { key, folder, refuse }: Place): UpstreamTlsSetting {
  const given = value === undefined ? {} : value;
  if (!isRecord(given)) refuse(key, value, '{ ca: "ca.pem" }, { verify: false } ...');
  const tls = isRecord(given) ? given : {};
  refuseUnknown(tls, ["ca", "serverName", "verify", "cert", "key"], { key, refuse });
  const file = (name: string): string | null => {
    const path = tls[name];
    if (path === undefined) return null;
    if (typeof path === "string" && path !== "") return resolve(folder, path);
    refuse(`${key}.${name}`, path, "the path of a file in PEM");
    return null;
  };
  const { verify = true } = tls;
  if (typeof verify !== "boolean") refuse(`${key}.verify`, verify, "true or false");
  const [cert, keyFile] = [file("cert"), file("key")];
  if ((cert === null) !== (keyFile === null)) {
    refuse(key, Object.keys(tls), 'both of "cert" and "key", or none of them');
  }
  const name = { members: TLS_MEMBERS, name: "serverName", key, refuse } as const;
  return {
    ca: file("ca"),
    serverName: readMember(tls, name),
    verify: verify !== false,
    cert,
    key: keyFile,
  };
}

const TLS_MEMBERS = {
  serverName: { type: orOff(hostName()), default: "off" },
} as const satisfies Record<string, Member<string | null>>;

function inside({ key, ...place }: Place, part: string): Place {
  return { ...place, key: `${key}.${part}` };
}

/** Returns the checked value of a member, or its default. Reports a wrong value and returns the default then. */
function readMember<
  Members extends Record<string, Member<unknown>>,
  Name extends keyof Members & string,
>(
  from: Readonly<Record<string, unknown>>,
  { members, name, key, refuse }: { members: Members; name: Name; key: string; refuse: Refuse },
): ValueOf<Members[Name]> {
  const member = members[name] as Member<ValueOf<Members[Name]>>; // One of the members.
  const value = from[name];
  const parsed = value === undefined ? null : member.type.parse(value);
  if (value !== undefined && parsed === null) refuse(`${key}.${name}`, value, member.type.expected);
  const usual = parsed ?? member.type.parse(member.default);
  if (usual === null) throw new TypeError(`the default of ${name} is invalid`);
  return usual.value;
}

type ValueOf<M> = M extends Member<infer Value> ? Value : never;
