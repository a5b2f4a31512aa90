import type { Duration, Size } from "./quantities.ts";
import type { UserBinding, UserStore } from "./binding-settings.ts";
import type { UserProxy } from "./proxy-setting.ts";
import type { HandlerSettingName } from "./handler-settings.ts";
import type { SettingInput, SettingName, SETTINGS, SiteSettingName } from "./settings.ts";

export type { Duration, Size, UserProxy };

/** Settings that are also a flag (`bodyLimit` is `--body-limit`) and an environment variable (`EDGICORN_BODY_LIMIT`). */
type Settings = {
  -readonly [Name in keyof Pick<typeof SETTINGS, SettingName>]?: SettingInput<Name>;
};

/**
 * The content of `edgicorn.config.ts`. Every member is optional. Paths are relative to the file.
 *
 * A flag wins over the environment, the environment over the file.
 */
export interface UserConfig extends Settings {
  /**
   * Pools of workers beside the default one, by name. A handler runs in the pool that its `config.pool` names. A pool
   * without an entry has one worker.
   */
  pools?: Record<string, UserPool>;
  /**
   * Paths that the server requests of each new worker before clients may: `["/", "/api/health"]`. An answer of 500 or
   * above, or a late one, stops the start or the reload. Default: none.
   */
  warmup?: string[];
  /**
   * Python applications by the path below which they answer: `{ "/api": { app: "api.main:app", threads: 4 } }`. Each has a
   * pool of its own.
   */
  mounts?: Record<string, string | UserMount>;
  /**
   * Sites by host name: `{ "example.com": { aliases: ["www.example.com"], public: "example" }, "*.example.org": { ... } }`. `*` is
   * one label. Everything outside of `sites` is the default site, which answers for all other hosts. A folder
   * `sites/example.com/` with `handlers/` or `public/` beside the config file is such an entry, too.
   */
  sites?: Record<string, UserSite>;
  /**
   * Certificates that the server orders and renews, of Let's Encrypt unless `directory` names another authority: `{ email: "you@example.com" }`.
   * With it you accept the terms of the authority. Default: none.
   */
  acme?: UserAcme | "off" | false;
  /**
   * Rules for requests, in their order: `[{ path: "/old", respond: { status: 410 } }]`. Every rule whose conditions hold
   * applies, to files as to handlers. Where only one can answer, the first wins.
   */
  rules?: UserRule[];
  /**
   * Groups of upstream servers by name, for `proxy`: `{ api: ["http://10.0.0.1:3000", "http://10.0.0.2:3000"] }`. The servers
   * of a group share its requests.
   */
  upstreams?: Record<string, string | (string | UserUpstreamServer)[] | UserUpstreamGroup>;
  /**
   * Values of `env` by name: `{ SESSIONS: { kv: "sessions" }, API_KEY: { secret: "secrets/api-key" } }`. A binding wins over an
   * environment variable of the same name.
   */
  bindings?: Record<string, UserBinding>;
  /** Stores of bindings by name. Default: `default`, in the state folder. */
  stores?: Record<string, UserStore>;
  /** Environment variables that `env` has: `["DATABASE_URL", "APP_*"]`, or `"all"`. Default: all. */
  envVariables?: readonly string[] | "all";
}

/** A group of upstream servers. */
export interface UserUpstreamGroup {
  /** `"http://10.0.0.1:3000"`, `"https://api.internal"` (all addresses of the name), `"unix:/run/api.sock"`. */
  servers: string | (string | UserUpstreamServer)[];
  /**
   * The server of a request: the one with the fewest requests in flight, each in turn, or by a hash of one part of the
   * request, so that equal requests go to the same server. Default: `"least-busy"`.
   */
  balance?: "least-busy" | "round-robin" | { hash: UserHashKey };
  /** A cookie that keeps a client at its server while the server works: its name, or an object. Default: none. */
  sticky?: string | UserSticky | false;
  /** How the group finds out that a server fails. `"off"`: it never leaves a server out. */
  health?: UserUpstreamHealth | "off" | false;
  /** Most requests of each server at a time; more of them wait. Default: 1000. */
  maxConnections?: number;
  /** Most requests that wait for a server; above it the answer is 503. Default: 10000. */
  queueLimit?: number;
  /** Longest expected wait; above it the answer is 503 at once. Default: `"500ms"`. */
  queueDelay?: Duration;
  /** Longest wait, also while no server works; after it the answer is 503. Default: `"10s"`. */
  queueTimeout?: Duration;
  /** Longest time until a new connection can carry a request. Default: `"5s"`. */
  connectTimeout?: Duration;
  /** Longest time from the end of a request to the whole head of its response. Default: `"60s"`. */
  firstByteTimeout?: Duration;
  /** Longest pause within a request or a response. Default: `"60s"`. */
  idleTimeout?: Duration;
  /** For servers with `https:`. */
  tls?: UserUpstreamTls;
}

