import {
  isRecord,
  readFields,
  readTexts,
  type Refuse,
  refuseUnknown,
  TOKEN,
} from "./rule-reader.ts";
import { toHostName } from "./host-name.ts";
import type { Duration } from "./quantities.ts";
import { duration, type Parsed, type SettingType, wholeNumber } from "./setting-types.ts";
import {
  formatUpstreamAddress,
  parseUpstreamAddress,
  type UpstreamAddressSetting,
} from "./upstream-address.ts";

/** A proxy: the upstream that answers requests, and the changes of requests and responses on their way. */
export interface ProxySetting {
  /** Name of the group of servers; for a single server its address in its usual form. */
  readonly group: string;
  /** The single server; `null`: `group` is a key of `upstreams`. */
  readonly address: UpstreamAddressSetting | null;
  /** Start of the path that the upstream does not see, and the path that is put in front. Without a slash at the end. */
  readonly stripPrefix: string;
  readonly addPrefix: string;
  readonly host: "keep" | "upstream" | { readonly value: string };
  /** The fields that tell the upstream about the client. `auto`: those that trusted proxies send to this server. */
  readonly clientFields: "auto" | "x-forwarded" | "forwarded" | "off";
  /** Names in lower case. */
  readonly setRequestFields: Readonly<Record<string, string>>;
  readonly removeRequestFields: readonly string[];
  /** Clients get the field `server` of the upstream. */
  readonly keepServer: boolean;
  /** `null`: addresses in responses stay. Otherwise they follow the paths, after these replacements. */
  readonly rewriteLocation: readonly (readonly [from: string, to: string])[] | null;
  /** The new `Domain` of a cookie by the old one, in lower case; `null`: the attribute is left out. */
  readonly cookieDomains: readonly (readonly [from: string, to: string | null])[];
  readonly cookiePaths: readonly (readonly [from: string, to: string])[];
  /** Most servers to which a request goes after the first. */
  readonly retries: number;
  /** `null`: as the group says. */
  readonly connectTimeoutMs: number | null;
  readonly firstByteTimeoutMs: number | null;
  readonly idleTimeoutMs: number | null;
}

/** A proxy in the config file. */
export interface UserProxy {
  /** `"http://127.0.0.1:3000"`, `"https://api.internal"`, `"unix:/run/app.sock"`, or a key of `upstreams`. */
  to: string;
  /** Start of the path that the upstream does not see: `"/api"` makes `/users` of `/api/users`. */
  stripPrefix?: string;
  /** Path that is put in front, after that. A path of the URL is the same. */
  addPrefix?: string;
  /** `host` for the upstream: `"keep"` (that of the client), `"upstream"` (that of its address) or another name. Default: `"keep"`. */
  host?: string;
  /** Fields that tell the upstream about the client. Default: `"auto"`, the kind that `trustedProxyFields` names. */
  clientFields?: "auto" | "x-forwarded" | "forwarded" | "off";
  /** Fields of the request for the upstream. They replace those of the client with these names. */
  setRequestFields?: Record<string, string>;
  removeRequestFields?: string | string[];
  /** Whether clients get the field `server` of the upstream. Default: false. */
  keepServer?: boolean;
  /**
   * Whether addresses in `location`, `content-location` and `refresh` follow the change of the path, and lose the
   * upstream's own host. An object has replacements for other starts of addresses. Default: true.
   */
  rewriteLocation?: boolean | Record<string, string>;
  /** The `Domain` of cookies: `{ "app.internal": "example.com" }`; `false` leaves the attribute out. */
  cookieDomain?: Record<string, string | false>;
  /** The start of the `Path` of cookies: `{ "/": "/api/" }`. */
  cookiePath?: Record<string, string>;
  /** Most servers to which a request goes after the first, where that is safe. Default: 2. */
  retries?: number;
  /** Default: those of the group in `upstreams`: 5 s, 60 s, 60 s. */
  connectTimeout?: Duration;
  firstByteTimeout?: Duration;
  idleTimeout?: Duration;
}

/** The place of a proxy in the config. */
interface Place {
  readonly key: string;
  readonly refuse: Refuse;
}

const DAY_MS = 24 * 3_600_000;

const TIMEOUT_TYPES = {
  connectTimeout: duration(1, 3_600_000),
  firstByteTimeout: duration(1, DAY_MS),
  idleTimeout: duration(1, DAY_MS),
} as const;

const RETRIES = wholeNumber(0, 10);

const NAMES: readonly (keyof UserProxy)[] = [
  "to",
  "stripPrefix",
  "addPrefix",
  "host",
  "clientFields",
  "setRequestFields",
  "removeRequestFields",
  "keepServer",
  "rewriteLocation",
  "cookieDomain",
  "cookiePath",
  "retries",
  "connectTimeout",
  "firstByteTimeout",
  "idleTimeout",
];

const TO_EXPECTED =
  'a URL such as "http://127.0.0.1:3000", "unix:/run/app.sock", or the name of a group in "upstreams"';

