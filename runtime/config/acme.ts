import { isIP } from "node:net";
import { toHostName } from "./host-name.ts";
import { DEFAULT_SITE, type SiteConfig } from "./sites.ts";

/** Settings of certificates that the server orders. */
export interface AcmeSetting {
  readonly email: string | null;
  /** URL of the authority's directory. */
  readonly directory: string;
  /** Host names of one certificate; `null`: those of the sites, one certificate for each site. */
  readonly names: readonly string[] | null;
}

/** Let's Encrypt. */
export const DEFAULT_DIRECTORY = "https://acme-v02.api.letsencrypt.org/directory";

/** Most names of one certificate at Let's Encrypt. */
const MOST_NAMES = 100;

const KEYS: readonly string[] = ["email", "directory", "names"];

const NAME_EXPECTED =
  'a host name such as "example.com" (a wildcard needs a DNS challenge, which the server has not)';

type Refuse = (key: string, value: unknown, expected: string) => void;

/** Reads the key `acme` of the config file; `null`: the server orders none. */
export function readAcme(value: unknown, refuse: Refuse): AcmeSetting | null {
  if (value === undefined || value === false || value === "off") return null;
  if (!isRecord(value)) {
    refuse("acme", value, 'an object: { email: "you@example.com" }, or "off"');
    return null;
  }
  for (const key of Object.keys(value)) {
    if (!KEYS.includes(key)) refuse(`acme.${key}`, value[key], KEYS.join(", "));
  }
  const { email = null, directory = DEFAULT_DIRECTORY, names = null } = value;
  if (email !== null && !(typeof email === "string" && /^[^\s@<>]+@[^\s@<>]+$/.test(email))) {
    refuse("acme.email", email, "a mail address");
  }
  if (!isDirectory(directory)) refuse("acme.directory", directory, "an HTTPS URL");
  return Object.freeze({
    email: typeof email === "string" ? email : null,
    directory: String(directory),
    names: names === null ? null : Object.freeze(readNames(names, refuse)),
  });
}

function readNames(value: unknown, refuse: Refuse): string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST_NAMES) {
    refuse("acme.names", value, `a list of at most ${MOST_NAMES} host names`);
    return [];
  }
  const names = value.map((name: unknown, at) => {
    const host = typeof name === "string" ? toHostName(name) : null;
    if (host !== null && canOrder(host)) return host;
    refuse(`acme.names[${at}]`, name, NAME_EXPECTED);
    return "";
  });
  return [...new Set(names)];
}

/** Returns the names of each certificate to order: those of the setting, or those of each site. */
export function toNameGroups(
  { names }: AcmeSetting,
  sites: readonly SiteConfig[],
): readonly (readonly string[])[] {
  if (names !== null) return [names];
  return sites.map(({ hosts }) => hosts.filter(canOrder)).filter((hosts) => hosts.length > 0);
}

/** Returns the problems of orders with other settings: one line each. */
export function findAcmeProblems(
  acme: AcmeSetting | null,
  {
    sites,
    httpPort,
    httpsPort,
  }: { sites: readonly SiteConfig[]; httpPort: number | null; httpsPort: number | null },
): string[] {
  if (acme === null) return [];
  const problems: string[] = [];
  if (httpPort === null) {
    problems.push(
      "Cannot use acme: http is off, expected a plain port, to which the authority's port 80 leads",
    );
  }
  if (httpsPort === null)
    problems.push("Cannot use acme: https is off, expected a port for the certificates");
  if (acme.names !== null) return problems;
  const wild = sites.flatMap(({ hosts }) => hosts.filter((host) => host.startsWith("*.")));
  if (wild.length > 0) {
    problems.push(
      `Cannot use acme: found the site ${wild[0] ?? ""}, whose certificate needs a DNS challenge, expected acme.names with the names to order`,
    );
  }
  const groups = toNameGroups(acme, sites);
  if (groups.length === 0 && wild.length === 0) {
    problems.push("Cannot use acme: found no host names, expected acme.names, or sites");
  }
  for (const { name, hosts } of sites) {
    if (hosts.length > MOST_NAMES) {
      const key = name === DEFAULT_SITE ? "default" : name;
      problems.push(
        `Cannot use acme: found ${hosts.length} names of the site ${key}, expected at most ${MOST_NAMES}`,
      );
    }
  }
  return problems;
}

/** Tells whether an authority can check a name over HTTP. */
function canOrder(host: string): boolean {
  return !host.startsWith("*.") && !host.startsWith("[") && isIP(host) === 0 && host.includes(".");
}

function isDirectory(value: unknown): boolean {
  return typeof value === "string" && URL.canParse(value) && new URL(value).protocol === "https:";
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
