/**
 * Cases of the rules for HTTP caches, as data. Each is a script: requests of a client, the answers of an origin, and the
 * expected answer to the client. The table runs against the decisions alone (`conformance.test.ts`), and against a server
 * with a scripted origin (`test/e2e/cache-conformance.test.ts`).
 */
export interface ConformanceCase {
  /** Group of the case, e.g. `storing`. */
  group: string;
  /** RFC and section, e.g. `9111 3.5`. */
  section: string;
  name: string;
  /** Settings of the cache that differ from the default ones. */
  settings?: CaseSettings;
  steps: readonly Step[];
  /** Why the cache deviates from the RFC on purpose. */
  deviation?: string;
}

export interface CaseSettings {
  /** Lifetime of answers with status 200 that state none. */
  ttlSeconds?: number;
  heuristics?: boolean;
  staleWhileRevalidateSeconds?: number;
  staleIfErrorSeconds?: number;
  /** Follows `cache-control` of requests. Default: true. */
  obeysClients?: boolean;
  targets?: readonly string[];
  query?: { only: readonly string[] } | { except: readonly string[] };
  cookies?: readonly string[];
}

export interface Step {
  /** Seconds since the first step. Cases without it need no clock: they use `age`. */
  atSeconds?: number;
  /** Default: GET. */
  method?: string;
  /** Path and query. Default: `/`. */
  target?: string;
  /** Fields of the client's request. */
  fields?: Fields;
  /** The answer of the origin, if it is asked. Default: status 200 and the number of the step as its body. */
  origin?: OriginAnswer;
  expect: Expectation;
}

export interface OriginAnswer {
  /** `down`: the origin cannot be reached. Default: 200. */
  status?: number | "down";
  fields?: Fields;
  /** Default: the number of the step, from 1. */
  body?: string;
  /** The connection breaks before the body is complete. */
  isBroken?: boolean;
}

export interface Expectation {
  /** The origin gets a request before the client has its answer. */
  isAsked: boolean;
  /** The origin gets a request after the client has its answer, or at the same time. Default: false. */
  isRefreshed?: boolean;
  /** Fields of the request that the origin gets; `null`: absent. */
  sees?: Record<string, string | null>;
  /** Default: 200. */
  status?: number;
  /** Default: the number of the step if the origin is asked, otherwise `1`. `null`: not checked. */
  body?: string | null;
  /** Fields of the answer to the client; `null`: absent. */
  fields?: Record<string, string | RegExp | null>;
}

/** Several lines of one name are an array. */
export type Fields = Record<string, string | readonly string[]>;

/** A date, and times around it, for `date`, `expires` and `last-modified`. The first step is at `NOW`. */
export const NOW_MS = Date.UTC(2030, 0, 15, 12, 0, 0);

/** Returns an HTTP-date so many seconds after the first step. */
export function at(seconds: number): string {
  return new Date(NOW_MS + seconds * 1000).toUTCString();
}

const HIT: Expectation = { isAsked: false };
const ASKED: Expectation = { isAsked: true };
const FRESH: Fields = { "cache-control": "max-age=1000" };

interface Pair {
  settings?: CaseSettings;
  /** Fields of both requests. */
  request?: Fields;
  method?: string;
  target?: string;
  /** Differences of the second request. */
  again?: { fields?: Fields; target?: string; method?: string; atSeconds?: number };
  status?: number;
  deviation?: string;
}

/** A request, and the same once more, which the cache answers or not. */
function pair(
  group: string,
  isStored: boolean,
  [section, name, fields, options = {}]: readonly [string, string, Fields, Pair?],
): ConformanceCase {
  const { settings, request = {}, method, target, again = {}, status = 200, deviation } = options;
  const origin = (): OriginAnswer => ({ status, fields });
  const own = {
    ...(method === undefined ? {} : { method }),
    ...(target === undefined ? {} : { target }),
  };
  const second: Step = {
    ...own,
    ...again,
    fields: again.fields ?? request,
    origin: origin(),
    expect: { isAsked: !isStored, status, body: null },
  };
  return {
    group,
    section,
    name,
    ...(settings === undefined ? {} : { settings }),
    ...(deviation === undefined ? {} : { deviation }),
    steps: [
      { ...own, fields: request, origin: origin(), expect: { isAsked: true, status, body: null } },
      second,
    ],
  };
}

type Row = readonly [string, string, Fields, Pair?];

function stored(group: string, rows: readonly Row[]): ConformanceCase[] {
  return rows.map((row) => pair(group, true, row));
}

function notStored(group: string, rows: readonly Row[]): ConformanceCase[] {
  return rows.map((row) => pair(group, false, row));
}

const AUTHORIZED: Fields = { authorization: "Basic YTpi" };