/** A URL or the name of a group; in the config file an object as well; `null` for "off". */
export function proxySetting(): SettingType<string | UserProxy | false, ProxySetting | null> {
  return {
    placeholder: "URL|NAME|off",
    expected: `${TO_EXPECTED}, or "off"`,
    parse: (value): Parsed<ProxySetting | null> => {
      if (value === "off" || value === false) return { value: null };
      const { proxy, problem } = read(value);
      return problem !== null || proxy === null ? null : { value: proxy };
    },
    explain: (value) => read(value).problem,
    inHandler: null,
  };
}

interface Problem {
  key: string;
  value: unknown;
  expected: string;
}

/** Checks a proxy. Returns its first problem, if there is one. */
function read(value: unknown): { proxy: ProxySetting | null; problem: Problem | null } {
  const problems: Problem[] = [];
  const refuse: Refuse = (key, found, expected) =>
    void problems.push({ key, value: found, expected });
  const proxy = readProxy(value, { key: "", refuse });
  return { proxy, problem: problems[0] ?? null };
}

/** Checks a proxy: a text, or an object. Reports its problems. */
export function readProxy(value: unknown, { key, refuse }: Place): ProxySetting | null {
  const given = typeof value === "string" ? { to: value } : value;
  if (!isRecord(given)) {
    refuse(key, value, `${TO_EXPECTED}, or { to: "http://127.0.0.1:3000", stripPrefix: "/api" }`);
    return null;
  }
  refuseUnknown(given, NAMES, { key, refuse });
  const at = (name: keyof UserProxy): Place => ({ key: `${key}.${name}`, refuse });
  const to = readTo(given["to"], typeof value === "string" ? { key, refuse } : at("to"));
  const addPrefix = readPrefix(given["addPrefix"], at("addPrefix"));
  if (to !== null && to.path !== "" && addPrefix !== "") {
    refuse(`${key}.addPrefix`, addPrefix, `no path here, since the URL has ${to.path}`);
  }
  const timeout = (name: keyof typeof TIMEOUT_TYPES): number | null => {
    const type = TIMEOUT_TYPES[name];
    const own = given[name];
    if (own === undefined) return null;
    const parsed = type.parse(own);
    if (parsed === null) refuse(`${key}.${name}`, own, type.expected);
    return parsed?.value ?? null;
  };
  const { retries = 2 } = given;
  const most = RETRIES.parse(retries);
  if (most === null) refuse(`${key}.retries`, retries, RETRIES.expected);
  const { keepServer = false } = given;
  if (typeof keepServer !== "boolean") refuse(`${key}.keepServer`, keepServer, "true or false");
  const setting = {
    stripPrefix: readPrefix(given["stripPrefix"], at("stripPrefix")),
    host: readHost(given["host"], at("host")),
    clientFields: readClientFields(given["clientFields"], at("clientFields")),
    setRequestFields: readRequestFields(given["setRequestFields"], at("setRequestFields")),
    removeRequestFields: readNames(given["removeRequestFields"], at("removeRequestFields")),
    keepServer: keepServer === true,
    rewriteLocation: readLocation(given["rewriteLocation"], at("rewriteLocation")),
    cookieDomains: readCookieDomains(given["cookieDomain"], at("cookieDomain")),
    cookiePaths: readPairs(given["cookiePath"], at("cookiePath"), '{ "/": "/api/" }'),
    retries: most?.value ?? 0,
    connectTimeoutMs: timeout("connectTimeout"),
    firstByteTimeoutMs: timeout("firstByteTimeout"),
    idleTimeoutMs: timeout("idleTimeout"),
  };
  if (to === null) return null;
  const { group, address, path } = to;
  return Object.freeze({
    group,
    address,
    addPrefix: addPrefix === "" ? path : addPrefix,
    ...setting,
  });
}

/** The upstream that a text names, and the path of a URL. */
interface To {
  group: string;
  address: UpstreamAddressSetting | null;
  path: string;
}

const GROUP = /^\w[\w.-]{0,63}$/;

function readTo(value: unknown, { key, refuse }: Place): To | null {
  const found = typeof value === "string" ? parseTo(value) : null;
  if (found !== null && !("expected" in found)) return found;
  const shown = typeof value === "string" ? value.replace(/\/\/[^/@]*@/, "//(hidden)@") : value;
  refuse(key, shown, found?.expected ?? TO_EXPECTED);
  return null;
}

