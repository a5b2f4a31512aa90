import { lookup, Resolver } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";

/** One address of a name. */
export interface ResolvedAddress {
  /** An IP address, or for a record of a service the host that it names. */
  readonly host: string;
  /** `null`: that of the config. */
  readonly port: number | null;
  readonly weight: number;
  /** Other addresses of the name are preferred. */
  readonly backup: boolean;
}

/** The addresses of a name, and how long they hold. */
export interface Resolution {
  readonly addresses: readonly ResolvedAddress[];
  /** `null`: unknown. */
  readonly ttlMs: number | null;
}

/** A name whose addresses a group needs. */
export interface NameQuery {
  readonly kind: "host" | "service";
  readonly name: string;
}

/** Finds the addresses of a name. @throws Error when it has none, or no server of the DNS answers. */
export type ResolveName = (query: NameQuery) => Promise<Resolution>;

/** The parts of `node:dns` that are asked. */
export type NameServers = Pick<Resolver, "resolve4" | "resolve6" | "resolveSrv">;

/** Codes of the DNS for a name without records. The system may know it from another source. */
const WITHOUT_RECORDS: ReadonlySet<string> = new Set(["ENOTFOUND", "ENODATA"]);

const HOSTS_FILE = "/etc/hosts";

/** Longest wait for one server of the DNS, and how often each is asked. */
const SERVER_TIMEOUT_MS = 2000;
const TRIES = 2;

/**
 * Creates a function that finds the addresses of names, in this order: the file of hosts, the DNS, and the system's own
 * lookup, which knows search domains.
 *
 * The lookup of the system comes last, because it occupies a thread of the pool for seconds when no server of the DNS
 * answers, and reading files needs the same threads. A host with IPv4 addresses is reached by these; only other hosts by IPv6:
 * many machines have no route for IPv6.
 */
export function createResolveName({
  servers = new Resolver({ timeout: SERVER_TIMEOUT_MS, tries: TRIES }),
  hostsFile = HOSTS_FILE,
}: { servers?: NameServers; hostsFile?: string } = {}): ResolveName {
  const resolveHost = async (name: string): Promise<Resolution> => {
    const listed = findInHosts(await readText(hostsFile), name);
    if (listed.length > 0) return { addresses: preferIPv4(listed).map(toAddress), ttlMs: null };
    try {
      return await askDns(servers, name);
    } catch (error) {
      if (!WITHOUT_RECORDS.has(codeOf(error))) throw error;
      const found = await lookup(name, { all: true }).catch(() => {
        // The DNS has the clearer reason.
        throw error;
      });
      const addresses = preferIPv4(found.map(({ address }) => address));
      return { addresses: addresses.map(toAddress), ttlMs: null };
    }
  };
  return async ({ kind, name }) => {
    if (kind === "host") return await resolveHost(name);
    const records = await servers.resolveSrv(name);
    const highest = Math.min(...records.map(({ priority }) => priority));
    const found = await Promise.all(
      records
        // RFC 2782: the target "." says that there is no such service.
        .filter((record) => record.name !== "" && record.name !== ".")
        .map(async (record) => ({ record, ...(await resolveHost(record.name)) })),
    );
    return {
      addresses: found.flatMap(({ record: { port, weight, priority }, addresses }) =>
        addresses.map(({ host }) => ({
          host,
          port,
          weight: Math.max(1, weight),
          backup: priority > highest,
        })),
      ),
      // Node does not tell the TTL of the records themselves.
      ttlMs: leastOf(found.map(({ ttlMs }) => ttlMs)),
    };
  };
}

async function askDns(servers: NameServers, name: string): Promise<Resolution> {
  try {
    return toResolution(await servers.resolve4(name, { ttl: true }));
  } catch (error) {
    if (!WITHOUT_RECORDS.has(codeOf(error))) throw error;
    return toResolution(await servers.resolve6(name, { ttl: true }));
  }
}

function toResolution(records: readonly { address: string; ttl: number }[]): Resolution {
  return {
    addresses: records.map(({ address }) => toAddress(address)),
    ttlMs: 1000 * Math.min(...records.map(({ ttl }) => ttl)),
  };
}

/** Returns the addresses of a name in the text of a file of hosts. */
export function findInHosts(text: string, name: string): string[] {
  return text.split("\n").flatMap((line) => {
    const [address = "", ...names] = (line.split("#", 1)[0] ?? "").trim().split(/\s+/);
    const isListed = names.some((each) => each.toLowerCase() === name);
    return isListed && isIP(address) !== 0 ? [address] : [];
  });
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch {
    // Without the file, the DNS knows all names.
    return "";
  }
}

function preferIPv4(addresses: readonly string[]): readonly string[] {
  const ipv4 = addresses.filter((address) => isIP(address) === 4);
  return ipv4.length > 0 ? ipv4 : addresses;
}

function toAddress(host: string): ResolvedAddress {
  return { host, port: null, weight: 1, backup: false };
}

function leastOf(ttls: readonly (number | null)[]): number | null {
  const known = ttls.filter((ttl) => ttl !== null);
  return known.length === 0 ? null : Math.min(...known);
}

/** Returns the code of an error of `node:dns`; `""`: it has none. */
export function codeOf(error: unknown): string {
  const code: unknown = error instanceof Error && "code" in error ? error.code : "";
  return typeof code === "string" ? code : "";
}
