import { resolve } from "node:path";
import { describeUserProblem } from "../lib/password-hashes.ts";
import { parseRate, type Rate, RATE_EXPECTED } from "../lib/rate.ts";
import { type ActionPlace, isRecord, type Refuse, refuseUnknown, TOKEN } from "./rule-reader.ts";
import { parseDurationMs } from "./units.ts";

/** Requests that a limit counts together. */
export type LimitKeySetting =
  | "address"
  | "site"
  | { readonly header: string }
  | { readonly cookie: string };

export interface RateLimitSetting {
  readonly rate: Rate;
  /** Requests that a client may send at once. */
  readonly burst: number;
  readonly key: LimitKeySetting;
  /** The limit only logs. */
  readonly dryRun: boolean;
}

export interface ConcurrencyLimitSetting {
  /** Most requests at a time. */
  readonly most: number;
  readonly key: LimitKeySetting;
}

/** `off`: no authentication for these requests: later rules do not count. */
export type BasicAuthSetting =
  | { readonly kind: "off" }
  /** `path` is absolute. */
  | { readonly kind: "file"; readonly path: string; readonly realm: string }
  /** Pairs of user name and hash. */
  | {
      readonly kind: "users";
      readonly users: readonly (readonly [user: string, hash: string])[];
      readonly realm: string;
    };

export type ForwardAuthSetting =
  | { readonly kind: "off" }
  | {
      readonly kind: "on";
      /** An absolute URL, or path and query of a handler. */
      readonly url: string;
      /** Field names in lower case, with `-`. */
      readonly copy: readonly string[];
      /** Field names in lower case. */
      readonly copyToReply: readonly string[];
      /** Field names in lower case; `null`: all. */
      readonly requestFields: readonly string[] | null;
      readonly timeoutMs: number;
    };

const MOST_BURST = 1_000_000;
const MOST_AT_A_TIME = 1_000_000;
const DEFAULT_REALM = "Restricted";
const DEFAULT_TIMEOUT = "5s";
const MOST_TIMEOUT_MS = 60_000;

/** Field names of a request that no service may set: they concern framing or the connection. */
const FRAMING =
  /^(?:host|content-length|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect)$/;