const STORING: readonly ConformanceCase[] = [
  ...stored("storing", [
    ["9111 3", "an answer with max-age", { "cache-control": "max-age=1000" }],
    ["9111 3", "an answer with s-maxage", { "cache-control": "s-maxage=1000" }],
    ["9111 3", "an answer with expires", { expires: at(1000), date: at(0) }],
    ["9111 3", "an answer with expires and no date", { expires: at(1000) }],
    ["9111 3", "a 404 with a lifetime", FRESH, { status: 404 }],
    ["9111 3", "a 410 with a lifetime", FRESH, { status: 410 }],
    ["9111 3", "a 301 with a lifetime", { ...FRESH, location: "/y" }, { status: 301 }],
    ["9111 3", "a 302 with a lifetime", { ...FRESH, location: "/y" }, { status: 302 }],
    ["9111 3", "a 204 with a lifetime", FRESH, { status: 204 }],
    ["9111 3", "a 500 with a lifetime", FRESH, { status: 500 }],
    ["9111 3", "a 299, which nobody has defined, with a lifetime", FRESH, { status: 299 }],
    [
      "9111 3.5",
      "authorization with public",
      { "cache-control": "public, max-age=1000" },
      { request: AUTHORIZED },
    ],
    [
      "9111 3.5",
      "authorization with s-maxage",
      { "cache-control": "s-maxage=1000" },
      { request: AUTHORIZED },
    ],
    [
      "9111 3.5",
      "authorization with must-revalidate",
      { "cache-control": "must-revalidate, max-age=1000" },
      { request: AUTHORIZED },
    ],
    [
      "9111 5.2.2.3",
      "must-understand turns no-store off for a known status",
      { "cache-control": "must-understand, no-store, max-age=1000" },
    ],
    [
      "9111 5.2.2.7",
      "private with names",
      { "cache-control": 'private="x-user", max-age=1000', "x-user": "a" },
    ],
    ["9111 5.2.3", "unknown directives", { "cache-control": "max-age=1000, community=UCI, x=1" }],
    ["9111 5.2", "names of directives in upper case", { "cache-control": "MAX-AGE=1000" }],
    ["9111 5.2", "a quoted number", { "cache-control": 'max-age="1000"' }],
    [
      "9111 5.2",
      "no-store inside of a quoted value",
      { "cache-control": 'x="a, no-store, b", max-age=1000' },
    ],
    ["9110 5.6.1", "empty members of the list", { "cache-control": ", ,max-age=1000,, " }],
    ["9110 5.3", "directives in two lines", { "cache-control": ["public", "max-age=1000"] }],
    ["9111 5.4", "pragma in the answer has no meaning", { ...FRESH, pragma: "no-cache" }],
  ]),
  ...notStored("storing", [
    ["9111 3", "an answer that states nothing", {}],
    ["9111 5.2.2.5", "no-store", { "cache-control": "no-store, max-age=1000" }],
    ["9111 5.2.2.5", "No-Store in upper case", { "cache-control": "No-StOrE, max-age=1000" }],
    [
      "9111 5.2.2.5",
      "no-store in a second line",
      { "cache-control": ["max-age=1000", "no-store"] },
    ],
    ["9111 5.2.2.7", "private", { "cache-control": "private, max-age=1000" }],
    ["9111 5.2.2.7", "private and public", { "cache-control": "public, private, max-age=1000" }],
    [
      "9111 5.2.2.7",
      "private with an empty list of names",
      { "cache-control": 'private="", max-age=1000' },
    ],
    ["9111 3.5", "authorization", FRESH, { request: AUTHORIZED }],
    [
      "9111 3.5",
      "authorization with proxy-revalidate",
      { "cache-control": "proxy-revalidate, max-age=1000" },
      { request: AUTHORIZED },
    ],
    ["9111 4.1", "vary: *", { ...FRESH, vary: "*" }],
    ["9111 4.1", "vary with * among names", { ...FRESH, vary: "accept, *" }],
    ["9111 3", "a HEAD request", FRESH, { method: "HEAD" }],
    [
      "9111 3",
      "a POST request, even with a lifetime",
      FRESH,
      { method: "POST", again: { method: "POST" } },
    ],
    ["9111 3", "an OPTIONS request", FRESH, { method: "OPTIONS", again: { method: "OPTIONS" } }],
    [
      "9111 5.2.1.5",
      "a request with no-store",
      FRESH,
      { request: { "cache-control": "no-store" } },
    ],
    [
      "9111 5.2.2.3",
      "must-understand with a status that is not known",
      { "cache-control": "must-understand, max-age=1000" },
      { status: 299 },
    ],
    [
      "9111 5.2",
      "a directive that a semicolon ends",
      { "cache-control": "no-store; max-age=1000" },
    ],
    ["9111 5.2", "directives without a comma", { "cache-control": "no-store max-age=1000" }],
    [
      "9111 5.2",
      "an unfinished quote before no-store",
      { "cache-control": 'x="a, no-store, max-age=1000' },
    ],
    [
      "9111 7.3",
      "set-cookie",
      { ...FRESH, "set-cookie": "id=1" },
      { deviation: "The RFC allows to store cookies. One user's cookie must not reach another." },
    ],
    [
      "9111 7.3",
      "set-cookie with public",
      { "cache-control": "public, max-age=1000", "set-cookie": "id=1" },
    ],
    [
      "9111 3",
      "an answer that is stale at once and has no validator",
      { "cache-control": "max-age=0" },
      { deviation: "The RFC allows to store it. It would take room and never be used." },
    ],
  ]),
  {
    group: "storing",
    section: "9111 5.2.2.7",
    name: "leaves out a cookie that private names",
    steps: [
      {
        origin: {
          fields: { "cache-control": 'private="set-cookie", max-age=1000', "set-cookie": "id=1" },
        },
        expect: ASKED,
      },
      { expect: { isAsked: false, fields: { "set-cookie": null } } },
    ],
  },
  {
    group: "storing",
    section: "9111 5.2.2.4",
    name: "leaves out fields that no-cache names",
    steps: [
      {
        origin: {
          fields: {
            "cache-control": 'no-cache="x-a, X-B", max-age=1000',
            "x-a": "1",
            "x-b": "2",
            "x-c": "3",
          },
        },
        expect: ASKED,
      },
      { expect: { isAsked: false, fields: { "x-a": null, "x-b": null, "x-c": "3" } } },
    ],
  },
  {
    group: "storing",
    section: "9111 3.1",
    name: "leaves out fields for a proxy, and keeps unknown fields and their lines",
    steps: [
      {
        origin: {
          fields: {
            ...FRESH,
            "proxy-authenticate": "Basic",
            "x-other": "1",
            link: ["</a>", "</b>"],
          },
        },
        expect: ASKED,
      },
      {
        expect: {
          isAsked: false,
          fields: { "proxy-authenticate": null, "x-other": "1", link: "</a>, </b>" },
        },
      },
    ],
  },
];

const FRESHNESS: readonly ConformanceCase[] = [
  ...stored("freshness", [
    [
      "9111 4.2.1",
      "max-age, not expires in the past",
      { ...FRESH, expires: at(-1000), date: at(0) },
    ],
    ["9111 4.2.1", "s-maxage, not max-age", { "cache-control": "max-age=0, s-maxage=1000" }],
    [
      "9111 5.2.2.10",
      "s-maxage, not expires",
      { "cache-control": "s-maxage=1000", expires: at(-10), date: at(0) },
    ],
    ["9111 4.2.1", "two equal max-age", { "cache-control": "max-age=1000, max-age=1000" }],
    ["9111 1.2.2", "a number beyond 2^31", { "cache-control": "max-age=99999999999999999999" }],
    ["9111 4.2.3", "age below max-age", { ...FRESH, age: "999" }, { again: {} }],
    ["9111 5.1", "a malformed age", { ...FRESH, age: "abc" }],
    ["9111 5.1", "a negative age", { ...FRESH, age: "-100000" }],
    ["9111 5.1", "the first of several ages", { ...FRESH, age: ["10", "99999"] }],
    ["9111 4.2.3", "a date in the past by a wrong clock", { ...FRESH, date: at(-100_000) }],
    ["9111 4.2.3", "a date in the future by a wrong clock", { ...FRESH, date: at(100_000) }],
    ["9111 4.2", "one second before the end", FRESH, { again: { atSeconds: 999 } }],
    [
      "9111 5.3",
      "expires counts from date, not from our clock",
      { expires: at(-9000), date: at(-10_000) },
    ],
    [
      "9111 5.3",
      "expires in the form of RFC 850",
      { expires: "Wednesday, 16-Jan-30 12:00:00 GMT", date: at(0) },
    ],
    [
      "9111 5.3",
      "expires in the form of asctime",
      { expires: "Wed Jan 16 12:00:00 2030", date: at(0) },
    ],
  ]),
  ...notStored("freshness", [
    ["9111 4.2", "at the end of the lifetime", FRESH, { again: { atSeconds: 1000 } }],
    ["9111 4.2.3", "age at max-age", { ...FRESH, age: "1000", etag: '"a"' }],
    ["9111 5.3", "expires: 0", { expires: "0", date: at(0), etag: '"a"' }],
    ["9111 5.3", "expires that is no date", { expires: "tomorrow", date: at(0), etag: '"a"' }],
    ["9111 5.3", "expires in the past", { expires: at(-1), date: at(0), etag: '"a"' }],
    ["9111 5.3", "expires at the date", { expires: at(0), date: at(0), etag: '"a"' }],
    ["9111 4.2.1", "two expires", { expires: [at(1000), at(2000)], date: at(0), etag: '"a"' }],
    [
      "9111 4.2.1",
      "two different max-age",
      { "cache-control": "max-age=1000, max-age=2000", etag: '"a"' },
    ],
    ["9111 4.2.1", "max-age with a fraction", { "cache-control": "max-age=1000.5", etag: '"a"' }],
    ["9111 4.2.1", "a negative max-age", { "cache-control": "max-age=-1000", etag: '"a"' }],
    ["9111 4.2.1", "max-age without a value", { "cache-control": "max-age", etag: '"a"' }],
    ["9111 4.2.1", "max-age with letters", { "cache-control": "max-age=1000s", etag: '"a"' }],
    [
      "9111 4.2.1",
      "a space before the equals sign",
      { "cache-control": "max-age =1000", etag: '"a"' },
    ],
    ["9111 4.2.1", "single quotes", { "cache-control": "max-age='1000'", etag: '"a"' }],
    [
      "9111 4.2.1",
      "max-age inside of a quoted value",
      { "cache-control": 'x="max-age=1000"', etag: '"a"' },
    ],
    [
      "9111 5.2.2.10",
      "s-maxage=0, not max-age",
      { "cache-control": "s-maxage=0, max-age=1000", etag: '"a"' },
    ],
    ["9111 5.2.2.4", "no-cache", { "cache-control": "no-cache, max-age=1000", etag: '"a"' }],
    [
      "9111 5.2.2.4",
      "no-cache with a malformed list",
      { "cache-control": 'no-cache="a b", max-age=1000', etag: '"a"' },
    ],
  ]),
  {
    group: "freshness",
    section: "9111 5.1",
    name: "adds the time in the cache to the age of the answer",
    steps: [
      { origin: { fields: { ...FRESH, age: "100" } }, expect: ASKED },
      { atSeconds: 50, expect: { isAsked: false, fields: { age: "150" } } },
    ],
  },
  {
    group: "freshness",
    section: "9111 5.1",
    name: "writes age 0 at once",
    steps: [
      { origin: { fields: FRESH }, expect: ASKED },
      { expect: { isAsked: false, fields: { age: "0" } } },
    ],
  },
  {
    group: "freshness",
    section: "9111 4.2.3",
    name: "never has a negative age when our clock is set back",
    steps: [
      { origin: { fields: FRESH }, expect: ASKED },
      { atSeconds: -500, expect: { isAsked: false, fields: { age: "0" } } },
    ],
  },
];