/** One upstream server. */
export interface UserUpstreamServer {
  url: string;
  /** Its share of the requests, relative to other servers. Default: 1. */
  weight?: number;
  /** It gets requests only when no other server can. */
  backup?: boolean;
  /** Default: that of the group. */
  maxConnections?: number;
}

/** The part of a request whose hash chooses a server. A request without it counts by its address. */
export type UserHashKey = "address" | "path" | { header: string } | { cookie: string };

/** A cookie that keeps a client at its server. */
export interface UserSticky {
  cookie: string;
  /** Key of the hash that stands for a server in the cookie, at least 16 characters. Default: a hash without a key. */
  secret?: string;
  /** How long a browser keeps it. Default: until the browser ends. */
  maxAge?: Duration;
}

/** How a group finds out that a server fails, and that it works again. */
export interface UserUpstreamHealth {
  /** A server is out after so many failed requests in a row. Default: 3. */
  failures?: number;
  /** Longest time from the first of them to the last. Default: `"10s"`. */
  window?: Duration;
  /** How long it is out the first time; each further time twice as long, up to 64 times as long. Default: `"1s"`. */
  outTime?: Duration;
  /** Time in which the share of a server that returns grows to its weight. Default: `"10s"`. */
  slowStart?: Duration;
  /** Path that is requested of each server from time to time: `"/healthz"`. Default: none is. */
  path?: string;
  /** Default: `"5s"`. */
  interval?: Duration;
  /** Longest time to the head of an answer. Default: `"5s"`. */
  timeout?: Duration;
  /** Good answers in a row after which a server is in again. Default: 2. */
  rise?: number;
  /** Bad answers in a row after which a server is out. Default: 3. */
  fall?: number;
  /** Statuses of good answers. Default: `"2xx,3xx"`. */
  status?: string | string[];
}

/** Connections with TLS to upstream servers. Paths are relative to the config file. */
export interface UserUpstreamTls {
  /** File with the certificates of the authorities, in PEM. Default: the authorities of Node. */
  ca?: string;
  /** Name that the certificate must have. Default: the host of the address. */
  serverName?: string;
  /** `false` accepts any certificate. */
  verify?: boolean;
  /** Certificate and key that are shown to the server. */
  cert?: string;
  key?: string;
}

type SiteSettings = {
  -readonly [Name in keyof Pick<typeof SETTINGS, SiteSettingName>]?: SettingInput<Name>;
};

/** Certificates that the server orders. */
export interface UserAcme {
  /** Address for messages of the authority. */
  email?: string;
  /** URL of the authority's directory. */
  directory?: string;
  /** Host names of one certificate. Default: those of the sites, one certificate for each site. */
  names?: string[];
}