const REALM = /^[ !#-[\]-~]+$/;
const TARGET = /^\/[!-~]*$/;

/** Checks `rateLimit`: a rate, or an object. */
export function readRateLimit(
  value: unknown,
  { key, refuse }: ActionPlace,
): RateLimitSetting | null {
  const given = typeof value === "string" ? { rate: value } : value;
  if (!isRecord(given)) {
    refuse(key, value, `${RATE_EXPECTED}, or { rate: "100/min", burst: 20, key: "address" }`);
    return null;
  }
  refuseUnknown(given, ["rate", "burst", "key", "dryRun"], { key, refuse });
  const { rate: rateText, burst: givenBurst, dryRun = false } = given;
  const rate = typeof rateText === "string" ? parseRate(rateText) : null;
  if (rate === null) refuse(`${key}.rate`, rateText, RATE_EXPECTED);
  const burst = givenBurst ?? Math.min(rate?.requests ?? 1, MOST_BURST);
  const isBurst = isWhole(burst, MOST_BURST);
  if (!isBurst) refuse(`${key}.burst`, burst, `a whole number from 1 to ${MOST_BURST}`);
  if (typeof dryRun !== "boolean") refuse(`${key}.dryRun`, dryRun, "true or false");
  const limitKey = readLimitKey(given["key"], `${key}.key`, refuse);
  if (rate === null || !isBurst || limitKey === null || typeof dryRun !== "boolean") return null;
  return { rate, burst, key: limitKey, dryRun };
}

/** Checks `concurrencyLimit`: a number, or an object. */
export function readConcurrencyLimit(
  value: unknown,
  { key, refuse }: ActionPlace,
): ConcurrencyLimitSetting | null {
  const given = typeof value === "number" ? { most: value } : value;
  const expected = `a whole number from 1 to ${MOST_AT_A_TIME}`;
  if (!isRecord(given)) {
    refuse(key, value, `${expected}, or { most: 10, key: "address" }`);
    return null;
  }
  refuseUnknown(given, ["most", "key"], { key, refuse });
  const { most } = given;
  const limitKey = readLimitKey(given["key"], `${key}.key`, refuse);
  const isMost = isWhole(most, MOST_AT_A_TIME);
  if (!isMost) refuse(typeof value === "number" ? key : `${key}.most`, most, expected);
  return isMost && limitKey !== null ? { most, key: limitKey } : null;
}

/** Checks `basicAuth`. The file itself is read at a start and a reload. */
export function readBasicAuth(
  value: unknown,
  { key, refuse, folder }: ActionPlace,
): BasicAuthSetting | null {
  if (value === "off" || value === false) return { kind: "off" };
  if (!isRecord(value)) {
    refuse(key, value, '{ file: "htpasswd" }, { users: { name: "$2y$..." } } or "off"');
    return null;
  }
  refuseUnknown(value, ["file", "users", "realm"], { key, refuse });
  const { file, users, realm = DEFAULT_REALM } = value;
  if (typeof realm !== "string" || !REALM.test(realm)) {
    refuse(`${key}.realm`, realm, "printable ASCII text without quotes and backslashes");
    return null;
  }
  if ((file === undefined) === (users === undefined)) {
    refuse(key, Object.keys(value), 'either "file" or "users"');
    return null;
  }
  if (file !== undefined) {
    if (typeof file === "string" && file !== "") {
      return { kind: "file", path: resolve(folder, file), realm };
    }
    refuse(`${key}.file`, file, "the path of a file of htpasswd");
    return null;
  }
  if (!isRecord(users) || Object.keys(users).length === 0) {
    refuse(`${key}.users`, users, 'hashes by user name: { ann: "$2y$..." }');
    return null;
  }
  const entries = Object.entries(users).flatMap(([user, hash]): [string, string][] => {
    const problem =
      typeof hash === "string" ? describeUserProblem(user, hash) : "a value that is no text";
    if (problem === null && typeof hash === "string") return [[user, hash]];
    // Without the value: it may be a password.
    const place = `${key}.users[${JSON.stringify(user)}]`;
    refuse(place, HIDDEN, `a hash of htpasswd such as "$2y$...", and not ${problem}`);
    return [];
  });
  return { kind: "users", users: entries, realm };
}

/** Stands for a value that no message may show. */
const HIDDEN = "(hidden)";

/** Checks `forwardAuth`: a URL or path, or an object. */
export function readForwardAuth(
  value: unknown,
  { key, refuse }: ActionPlace,
): ForwardAuthSetting | null {
  if (value === "off" || value === false) return { kind: "off" };
  const given = typeof value === "string" ? { url: value } : value;
  const urlExpected = 'a URL such as "http://127.0.0.1:9000/check", or a path of a handler';
  if (!isRecord(given)) {
    refuse(key, value, `${urlExpected}, { url, copy: ["x-user"] } or "off"`);
    return null;
  }
  refuseUnknown(given, ["url", "copy", "copyToReply", "requestFields", "timeout"], { key, refuse });
  const { url, copy = [], copyToReply = [], requestFields, timeout = DEFAULT_TIMEOUT } = given;
  const isUrl = typeof url === "string" && (TARGET.test(url) || isHttpUrl(url));
  if (!isUrl) refuse(typeof value === "string" ? key : `${key}.url`, url, urlExpected);
  const copied = readNames(copy, `${key}.copy`, refuse);
  const toReply = readNames(copyToReply, `${key}.copyToReply`, refuse);
  for (const [part, names] of Object.entries({ copy: copied, copyToReply: toReply })) {
    const framing = names?.find((name) => FRAMING.test(name));
    if (framing === undefined) continue;
    refuse(`${key}.${part}`, framing, "fields other than those of framing and connection");
  }
  const asked =
    requestFields === undefined ? null : readNames(requestFields, `${key}.requestFields`, refuse);
  const timeoutMs = typeof timeout === "string" ? parseDurationMs(timeout) : null;
  const isTimeout = timeoutMs !== null && timeoutMs >= 1 && timeoutMs <= MOST_TIMEOUT_MS;
  if (!isTimeout) refuse(`${key}.timeout`, timeout, 'a time up to 60 s, such as "5s"');
  if (!isUrl || copied === null || toReply === null || !isTimeout) return null;
  return {
    kind: "on",
    url,
    copy: copied.map((name) => name.replaceAll("_", "-")),
    copyToReply: toReply,
    requestFields: asked,
    timeoutMs,
  };
}

function readLimitKey(value: unknown, key: string, refuse: Refuse): LimitKeySetting | null {
  if (value === undefined) return "address";
  if (value === "address" || value === "site") return value;
  if (isRecord(value) && Object.keys(value).length === 1) {
    const { header, cookie } = value;
    if (typeof header === "string" && TOKEN.test(header)) return { header: header.toLowerCase() };
    if (typeof cookie === "string" && TOKEN.test(cookie)) return { cookie };
  }
  refuse(key, value, '"address", "site", { header: "x-api-key" } or { cookie: "session" }');
  return null;
}

/** Returns names of fields in lower case; `null` if one of them is none. */
function readNames(value: unknown, key: string, refuse: Refuse): string[] | null {
  const names: unknown = typeof value === "string" ? [value] : value;
  if (Array.isArray(names)) {
    const fine = names.filter(
      (name): name is string => typeof name === "string" && TOKEN.test(name),
    );
    if (fine.length === names.length) return fine.map((name) => name.toLowerCase());
  }
  refuse(key, value, 'a list of field names: ["x-user"]');
  return null;
}

function isHttpUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return (protocol === "http:" || protocol === "https:") && username === "" && password === "";
}

function isWhole(value: unknown, most: number): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= most;
}