const HEURISTICS: readonly ConformanceCase[] = [
  ...stored("heuristics", [
    [
      "9111 4.2.2",
      "a tenth of the time since the last modification",
      { "last-modified": at(-10_000), date: at(0) },
      { settings: { heuristics: true }, again: { atSeconds: 999 } },
    ],
    [
      "9111 4.2.2",
      "without a date, from our clock",
      { "last-modified": at(-10_000) },
      { settings: { heuristics: true }, again: { atSeconds: 999 } },
    ],
    [
      "9111 4.2.2",
      "a 404, whose status allows it",
      { "last-modified": at(-10_000) },
      { settings: { heuristics: true }, status: 404 },
    ],
    [
      "9111 4.2.2",
      "a 299 with public",
      { "last-modified": at(-10_000), "cache-control": "public" },
      { settings: { heuristics: true }, status: 299 },
    ],
    [
      "9111 4.2.2",
      "a lifetime of the settings",
      {},
      { settings: { ttlSeconds: 100 }, again: { atSeconds: 99 } },
    ],
    [
      "9111 4.2.2",
      "a lifetime of the settings with public",
      { "cache-control": "public" },
      { settings: { ttlSeconds: 100 } },
    ],
    [
      "9111 4.2.1",
      "a longer max-age than that of the settings",
      { "cache-control": "max-age=1000" },
      { settings: { ttlSeconds: 10 }, again: { atSeconds: 999 } },
    ],
  ]),
  ...notStored("heuristics", [
    [
      "9111 4.2.2",
      "when the settings do not ask for estimates",
      { "last-modified": at(-10_000) },
      { again: { atSeconds: 1 } },
    ],
    [
      "9111 4.2.2",
      "a tenth is over",
      { "last-modified": at(-10_000) },
      { settings: { heuristics: true }, again: { atSeconds: 1000 } },
    ],
    [
      "9111 4.2.2",
      "never longer than a day",
      { "last-modified": at(-100_000_000) },
      { settings: { heuristics: true }, again: { atSeconds: 86_400 } },
    ],
    [
      "9111 4.2.2",
      "a modification in the future",
      { "last-modified": at(10_000) },
      { settings: { heuristics: true } },
    ],
    [
      "9111 4.2.2",
      "a status that does not allow it",
      { "last-modified": at(-10_000) },
      { settings: { heuristics: true }, status: 403 },
    ],
    [
      "9111 4.2.2",
      "an explicit max-age=0",
      { "last-modified": at(-10_000), "cache-control": "max-age=0" },
      { settings: { heuristics: true } },
    ],
    [
      "9111 4.2.2",
      "the time of the settings is over",
      { etag: '"a"' },
      { settings: { ttlSeconds: 100 }, again: { atSeconds: 100 } },
    ],
    [
      "9111 4.2.1",
      "a shorter max-age than that of the settings",
      { "cache-control": "max-age=10", etag: '"a"' },
      { settings: { ttlSeconds: 1000 }, again: { atSeconds: 10 } },
    ],
    [
      "9111 5.2.2.5",
      "no-store beats the settings",
      { "cache-control": "no-store" },
      { settings: { ttlSeconds: 1000 } },
    ],
    [
      "9111 5.2.2.7",
      "private beats the settings",
      { "cache-control": "private" },
      { settings: { ttlSeconds: 1000 } },
    ],
    [
      "9111 5.2.2.4",
      "no-cache beats the settings",
      { "cache-control": "no-cache", etag: '"a"' },
      { settings: { ttlSeconds: 1000 } },
    ],
    [
      "9111 5.3",
      "expires beats the settings",
      { expires: at(-1), date: at(0), etag: '"a"' },
      { settings: { ttlSeconds: 1000 } },
    ],
    [
      "9111 3.5",
      "authorization, also with a lifetime of the settings",
      {},
      { settings: { ttlSeconds: 1000 }, request: AUTHORIZED },
    ],
    [
      "9111 7.3",
      "set-cookie, also with a lifetime of the settings",
      { "set-cookie": "id=1" },
      { settings: { ttlSeconds: 1000 } },
    ],
    [
      "9111 4.2.2",
      "a status without a lifetime in the settings",
      {},
      { settings: { ttlSeconds: 1000 }, status: 500 },
    ],
    ["9111 2", "a path that ends like a file states no lifetime", {}, { target: "/account/x.css" }],
  ]),
];

const TARGETED: readonly ConformanceCase[] = [
  ...stored("targeted fields", [
    [
      "9213 2.2",
      "cdn-cache-control, not no-store",
      { "cache-control": "no-store", "cdn-cache-control": "max-age=1000" },
    ],
    [
      "9213 2.2",
      "cdn-cache-control, not expires",
      { expires: at(-10), "cdn-cache-control": "max-age=1000" },
    ],
    [
      "9213 2.1",
      "a field that is no dictionary is ignored",
      { "cache-control": "max-age=1000", "cdn-cache-control": "no-store, max-age=," },
    ],
    [
      "9213 2.1",
      "an empty field is ignored",
      { "cache-control": "max-age=1000", "cdn-cache-control": "" },
    ],
    ["9213 2.1", "parameters are ignored", { "cdn-cache-control": "max-age=1000;x=1" }],
    [
      "8941 4.2.2",
      "of two members the last counts",
      { "cdn-cache-control": "max-age=0, max-age=1000" },
    ],
    [
      "9213 2.2",
      "the first field of the list that is there",
      { "b-control": "max-age=1000", "c-control": "no-store" },
      { settings: { targets: ["a-control", "b-control", "c-control"] } },
    ],
    [
      "9213 2.2",
      "a field that is not in the list",
      { ...FRESH, "other-cache-control": "no-store" },
    ],
  ]),
  ...notStored("targeted fields", [
    [
      "9213 2.2",
      "no-store, not max-age of cache-control",
      { ...FRESH, "cdn-cache-control": "no-store" },
    ],
    [
      "9213 2.1",
      "a value of another type is ignored",
      { ...FRESH, "cdn-cache-control": 'max-age="1000"' },
    ],
    [
      "9213 2.1",
      "a number with a fraction is ignored",
      { ...FRESH, "cdn-cache-control": "max-age=1000.0" },
    ],
    [
      "9213 3.1",
      "a field without directives leaves no lifetime",
      { ...FRESH, "cdn-cache-control": "none" },
    ],
    ["8941 3.2", "names in upper case are no dictionary", { "cdn-cache-control": "Max-Age=1000" }],
    ["9213 2.2", "private", { ...FRESH, "cdn-cache-control": "private, max-age=1000" }],
  ]),
];