/** A site. A setting that it does not have is that of the default site. */
export interface UserSite extends SiteSettings {
  /** Further host names. */
  aliases?: string | string[];
  /** Folder of its handlers, or `"off"`. Default: `sites/NAME/handlers`, if there is one. */
  handlers?: string | false;
  /** Folder of its files, or `"off"`. Default: `sites/NAME/public`, if there is one. */
  public?: string | false;
  /** Python application of the site. */
  app?: string | false;
  /** As at the top level, for the applications of the site. */
  appDir?: string;
  python?: string;
  appKind?: "auto" | "wsgi" | "asgi";
  threads?: number;
  mounts?: Record<string, string | UserMount>;
  /** Rules for its requests, after those of the top level. */
  rules?: UserConfig["rules"];
  /** Its certificates: a folder, or the two files of one. Default: `sites/NAME/certs`, if there is one, and `certs`. */
  certs?: string | false | { cert: string; key: string };
  /** The pool of its handlers, which other sites may name as well. Default: a pool of its own. */
  pool?: string;
  /** Number of workers of its own pool. Default: 1. The number also holds for its application's pool; default there: `workers`. */
  workers?: number;
  /** Paths that the server requests of each new worker at the first host of the site. Default: none. */
  warmup?: string[];
}

/** Requests that a limit counts together. Requests without the field or cookie count by their address. */
export type LimitKey = "address" | "site" | { header: string } | { cookie: string };

/** Settings of a handler that a rule may have for its requests. */
type RouteSettings = {
  -readonly [Name in HandlerSettingName]?: SettingInput<Name>;
};

/** A rule: conditions, all of which must hold, and actions. Without conditions it holds for every request. */
export interface UserRule extends RouteSettings {
  /**
   * Patterns of the path: `"/about"`, `"/users/:id"` (one segment), `"/assets/*.css"` (within a segment), `"/admin/**"`
   * (`/admin` and all below it).
   */
  path?: string | string[];
  /** A rule for GET is also for HEAD. */
  method?: string | string[];
  /** Host names without a port; `"*.example.com"`: exactly one label more. */
  host?: string | string[];
  /** Header fields of the request: a value (`*`: any characters), `true` (present) or `false` (absent). */
  header?: Record<string, string | boolean>;
  /** Parameters of the query, likewise. */
  query?: Record<string, string | boolean>;
  /** Addresses of clients, or ranges: `"10.0.0.0/8"`. */
  address?: string | string[];
  scheme?: "http" | "https";

  /** Fields of every reply, also of errors. For one field, the last rule wins. HSTS is sent over TLS only. */
  setFields?: Record<string, string>;
  appendFields?: Record<string, string>;
  removeFields?: string | string[];
  /** `false`: the access log has no line for the request. The last rule wins. */
  accessLog?: boolean;
  /**
   * Fields that protect pages, for replies without them: `x-content-type-options`, `x-frame-options` with
   * `frame-ancestors`, `referrer-policy`, and HSTS over TLS.
   */
  security?: boolean | UserSecurity;
  /** Lets pages of other origins read replies, and answers their preflights. `true`: all origins, without credentials. */
  cors?: boolean | UserCors;
  /**
   * Pages in place of errors, by status or class: `{ "404": "/404.html", "5xx": "/50x.html" }`. A page is a file of the
   * public folder, or a path that a handler answers. The status stays.
   */
  errorPages?: Record<string, string>;
  /** Answers 503 to all clients but those that `allow` names. */
  maintenance?: boolean | UserMaintenance;
  /** Only these addresses and ranges get an answer; all others get 403. */
  allow?: string | string[];
  /** These addresses and ranges get 403. */
  deny?: string | string[];
  /**
   * Most requests of one client address: `"100/min"`. As many may come at once (`burst` sets another number), and the next
   * ones as time passes. All others are answered with 429. `key` counts by something else, `"site"` all together.
   */
  rateLimit?: string | { rate: string; burst?: number; key?: LimitKey; dryRun?: boolean };
  /** Most requests of one client address at a time. All others are answered with 429, with the key `"site"` with 503. */
  concurrencyLimit?: number | { most: number; key?: LimitKey };
  /**
   * Asks for the name and password of a user, from a file of `htpasswd` or by hashes in the config. `"off"`: none for
   * these requests: later rules do not count.
   */
  basicAuth?:
    | { file: string; realm?: string }
    | { users: Record<string, string>; realm?: string }
    | "off"
    | false;
  /**
   * Asks a service whether a request may pass: a URL, or the path of a handler. `copy`: fields of its answer that the
   * request gets; `copyToReply`: those that the client gets. `"off"`: asks for none of these requests: later rules do not count.
   */
  forwardAuth?: string | UserForwardAuth | false;
  /**
   * The place to which clients are sent: `"/new/:id"`, `"https://example.com/:splat"`. Parameters are those of `path`, and
   * `:splat` is that of `**`. The query of the request is kept. Default status: 308.
   */
  redirect?: string | { to: string; status?: 301 | 302 | 303 | 307 | 308 };
  /** A fixed answer. Default: status 200, an empty body. */
  respond?: { status?: number; body?: string; fields?: Record<string, string> };
  /** Fields of the request for the handler. They replace those of the client with these names. */
  setRequestFields?: Record<string, string>;
  removeRequestFields?: string | string[];
  /** The path, perhaps with a query, as which the request is served: `"/posts/:id"`. */
  rewrite?: string;
  /** The upstream that answers, before files and handlers: `"http://127.0.0.1:3000"`, a key of `upstreams`, or an object. */
  proxy?: string | UserProxy;
}