function parseTo(text: string): To | { expected: string } | null {
  if (GROUP.test(text) && text !== "off") return { group: text, address: null, path: "" };
  const [, socket] = /^https?:\/\/unix:(\/[^:]*)/i.exec(text) ?? [];
  if (socket !== undefined) return { expected: `"unix:${socket}"` };
  if (text.startsWith("unix:") && !text.startsWith("unix:/")) {
    return {
      expected: 'the absolute path of a socket after "unix:", such as "unix:/run/app.sock"',
    };
  }
  const url = /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : null;
  if (url !== null && /[?#]/.test(text)) return { expected: "a URL without a query" };
  const path = url === null ? "" : url.pathname.replace(/\/+$/, "");
  const own = url === null ? text : text.replace(/^(\w+:\/\/[^/]*).*$/, "$1");
  const address = parseUpstreamAddress(own);
  if (address === null || "expected" in address) return address;
  return { group: formatUpstreamAddress(address), address, path };
}

/** Segments of plain characters, as in `mounts`. */
const PREFIX = /^(?:\/[\w.~-]+)+\/?$/;

function readPrefix(value: unknown, { key, refuse }: Place): string {
  if (value === undefined || value === "/" || value === "") return "";
  const hasDots = typeof value === "string" && /\/\.{1,2}(?:\/|$)/.test(value);
  if (typeof value === "string" && PREFIX.test(value) && !hasDots) return value.replace(/\/$/, "");
  refuse(key, value, 'a path such as "/api", of letters, digits and "-._~"');
  return "";
}

function readHost(value: unknown, { key, refuse }: Place): ProxySetting["host"] {
  if (value === undefined || value === "keep") return "keep";
  if (value === "upstream") return "upstream";
  const [, name = "", port = ""] =
    typeof value === "string" ? (/^(.*?)(:\d{1,5})?$/.exec(value) ?? []) : [];
  const host = name.startsWith("*") ? null : toHostName(name);
  if (host !== null) return { value: host + port };
  refuse(key, value, '"keep", "upstream" or a host name such as "app.example.com"');
  return "keep";
}

function readClientFields(value: unknown, { key, refuse }: Place): ProxySetting["clientFields"] {
  if (value === undefined || value === "auto") return "auto";
  if (value === "x-forwarded" || value === "forwarded" || value === "off") return value;
  if (value === false) return "off";
  refuse(key, value, '"auto", "x-forwarded", "forwarded" or "off"');
  return "auto";
}

/** Fields of a request that no setting may change: those of framing and connection, and those with a setting of their own. */
const OWN_FIELDS =
  /^(?:host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|proxy-connection|via)$/;

/** Fields that no upstream gets. A setting that removes them has no effect, and is right nevertheless. */
const NEVER_SENT = /^(?:http2-settings|proxy|proxy-authenticate|proxy-authorization)$/;

function readRequestFields(value: unknown, place: Place): Record<string, string> {
  if (value === undefined) return {};
  const fields = readFields(value, place);
  const names = Object.keys(fields);
  refuseOwn(names, place);
  const lost = names.find((name) => NEVER_SENT.test(name));
  if (lost !== undefined) place.refuse(place.key, lost, "fields that upstream servers get");
  return fields;
}

function readNames(value: unknown, place: Place): string[] {
  if (value === undefined) return [];
  const names = readTexts(value, {
    ...place,
    expected: "a name of a header field",
    parse: (text) => (TOKEN.test(text) ? text.toLowerCase() : null),
  });
  refuseOwn(names, place);
  return names;
}

function refuseOwn(names: readonly string[], { key, refuse }: Place): void {
  const own = names.find((name) => OWN_FIELDS.test(name));
  if (own === undefined) return;
  const expected =
    own === "host" ? 'the key "host" instead' : "fields other than those of framing and connection";
  refuse(key, own, expected);
}

function readLocation(value: unknown, place: Place): ProxySetting["rewriteLocation"] {
  if (value === false || value === "off") return null;
  if (value === undefined || value === true) return [];
  return readPairs(value, place, 'true, false, or { "http://app.internal/": "/" }');
}

function readPairs(
  value: unknown,
  { key, refuse }: Place,
  example: string,
): (readonly [string, string])[] {
  if (value === undefined) return [];
  if (!isRecord(value)) {
    refuse(key, value, example);
    return [];
  }
  return Object.entries(value).flatMap(([from, to]): [string, string][] => {
    if (from !== "" && typeof to === "string" && VISIBLE.test(to)) return [[from, to]];
    refuse(`${key}[${JSON.stringify(from)}]`, to, "a text of visible characters");
    return [];
  });
}

/** Visible characters of ASCII, without those that end an attribute of a cookie. */
const VISIBLE = /^[!-:<-~]*$/;

function readCookieDomains(
  value: unknown,
  { key, refuse }: Place,
): (readonly [string, string | null])[] {
  if (value === undefined) return [];
  if (!isRecord(value)) {
    refuse(key, value, '{ "app.internal": "example.com" }');
    return [];
  }
  return Object.entries(value).flatMap(([from, to]): [string, string | null][] => {
    const old = from.toLowerCase().replace(/^\./, "");
    if (to === false) return [[old, null]];
    if (typeof to === "string" && toHostName(to) !== null) return [[old, to]];
    refuse(`${key}[${JSON.stringify(from)}]`, to, "a host name, or false");
    return [];
  });
}