const VARY: readonly ConformanceCase[] = [
  ...stored("vary", [
    ["9111 4.1", "the same value", { ...FRESH, vary: "x-kind" }, { request: { "x-kind": "a" } }],
    ["9111 4.1", "no field in both requests", { ...FRESH, vary: "x-kind" }],
    [
      "9111 4.1",
      "other fields may differ",
      { ...FRESH, vary: "x-kind" },
      { request: { "x-kind": "a" }, again: { fields: { "x-kind": "a", "x-other": "b" } } },
    ],
    [
      "9111 4.1",
      "names in another case",
      { ...FRESH, vary: "X-KIND" },
      { request: { "x-kind": "a" } },
    ],
    [
      "9111 4.1",
      "two lines that are one list",
      { ...FRESH, vary: "x-kind" },
      { request: { "x-kind": ["a", "b"] }, again: { fields: { "x-kind": "a, b" } } },
    ],
    [
      "9111 4.1",
      "spaces in accept-language",
      { ...FRESH, vary: "accept-language" },
      {
        request: { "accept-language": "de, en;q=0.5" },
        again: { fields: { "accept-language": "de,en; q=0.5" } },
      },
    ],
    [
      "9111 4.1",
      "case of accept-language",
      { ...FRESH, vary: "accept-language" },
      {
        request: { "accept-language": "de-DE" },
        again: { fields: { "accept-language": "de-de" } },
      },
    ],
    [
      "9110 12.5.3",
      "codings in another order",
      { ...FRESH, vary: "accept-encoding" },
      {
        request: { "accept-encoding": "gzip, br" },
        again: { fields: { "accept-encoding": "br;q=1.0, gzip" } },
      },
    ],
    [
      "9110 12.5.3",
      "a coding that no server uses",
      { ...FRESH, vary: "accept-encoding" },
      {
        request: { "accept-encoding": "gzip, deflate" },
        again: { fields: { "accept-encoding": "gzip" } },
      },
    ],
    [
      "9110 12.5.5",
      "several names",
      { ...FRESH, vary: "x-a, x-b" },
      { request: { "x-a": "1", "x-b": "2" } },
    ],
  ]),
  ...notStored("vary", [
    [
      "9111 4.1",
      "another value",
      { ...FRESH, vary: "x-kind" },
      { request: { "x-kind": "a" }, again: { fields: { "x-kind": "b" } } },
    ],
    [
      "9111 4.1",
      "an absent field",
      { ...FRESH, vary: "x-kind" },
      { request: { "x-kind": "a" }, again: { fields: {} } },
    ],
    [
      "9111 4.1",
      "an empty field is not an absent one",
      { ...FRESH, vary: "x-kind" },
      { request: {}, again: { fields: { "x-kind": "" } } },
    ],
    [
      "9111 4.1",
      "one of two values",
      { ...FRESH, vary: "x-a, x-b" },
      { request: { "x-a": "1", "x-b": "2" }, again: { fields: { "x-a": "1", "x-b": "3" } } },
    ],
    [
      "9111 4.1",
      "names in two lines",
      { ...FRESH, vary: ["x-a", "x-b"] },
      { request: { "x-b": "2" }, again: { fields: { "x-b": "3" } } },
    ],
    [
      "9110 12.5.3",
      "a coding that the client refuses",
      { ...FRESH, vary: "accept-encoding" },
      {
        request: { "accept-encoding": "gzip, br" },
        again: { fields: { "accept-encoding": "gzip, br;q=0" } },
      },
    ],
    [
      "9111 4.1",
      "values whose texts run together",
      { ...FRESH, vary: "x-a, x-b" },
      { request: { "x-a": "1", "x-b": "" }, again: { fields: { "x-a": "", "x-b": "1" } } },
    ],
  ]),
  {
    group: "vary",
    section: "9111 4.1",
    name: "keeps both variants",
    steps: [
      {
        fields: { "x-kind": "a" },
        origin: { fields: { ...FRESH, vary: "x-kind" } },
        expect: ASKED,
      },
      {
        fields: { "x-kind": "b" },
        origin: { fields: { ...FRESH, vary: "x-kind" } },
        expect: ASKED,
      },
      { fields: { "x-kind": "a" }, expect: HIT },
      { fields: { "x-kind": "b" }, expect: { isAsked: false, body: "2" } },
    ],
  },
  {
    group: "vary",
    section: "9111 4.1",
    name: "takes the newest of several that match",
    steps: [
      { fields: { "x-kind": "a" }, origin: { fields: FRESH }, expect: ASKED },
      {
        atSeconds: 1,
        fields: { "x-kind": "a", "cache-control": "no-cache" },
        origin: { fields: { ...FRESH, vary: "x-kind" } },
        expect: ASKED,
      },
      { atSeconds: 2, fields: { "x-kind": "a" }, expect: { isAsked: false, body: "2" } },
    ],
  },
  {
    group: "vary",
    section: "9110 12.5.3",
    name: "asks with the codings in one form",
    steps: [
      {
        fields: { "accept-encoding": "gzip;q=0.8, deflate, br" },
        origin: { fields: { ...FRESH, vary: "accept-encoding" } },
        expect: { isAsked: true, sees: { "accept-encoding": "br, gzip" } },
      },
    ],
  },
];

const TAG: Fields = { "cache-control": "max-age=10", etag: '"a"' };
const STALE: Fields = { "cache-control": "max-age=10", age: "10", etag: '"a"' };