/** A service that decides whether a request may pass. */
export interface UserForwardAuth {
  /** `"http://127.0.0.1:9000/check"`, or the path of a handler. */
  url: string;
  /** Fields of a positive answer that the request gets. They replace those of the client with these names. */
  copy?: string[];
  /** Fields of a positive answer that the client gets with its reply: `["set-cookie"]`. */
  copyToReply?: string[];
  /** Fields of the request that the service gets. Default: all but those of `copy`. */
  requestFields?: string[];
  /** Default: `"5s"`. */
  timeout?: Duration;
}

/** Fields that protect pages. `false` leaves one out. */
export interface UserSecurity {
  /** `strict-transport-security`. Default: `max-age=31536000`. */
  hsts?: boolean | string;
  /** Pages that may show this page in a frame. Default: `"same-origin"`. */
  frame?: "deny" | "same-origin" | false;
  /** `referrer-policy`. Default: `"strict-origin-when-cross-origin"`. */
  referrer?: string | false;
  nosniff?: boolean;
}

/** Pages of other origins that may read replies. */
export interface UserCors {
  /** `"https://example.com"`, `"https://*.example.com"` (one label). Default: `"*"`. */
  origins?: string | string[];
  /** Default: GET, HEAD, POST, PUT, PATCH and DELETE. */
  methods?: string | string[];
  /** Fields that a page may send. Default: those that it asks for. */
  headers?: string | string[];
  /** Lets pages send cookies. Needs a list of origins. */
  credentials?: boolean;
  /** How long a browser may remember the answer. */
  maxAge?: Duration;
  /** Fields of replies that a page may read. */
  expose?: string | string[];
}

/** An answer while the site is down. */
export interface UserMaintenance {
  /** The page, relative to the config file. */
  file?: string;
  /** Default: `"5m"`. */
  retryAfter?: Duration;
  /** Addresses and ranges of clients that are served as usual. */
  allow?: string | string[];
}

/** A Python application for a part of the paths. */
export interface UserMount {
  /** `"api.main:app"`, `"api:create_app()"`. */
  app: string;
  /** As `appDir`, for this application. */
  dir?: string;
  /** As `python`, for this application. */
  python?: string;
  /** As `appKind`, for this application. */
  kind?: "auto" | "wsgi" | "asgi";
  /** As `threads`, for this application. */
  threads?: number;
  /** Number of its worker processes. Default: `workers`. */
  workers?: number;
}

/** A pool of workers. Every member is optional. */
export interface UserPool {
  /** Number of its worker processes. Default: 1. The pool `default` has the number of the key `workers`. */
  workers?: number;
  /** Most requests that one of its workers has at a time. Default: `workerConcurrency`. */
  concurrency?: number;
  /** Memory above which one of its workers is replaced, or `"off"`. Default: `workerMemoryLimit`. */
  memoryLimit?: Size | false;
  /** The readiness path answers 200 also while no worker of the pool is ready. Default: `false`. */
  optional?: boolean;
}

/** Returns its argument: gives `edgicorn.config.ts` types and completion. */
export function defineConfig(config: UserConfig): UserConfig {
  return config;
}