const VALIDATION: readonly ConformanceCase[] = [
  {
    group: "validation",
    section: "9111 4.3.1",
    name: "sends the entity tag",
    steps: [
      { origin: { fields: STALE }, expect: ASKED },
      {
        origin: { status: 304, fields: {} },
        expect: { isAsked: true, sees: { "if-none-match": '"a"' }, body: "1" },
      },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.1",
    name: "sends the date of the last modification",
    steps: [
      {
        origin: { fields: { "cache-control": "max-age=10", age: "10", "last-modified": at(-100) } },
        expect: ASKED,
      },
      {
        origin: { status: 304 },
        expect: {
          isAsked: true,
          sees: { "if-modified-since": at(-100), "if-none-match": null },
          body: "1",
        },
      },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.1",
    name: "sends a weak tag",
    steps: [
      { origin: { fields: { ...STALE, etag: 'W/"a"' } }, expect: ASKED },
      {
        origin: { status: 304 },
        expect: { isAsked: true, sees: { "if-none-match": 'W/"a"' }, body: "1" },
      },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.1",
    name: "does not pass the client's own conditions on",
    steps: [
      {
        fields: { "if-none-match": '"x"', "if-modified-since": at(-1), range: "bytes=0-0" },
        origin: { fields: FRESH },
        expect: {
          isAsked: true,
          status: 206,
          sees: { "if-none-match": null, "if-modified-since": null, range: null },
        },
      },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.4",
    name: "is fresh again after a 304",
    steps: [
      { origin: { fields: STALE }, expect: ASKED },
      {
        origin: { status: 304, fields: { "cache-control": "max-age=1000", etag: '"a"' } },
        expect: { isAsked: true, body: "1" },
      },
      { expect: HIT },
    ],
  },
  {
    group: "validation",
    section: "9111 3.2",
    name: "takes fields of a 304 over, and keeps those about the bytes",
    steps: [
      {
        origin: { fields: { ...STALE, "content-type": "text/plain", "x-a": "1", "x-b": "1" } },
        expect: ASKED,
      },
      {
        origin: {
          status: 304,
          fields: {
            ...FRESH,
            "x-a": "2",
            "content-type": "text/html",
            "content-encoding": "gzip",
            "content-length": "0",
          },
        },
        expect: {
          isAsked: true,
          body: "1",
          fields: {
            "x-a": "2",
            "x-b": "1",
            "content-type": "text/plain",
            "content-encoding": null,
          },
        },
      },
      {
        expect: {
          isAsked: false,
          fields: { "x-a": "2", "x-b": "1", "content-type": "text/plain" },
        },
      },
    ],
  },
  {
    group: "validation",
    section: "9111 3.2",
    name: "never takes a cookie of a 304 over",
    steps: [
      { origin: { fields: STALE }, expect: ASKED },
      {
        origin: { status: 304, fields: { ...FRESH, "set-cookie": "id=1" } },
        expect: { isAsked: true, body: "1", fields: { "set-cookie": null } },
      },
      { expect: { isAsked: false, fields: { "set-cookie": null } } },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.4",
    name: "removes an entry when the 304 says no-store",
    steps: [
      { origin: { fields: STALE }, expect: ASKED },
      {
        origin: { status: 304, fields: { "cache-control": "no-store" } },
        expect: { isAsked: true, body: "1" },
      },
      { expect: { isAsked: true, sees: { "if-none-match": null } } },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.4",
    name: "fetches the whole when the 304 is about another answer",
    steps: [
      { origin: { fields: STALE }, expect: ASKED },
      {
        origin: { status: 304, fields: { ...FRESH, etag: '"b"' } },
        expect: { isAsked: true, status: 502, body: null },
      },
    ],
    deviation:
      "The case has one answer per step: the second request of the cache gets the same 304, which is an error.",
  },
  {
    group: "validation",
    section: "9111 4.3.3",
    name: "replaces the entry by a 200",
    steps: [
      { origin: { fields: STALE }, expect: ASKED },
      { origin: { fields: { ...FRESH, etag: '"b"' } }, expect: ASKED },
      { expect: { isAsked: false, body: "2", fields: { etag: '"b"' } } },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.3",
    name: "replaces the entry by a 404",
    steps: [
      { origin: { fields: STALE }, expect: ASKED },
      { origin: { status: 404, fields: FRESH }, expect: { isAsked: true, status: 404 } },
      { expect: { isAsked: false, status: 404, body: "2" } },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.3",
    name: "keeps the entry after a 503",
    steps: [
      { origin: { fields: STALE }, expect: ASKED },
      { origin: { status: 503, fields: FRESH }, expect: { isAsked: true, status: 503 } },
      {
        origin: { status: 304, fields: FRESH },
        expect: { isAsked: true, sees: { "if-none-match": '"a"' }, body: "1" },
      },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.1",
    name: "asks without conditions for an entry without validators",
    steps: [
      { origin: { fields: { "cache-control": "max-age=10" } }, expect: ASKED },
      {
        atSeconds: 10,
        expect: { isAsked: true, sees: { "if-none-match": null, "if-modified-since": null } },
      },
    ],
  },
  {
    group: "validation",
    section: "9110 8.8.3",
    name: "does not use a malformed entity tag",
    steps: [
      { origin: { fields: { ...STALE, etag: "a", "last-modified": at(-100) } }, expect: ASKED },
      {
        origin: { status: 304 },
        expect: {
          isAsked: true,
          sees: { "if-none-match": null, "if-modified-since": at(-100) },
          body: "1",
        },
      },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.2",
    name: "answers 304 to a client that has the entry",
    steps: [
      {
        origin: { fields: { ...FRESH, etag: '"a"', "content-type": "text/plain", vary: "x-a" } },
        expect: ASKED,
      },
      {
        fields: { "if-none-match": '"x", W/"a"' },
        expect: {
          isAsked: false,
          status: 304,
          body: "",
          fields: {
            etag: '"a"',
            vary: "x-a",
            "content-type": null,
            "cache-control": "max-age=1000",
          },
        },
      },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.2",
    name: "answers 304 also when it has just fetched the entry",
    steps: [
      {
        fields: { "if-none-match": '"a"' },
        origin: { fields: { ...FRESH, etag: '"a"' } },
        expect: { isAsked: true, status: 304, body: "" },
      },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.2",
    name: "answers 200 to a client that has another entry",
    steps: [
      { origin: { fields: { ...FRESH, etag: '"a"' } }, expect: ASKED },
      { fields: { "if-none-match": '"b"' }, expect: HIT },
    ],
  },
  {
    group: "validation",
    section: "9110 13.2.2",
    name: "lets if-none-match decide, not if-modified-since",
    steps: [
      { origin: { fields: { ...FRESH, etag: '"a"', "last-modified": at(-100) } }, expect: ASKED },
      { fields: { "if-none-match": '"b"', "if-modified-since": at(-50) }, expect: HIT },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.2",
    name: "compares if-modified-since with last-modified",
    steps: [
      { origin: { fields: { ...FRESH, "last-modified": at(-100) } }, expect: ASKED },
      {
        fields: { "if-modified-since": at(-100) },
        expect: { isAsked: false, status: 304, body: "" },
      },
      { fields: { "if-modified-since": at(-101) }, expect: HIT },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.2",
    name: "compares if-modified-since with date without last-modified",
    steps: [
      { origin: { fields: { ...FRESH, date: at(0) } }, expect: ASKED },
      { fields: { "if-modified-since": at(0) }, expect: { isAsked: false, status: 304, body: "" } },
      { fields: { "if-modified-since": at(-1) }, expect: HIT },
    ],
  },
  {
    group: "validation",
    section: "9110 13.2.1",
    name: "does not answer 304 from a 404",
    steps: [
      {
        origin: { status: 404, fields: { ...FRESH, etag: '"a"' } },
        expect: { isAsked: true, status: 404 },
      },
      { fields: { "if-none-match": '"a"' }, expect: { isAsked: false, status: 404 } },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.2",
    name: "leaves if-match to the origin",
    steps: [
      { origin: { fields: { ...FRESH, etag: '"a"' } }, expect: ASKED },
      {
        fields: { "if-match": '"b"' },
        origin: { status: 412 },
        expect: { isAsked: true, status: 412, sees: { "if-match": '"b"' } },
      },
    ],
  },
  {
    group: "validation",
    section: "9111 4.3.2",
    name: "leaves if-unmodified-since to the origin",
    steps: [
      { origin: { fields: FRESH }, expect: ASKED },
      {
        fields: { "if-unmodified-since": at(-10) },
        expect: { isAsked: true, sees: { "if-unmodified-since": at(-10) } },
      },
    ],
  },
];

const WISHES: readonly ConformanceCase[] = [
  ...(
    [
      ["5.2.1.4", "no-cache", { "cache-control": "no-cache" }, true],
      ["5.2.1.1", "max-age=0", { "cache-control": "max-age=0" }, true],
      ["5.2.1.1", "max-age below the age", { "cache-control": "max-age=49" }, true],
      ["5.2.1.1", "max-age above the age", { "cache-control": "max-age=50" }, false],
      ["5.2.1.1", "a malformed max-age", { "cache-control": "max-age=x" }, true],
      [
        "5.2.1.3",
        "min-fresh beyond the lifetime that is left",
        { "cache-control": "min-fresh=951" },
        true,
      ],
      [
        "5.2.1.3",
        "min-fresh within the lifetime that is left",
        { "cache-control": "min-fresh=950" },
        false,
      ],
      ["5.2.1.7", "only-if-cached", { "cache-control": "only-if-cached" }, false],
      ["5.4", "pragma: no-cache", { pragma: "no-cache" }, true],
      [
        "5.4",
        "pragma next to cache-control",
        { pragma: "no-cache", "cache-control": "max-stale=1" },
        false,
      ],
      ["5.2.1", "an unknown directive", { "cache-control": "x-y=1" }, false],
    ] as const
  ).map(([section, name, fields, isAsked]): ConformanceCase => ({
    group: "wishes of clients",
    section: `9111 ${section}`,
    name: `${name} for a fresh entry`,
    steps: [
      { origin: { fields: { ...FRESH, age: "50" } }, expect: ASKED },
      { fields, expect: { isAsked } },
    ],
  })),
  {
    group: "wishes of clients",
    section: "9111 5.2.1.7",
    name: "only-if-cached without an entry gets 504",
    steps: [
      {
        fields: { "cache-control": "only-if-cached" },
        expect: { isAsked: false, status: 504, body: null },
      },
    ],
  },
  {
    group: "wishes of clients",
    section: "9111 5.2.1.7",
    name: "only-if-cached with a stale entry gets 504",
    steps: [
      { origin: { fields: STALE }, expect: ASKED },
      {
        fields: { "cache-control": "only-if-cached" },
        expect: { isAsked: false, status: 504, body: null },
      },
    ],
  },
  {
    group: "wishes of clients",
    section: "9111 5.2.1.2",
    name: "max-stale takes a stale entry, within its limit",
    steps: [
      { origin: { fields: { ...TAG, age: "15" } }, expect: ASKED },
      { fields: { "cache-control": "max-stale=5" }, expect: HIT },
      { fields: { "cache-control": "max-stale" }, expect: HIT },
      {
        fields: { "cache-control": "max-stale=4" },
        origin: { status: 304 },
        expect: { isAsked: true, body: "1" },
      },
    ],
  },
  {
    group: "wishes of clients",
    section: "9111 5.2.2.2",
    name: "max-stale does not take an entry with must-revalidate",
    steps: [
      {
        origin: { fields: { ...STALE, "cache-control": "max-age=10, must-revalidate" } },
        expect: ASKED,
      },
      { fields: { "cache-control": "max-stale" }, expect: ASKED },
    ],
  },
  {
    group: "wishes of clients",
    section: "9111 5.2.1",
    name: "no wish counts when the settings say so",
    settings: { obeysClients: false },
    steps: [
      { origin: { fields: FRESH }, expect: ASKED },
      { fields: { "cache-control": "no-cache", pragma: "no-cache" }, expect: HIT },
    ],
  },
  {
    group: "wishes of clients",
    section: "8246 2",
    name: "a reload takes a fresh immutable entry",
    steps: [
      {
        origin: { fields: { "cache-control": "max-age=1000, immutable", age: "5" } },
        expect: ASKED,
      },
      { fields: { "cache-control": "max-age=0" }, expect: HIT },
      { fields: { "cache-control": "no-cache" }, expect: ASKED },
    ],
  },
  {
    group: "wishes of clients",
    section: "8246 2",
    name: "a reload does not take a stale immutable entry",
    steps: [
      {
        origin: { fields: { "cache-control": "max-age=10, immutable", age: "10", etag: '"a"' } },
        expect: ASKED,
      },
      { fields: { "cache-control": "max-age=0" }, expect: ASKED },
    ],
  },
];

const SWR: Fields = { "cache-control": "max-age=10, stale-while-revalidate=60", etag: '"a"' };

const STALE_USE: readonly ConformanceCase[] = [
  {
    group: "stale use",
    section: "5861 3",
    name: "serves stale and refreshes in the background",
    steps: [
      { origin: { fields: { ...SWR, age: "10" } }, expect: ASKED },
      { origin: { fields: FRESH }, expect: { isAsked: false, isRefreshed: true } },
      { expect: { isAsked: false, body: "2" } },
    ],
  },
  {
    group: "stale use",
    section: "5861 3",
    name: "a 304 in the background freshens the entry",
    steps: [
      { origin: { fields: { ...SWR, age: "10" } }, expect: ASKED },
      { origin: { status: 304, fields: FRESH }, expect: { isAsked: false, isRefreshed: true } },
      { expect: HIT },
    ],
  },
  {
    group: "stale use",
    section: "5861 3",
    name: "an error in the background changes nothing",
    steps: [
      { origin: { fields: { ...SWR, age: "10" } }, expect: ASKED },
      { origin: { status: 500, fields: FRESH }, expect: { isAsked: false, isRefreshed: true } },
      { origin: { status: 304, fields: FRESH }, expect: { isAsked: false, isRefreshed: true } },
      { expect: HIT },
    ],
  },
  {
    group: "stale use",
    section: "5861 3",
    name: "asks first once the time is over",
    steps: [{ origin: { fields: { ...SWR, age: "70" } }, expect: ASKED }, { expect: ASKED }],
  },
  {
    group: "stale use",
    section: "9111 5.2.2.2",
    name: "must-revalidate forbids it",
    steps: [
      {
        origin: {
          fields: {
            "cache-control": "max-age=10, stale-while-revalidate=60, must-revalidate",
            age: "10",
            etag: '"a"',
          },
        },
        expect: ASKED,
      },
      { expect: ASKED },
    ],
  },
  {
    group: "stale use",
    section: "9111 5.2.2.8",
    name: "proxy-revalidate forbids it",
    steps: [
      {
        origin: {
          fields: {
            "cache-control": "max-age=10, stale-while-revalidate=60, proxy-revalidate",
            age: "10",
            etag: '"a"',
          },
        },
        expect: ASKED,
      },
      { expect: ASKED },
    ],
  },
  {
    group: "stale use",
    section: "9111 5.2.2.10",
    name: "s-maxage with stale-while-revalidate allows it",
    deviation:
      "s-maxage implies proxy-revalidate. An author that writes both means both, and frameworks send this pair by default.",
    steps: [
      {
        origin: {
          fields: {
            "cache-control": "s-maxage=10, stale-while-revalidate=60",
            age: "10",
            etag: '"a"',
          },
        },
        expect: ASKED,
      },
      { origin: { status: 304, fields: FRESH }, expect: { isAsked: false, isRefreshed: true } },
    ],
  },
  {
    group: "stale use",
    section: "9111 5.2.2.10",
    name: "s-maxage turns the settings for stale use off",
    settings: { staleWhileRevalidateSeconds: 60, staleIfErrorSeconds: 60 },
    steps: [
      {
        origin: { fields: { "cache-control": "s-maxage=10", age: "10", etag: '"a"' } },
        expect: ASKED,
      },
      { origin: { status: 503 }, expect: { isAsked: true, status: 503 } },
    ],
  },
  {
    group: "stale use",
    section: "5861 3",
    name: "the settings allow it where the answer is silent",
    settings: { staleWhileRevalidateSeconds: 60 },
    steps: [
      { origin: { fields: STALE }, expect: ASKED },
      { origin: { status: 304, fields: FRESH }, expect: { isAsked: false, isRefreshed: true } },
    ],
  },
  {
    group: "stale use",
    section: "5861 3",
    name: "a value of 0 beats the settings",
    settings: { staleWhileRevalidateSeconds: 60 },
    steps: [
      {
        origin: { fields: { ...STALE, "cache-control": "max-age=10, stale-while-revalidate=0" } },
        expect: ASKED,
      },
      { expect: ASKED },
    ],
  },
  {
    group: "stale use",
    section: "9111 5.2.1.1",
    name: "a client with max-age gets no stale entry",
    steps: [
      { origin: { fields: { ...SWR, age: "10" } }, expect: ASKED },
      { fields: { "cache-control": "max-age=1000" }, expect: ASKED },
    ],
  },
  ...[500, 502, 503, 504].map((status): ConformanceCase => ({
    group: "stale use",
    section: "5861 4",
    name: `stale-if-error serves the entry instead of a ${status}`,
    steps: [
      {
        origin: {
          fields: { "cache-control": "max-age=10, stale-if-error=60", age: "10", etag: '"a"' },
        },
        expect: ASKED,
      },
      { origin: { status }, expect: { isAsked: true, body: "1" } },
    ],
  })),
  {
    group: "stale use",
    section: "5861 4",
    name: "stale-if-error serves the entry when the origin is down",
    steps: [
      {
        origin: {
          fields: { "cache-control": "max-age=10, stale-if-error=60", age: "10", etag: '"a"' },
        },
        expect: ASKED,
      },
      { origin: { status: "down" }, expect: { isAsked: true, body: "1" } },
    ],
  },
  {
    group: "stale use",
    section: "5861 4",
    name: "stale-if-error does not hide a 404",
    steps: [
      {
        origin: {
          fields: { "cache-control": "max-age=10, stale-if-error=60", age: "10", etag: '"a"' },
        },
        expect: ASKED,
      },
      { origin: { status: 404 }, expect: { isAsked: true, status: 404 } },
    ],
  },
  {
    group: "stale use",
    section: "5861 4",
    name: "stale-if-error ends after its time",
    steps: [
      {
        origin: {
          fields: { "cache-control": "max-age=10, stale-if-error=60", age: "71", etag: '"a"' },
        },
        expect: ASKED,
      },
      { origin: { status: 503 }, expect: { isAsked: true, status: 503 } },
    ],
  },
  {
    group: "stale use",
    section: "5861 4",
    name: "a request with stale-if-error takes the entry",
    steps: [
      { origin: { fields: STALE }, expect: ASKED },
      {
        fields: { "cache-control": "stale-if-error=60" },
        origin: { status: 503 },
        expect: { isAsked: true, body: "1" },
      },
    ],
  },
  {
    group: "stale use",
    section: "9111 5.2.2.2",
    name: "must-revalidate gives the error, not the entry",
    settings: { staleIfErrorSeconds: 1000 },
    steps: [
      {
        origin: {
          fields: { "cache-control": "max-age=10, must-revalidate", age: "10", etag: '"a"' },
        },
        expect: ASKED,
      },
      { origin: { status: "down" }, expect: { isAsked: true, status: 504, body: null } },
    ],
  },
  {
    group: "stale use",
    section: "9111 5.2.2.4",
    name: "no-cache gives the error, not the entry",
    settings: { staleIfErrorSeconds: 1000 },
    steps: [
      { origin: { fields: { "cache-control": "no-cache", etag: '"a"' } }, expect: ASKED },
      { origin: { status: 503 }, expect: { isAsked: true, status: 503 } },
    ],
  },
];

const BODY = "0123456789";
const WHOLE: Step = {
  origin: { fields: { ...FRESH, etag: '"a"', "last-modified": at(-100) }, body: BODY },
  expect: { isAsked: true, body: BODY },
};

function range(
  section: string,
  name: string,
  fields: Fields,
  expect: Omit<Expectation, "isAsked">,
): ConformanceCase {
  return {
    group: "ranges",
    section,
    name,
    steps: [WHOLE, { fields, expect: { isAsked: false, ...expect } }],
  };
}

const RANGES: readonly ConformanceCase[] = [
  range(
    "9110 14.2",
    "the first bytes",
    { range: "bytes=0-3" },
    { status: 206, body: "0123", fields: { "content-range": "bytes 0-3/10", etag: '"a"' } },
  ),
  range(
    "9110 14.1.2",
    "from a byte to the end",
    { range: "bytes=7-" },
    { status: 206, body: "789", fields: { "content-range": "bytes 7-9/10" } },
  ),
  range(
    "9110 14.1.2",
    "the last bytes",
    { range: "bytes=-2" },
    { status: 206, body: "89", fields: { "content-range": "bytes 8-9/10" } },
  ),
  range(
    "9110 14.1.2",
    "an end beyond the body",
    { range: "bytes=8-100" },
    { status: 206, body: "89" },
  ),
  range(
    "9110 15.5.17",
    "a start beyond the body",
    { range: "bytes=10-" },
    { status: 416, body: "", fields: { "content-range": "bytes */10" } },
  ),
  range("9110 14.2", "a malformed range", { range: "bytes=3-1" }, { body: BODY }),
  range("9110 14.2", "another unit", { range: "lines=0-1" }, { body: BODY }),
  range(
    "9110 13.1.5",
    "if-range with the tag",
    { range: "bytes=0-3", "if-range": '"a"' },
    { status: 206, body: "0123" },
  ),
  range(
    "9110 13.1.5",
    "if-range with another tag",
    { range: "bytes=0-3", "if-range": '"b"' },
    { body: BODY },
  ),
  range(
    "9110 13.1.5",
    "if-range with a weak tag",
    { range: "bytes=0-3", "if-range": 'W/"a"' },
    { body: BODY },
  ),
  range(
    "9110 13.1.5",
    "if-range with the date",
    { range: "bytes=0-3", "if-range": at(-100) },
    { status: 206, body: "0123" },
  ),
  range(
    "9110 13.1.5",
    "if-range with another date",
    { range: "bytes=0-3", "if-range": at(-99) },
    { body: BODY },
  ),
  range(
    "9110 13.2.2",
    "a client that has the entry",
    { range: "bytes=0-3", "if-none-match": '"a"' },
    { status: 304, body: "" },
  ),
  {
    group: "ranges",
    section: "9111 3.3",
    name: "a miss stores the whole, and answers with the range",
    steps: [
      {
        fields: { range: "bytes=2-3" },
        origin: { fields: FRESH, body: BODY },
        expect: { isAsked: true, status: 206, body: "23", sees: { range: null } },
      },
      { expect: { isAsked: false, body: BODY } },
    ],
  },
  {
    group: "ranges",
    section: "9111 3.3",
    name: "a 206 of the origin is not stored",
    steps: [
      {
        origin: { status: 206, fields: { ...FRESH, "content-range": "bytes 0-0/10" }, body: "0" },
        expect: { isAsked: true, status: 206, body: "0" },
      },
      { expect: ASKED },
    ],
  },
  {
    group: "ranges",
    section: "9111 4",
    name: "HEAD is answered from the entry, without a body",
    steps: [
      WHOLE,
      {
        method: "HEAD",
        expect: { isAsked: false, body: "", fields: { "content-length": "10", etag: '"a"' } },
      },
    ],
  },
  {
    group: "ranges",
    section: "9110 14.2",
    name: "HEAD ignores range",
    steps: [
      WHOLE,
      {
        method: "HEAD",
        fields: { range: "bytes=0-3" },
        expect: { isAsked: false, body: "", fields: { "content-range": null } },
      },
    ],
  },
  {
    group: "ranges",
    section: "9110 14.2",
    name: "a 404 has no ranges",
    steps: [
      {
        origin: { status: 404, fields: FRESH, body: BODY },
        expect: { isAsked: true, status: 404, body: BODY },
      },
      { fields: { range: "bytes=0-3" }, expect: { isAsked: false, status: 404, body: BODY } },
    ],
  },
  {
    group: "ranges",
    section: "9110 15.3.5",
    name: "a 204 has no body and no ranges",
    steps: [
      {
        origin: { status: 204, fields: FRESH, body: "" },
        expect: { isAsked: true, status: 204, body: "" },
      },
      { fields: { range: "bytes=0-3" }, expect: { isAsked: false, status: 204, body: "" } },
    ],
  },
];

function invalidation(
  section: string,
  name: string,
  isRemoved: boolean,
  unsafe: { method: string; target?: string; status?: number; fields?: Fields },
): ConformanceCase {
  const { method, target = "/a", status = 200, fields = {} } = unsafe;
  return {
    group: "invalidation",
    section,
    name,
    steps: [
      { target: "/a", origin: { fields: FRESH }, expect: ASKED },
      { target, method, origin: { status, fields }, expect: { isAsked: true, status, body: null } },
      { target: "/a", expect: { isAsked: isRemoved } },
    ],
  };
}

const INVALIDATION: readonly ConformanceCase[] = [
  ...["POST", "PUT", "DELETE", "PATCH", "PURGE", "X-UNKNOWN"].map((method) =>
    invalidation("9111 4.4", `${method} removes the entry`, true, { method }),
  ),
  ...["OPTIONS", "TRACE"].map((method) =>
    invalidation("9111 4.4", `${method} removes nothing`, false, { method }),
  ),
  invalidation("9111 4.4", "a 303 removes the entry", true, { method: "POST", status: 303 }),
  invalidation("9111 4.4", "a 404 removes nothing", false, { method: "DELETE", status: 404 }),
  invalidation("9111 4.4", "a 500 removes nothing", false, { method: "PUT", status: 500 }),
  invalidation("9111 4.4", "location of the same origin", true, {
    method: "POST",
    target: "/b",
    status: 201,
    fields: { location: "/a" },
  }),
  invalidation("9111 4.4", "content-location of the same origin", true, {
    method: "POST",
    target: "/b",
    fields: { "content-location": "a" },
  }),
  invalidation("9111 4.4", "location of another origin", false, {
    method: "POST",
    target: "/b",
    status: 201,
    fields: { location: "https://other.example/a" },
  }),
  invalidation("9111 4.4", "another URL", false, { method: "POST", target: "/b" }),
  {
    group: "invalidation",
    section: "9111 4.4",
    name: "removes all variants",
    steps: [
      {
        fields: { "x-kind": "a" },
        origin: { fields: { ...FRESH, vary: "x-kind" } },
        expect: ASKED,
      },
      {
        fields: { "x-kind": "b" },
        origin: { fields: { ...FRESH, vary: "x-kind" } },
        expect: ASKED,
      },
      { method: "POST", expect: ASKED },
      {
        fields: { "x-kind": "a" },
        origin: { fields: { ...FRESH, vary: "x-kind" } },
        expect: ASKED,
      },
      { fields: { "x-kind": "b" }, expect: ASKED },
    ],
  },
];

const KEYS: readonly ConformanceCase[] = [
  ...stored("keys", [
    ["9111 2", "the same query", FRESH, { target: "/a?x=1&y=2" }],
    [
      "9111 2",
      "a parameter that does not count",
      FRESH,
      {
        settings: { query: { except: ["utm_source"] } },
        target: "/a?x=1",
        again: { target: "/a?x=1&utm_source=b" },
      },
    ],
    [
      "9111 2",
      "a parameter that does not count, in another spelling",
      FRESH,
      {
        settings: { query: { except: ["utm_source"] } },
        target: "/a?x=1",
        again: { target: "/a?x=1&%75tm_source=b" },
      },
    ],
    [
      "9111 2",
      "parameters in another order",
      FRESH,
      {
        settings: { query: { only: ["x", "y"] } },
        target: "/a?x=1&y=2",
        again: { target: "/a?y=2&z=3&x=1" },
      },
    ],
    [
      "9111 2",
      "a cookie that does not count",
      FRESH,
      { request: { cookie: "a=1" }, again: { fields: { cookie: "a=2" } } },
    ],
    ["9111 2", "dot segments", FRESH, { target: "/a", again: { target: "/b/../a" } }],
  ]),
  ...notStored("keys", [
    ["9111 2", "another path", FRESH, { target: "/a", again: { target: "/b" } }],
    ["9111 2", "another query", FRESH, { target: "/a?x=1", again: { target: "/a?x=2" } }],
    ["9111 2", "a slash at the end", FRESH, { target: "/a", again: { target: "/a/" } }],
    [
      "9111 2",
      "parameters in another order, when all count",
      FRESH,
      { target: "/a?x=1&y=2", again: { target: "/a?y=2&x=1" } },
    ],
    [
      "9111 2",
      "a parameter that counts",
      FRESH,
      { settings: { query: { only: ["x"] } }, target: "/a?x=1", again: { target: "/a?x=2" } },
    ],
    [
      "9111 2",
      "a parameter that counts, in another spelling",
      FRESH,
      { settings: { query: { only: ["x"] } }, target: "/a", again: { target: "/a?%78=1" } },
    ],
    [
      "9111 2",
      "a parameter behind a semicolon",
      FRESH,
      { settings: { query: { except: ["utm"] } }, target: "/a", again: { target: "/a?utm=1;x=2" } },
    ],
    [
      "9111 2",
      "a cookie that counts",
      FRESH,
      {
        settings: { cookies: ["a"] },
        request: { cookie: "a=1" },
        again: { fields: { cookie: "a=2" } },
      },
    ],
    [
      "9111 2",
      "an encoded character of the path",
      FRESH,
      { target: "/%7Ea", again: { target: "/~a" } },
    ],
  ]),
];

const BROKEN: readonly ConformanceCase[] = [
  {
    group: "broken answers",
    section: "9111 3.3",
    name: "an answer that breaks off is not stored",
    steps: [
      {
        origin: { fields: { ...FRESH, "content-length": "10" }, body: "0123", isBroken: true },
        expect: { isAsked: true, body: null },
      },
      { expect: ASKED },
    ],
  },
  {
    group: "broken answers",
    section: "9111 3.3",
    name: "an answer of unknown size that breaks off is not stored",
    steps: [
      {
        origin: { fields: FRESH, body: "0123", isBroken: true },
        expect: { isAsked: true, body: null },
      },
      { expect: ASKED },
    ],
  },
  {
    group: "broken answers",
    section: "9111 3.3",
    name: "an answer that breaks off does not replace the entry",
    steps: [
      { origin: { fields: { ...SWR, age: "10" } }, expect: ASKED },
      {
        origin: { fields: FRESH, body: "0123", isBroken: true },
        expect: { isAsked: false, isRefreshed: true },
      },
      { origin: { status: 304, fields: FRESH }, expect: { isAsked: false, isRefreshed: true } },
      { expect: HIT },
    ],
  },
  {
    group: "broken answers",
    section: "9110 15.4.5",
    name: "a 304 without an entry is not stored",
    steps: [
      {
        origin: { status: 304, fields: FRESH },
        expect: { isAsked: true, status: 502, body: null },
      },
      { expect: ASKED },
    ],
  },
];

/** All cases. */
export const CONFORMANCE: readonly ConformanceCase[] = [
  ...STORING,
  ...FRESHNESS,
  ...HEURISTICS,
  ...TARGETED,
  ...VARY,
  ...VALIDATION,
  ...WISHES,
  ...STALE_USE,
  ...RANGES,
  ...INVALIDATION,
  ...KEYS,
  ...BROKEN,
];
