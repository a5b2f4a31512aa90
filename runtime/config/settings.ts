import { adminAddress, adminToken } from "./admin-setting.ts";
import { cacheRules } from "./cache-rules.ts";
import { cachePolicy, cacheReload } from "./cache-setting.ts";
import { engineSetting } from "./engine-setting.ts";
import { DEFAULT_SECRET_NAMES } from "../lib/secret-names.ts";
import {
  accessFormat,
  accountName,
  addressList,
  anyFile,
  appName,
  duration,
  folder,
  host,
  hostName,
  logFile,
  nameList,
  oneOf,
  onOff,
  onOffOrFile,
  onOffOrPage,
  orAll,
  orAuto,
  orOff,
  orWord,
  orZero,
  patternList,
  port,
  type SettingType,
  share,
  size,
  statusList,
  storeName,
  urlPath,
  wholeNumber,
  tlsSuites,
} from "./setting-types.ts";
import { metricsBuckets } from "./metrics-buckets.ts";
import { otlpEndpoint } from "./otlp-setting.ts";
import { proxySetting } from "./proxy-setting.ts";
import { MODERN_SUITES } from "./tls-suites.ts";
import { webSocketOrigins } from "./web-socket-origins.ts";

/** The effect of a reload on a setting that has changed. */
export type ReloadEffectKind =
  /** It names a source of settings, and is no setting itself. */
  | "source"
  /** It holds from the switch on, for each request and connection that begins then. */
  | "switch"
  /** Workers use it, or the pool does: the reload replaces the workers. */
  | "pools"
  /** It cannot change while the server runs: a reload that asks for it is refused. */
  | "restart";

/**
 * One setting. Flag, environment variable, key of the config file, types, help text, documentation and the key in a
 * handler's own config all follow from it.
 */
export interface Setting {
  /** Name in `Config`, with its unit. */
  readonly field: string;
  readonly type: SettingType<unknown, unknown>;
  /** Placeholder in the help text, instead of the one of the type. */
  readonly placeholder?: string;
  /** End of the sentence "found x, expected ...", instead of the one of the type. */
  readonly expected?: string;
  /** Default value, as a flag would give it. */
  readonly default: string;
  /** One line for the help text. */
  readonly help: string;
  /** Cell of the table in `docs/configuration.md`, in Markdown. */
  readonly docs: string;
  readonly reload: ReloadEffectKind;
  /** Whether it is a path, relative to the working directory or to the folder of the config file. */
  readonly isPath?: true;
  /** Whether "auto" and "off" become a number that depends on the machine or on other settings. */
  readonly isAutomatic?: true;
  /** Whether it stands first in the help text; the others follow under "more". */
  readonly common?: true;
  /** Key in a handler's own `config`, where a handler may set it for itself. */
  readonly handler?: string;
  /** Whether a site may have a value of its own, in `sites` of the config file. */
  readonly site?: true;
  /** Names in Nginx, Gunicorn, PM2 and Node's frameworks, in lower case, without dashes and underscores. */
  readonly elsewhere?: readonly string[];
}

/** Most fields that the library reads: it was compiled with this bound, and refuses a head with more. */
const MOST_FIELDS = 98;

/** All settings, in the order of the help text. An editor shows the comment of each in the config file. */
export const SETTINGS = {
  /** Folder of the handlers. Default: `handlers`. */
  handlers: {
    field: "handlersDir",
    type: folder(),
    default: "handlers",
    help: "folder of the handlers",
    docs: "folder of the handlers",
    reload: "switch",
    isPath: true,
    common: true,
  },
  /** Python application, WSGI or ASGI, as Gunicorn names it: `"myproject.wsgi:application"`, `"app:create_app()"`; or `"off"`. It answers what neither a file nor a handler answers. Default: `"off"`. */
  app: {
    field: "app",
    type: orOff(appName()),
    default: "off",
    help: "Python application: module:name",
    docs: "Python application, WSGI or ASGI ([python.md](python.md)); `off`: none",
    reload: "switch",
    common: true,
    elsewhere: ["wsgiapp", "application"],
  },
  /** Folder of the Python application: Python looks there first, and its workers run there. Default: `"."`. */
  appDir: {
    field: "appDir",
    type: folder(),
    default: ".",
    help: "folder of the Python application",
    docs: "folder of the Python application, and working directory of its workers",
    reload: "switch",
    isPath: true,
    elsewhere: ["chdir", "pythonpath"],
  },
  /** Interpreter of the Python application. Default: `"auto"`, which is `.venv/bin/python` in `appDir`, else that of `VIRTUAL_ENV`, else `python3`. */
  python: {
    field: "python",
    type: orWord("auto", anyFile()),
    default: "auto",
    help: "its interpreter",
    docs: "interpreter of the Python application; `auto`: that of `.venv` in `appDir`, else of `VIRTUAL_ENV`, else `python3`",
    reload: "switch",
    elsewhere: ["virtualenv", "venv", "home"],
  },
  /** Interface of the Python application: `"wsgi"`, `"asgi"`, or `"auto"`, which its signature decides. Default: `"auto"`. */
  appKind: {
    field: "appKind",
    type: oneOf("auto", "wsgi", "asgi"),
    default: "auto",
    help: "its interface: auto, wsgi or asgi",
    docs: "interface of the Python application: `wsgi`, `asgi`, or `auto`, which its signature decides",
    reload: "switch",
    elsewhere: ["workerclass", "interface"],
  },
  /** Requests of a WSGI application that one of its workers runs at a time, each in a thread. Default: 1. */
  threads: {
    field: "threads",
    type: wholeNumber(1, 1024),
    // gunicorn: threads 1
    default: "1",
    help: "WSGI requests of a worker at a time",
    docs: "requests of a WSGI application that one worker runs at a time, each in a thread",
    reload: "switch",
  },
  /** Folder of the static files, or `"off"`. Default: `public`, if there is one. */
  public: {
    field: "publicDir",
    type: orOff(folder()),
    default: "public",
    help: "folder of the static files",
    docs: "folder of the static files, if there is one; `off`: none",
    reload: "switch",
    isPath: true,
    common: true,
    elsewhere: ["root", "static"],
  },
  /**
   * Upstream for requests that neither a file nor a handler answers: `"http://127.0.0.1:3000"`, `"unix:/run/app.sock"`, a key of
   * `upstreams`, or an object with more. Default: `"off"`.
   */
  proxy: {
    field: "proxy",
    type: proxySetting(),
    // nginx: proxy_pass
    default: "off",
    help: "upstream that answers the rest",
    docs: "upstream for requests that neither a file nor a handler answers: a URL, `unix:` and a path, or a key of `upstreams` ([proxy.md](proxy.md)); `off`: none",
    reload: "switch",
    common: true,
    site: true,
    elsewhere: ["proxypass", "fastcgipass", "uwsgipass", "target", "backend"],
  },
  /** Folder of the certificates: `NAME.crt` with `NAME.key`, or certbot's folders. Default: `certs`. */
  certs: {
    field: "certsDir",
    type: folder(),
    default: "certs",
    help: "folder of NAME.crt with NAME.key",
    docs: "folder of the certificates; a folder that you name must exist ([certs/README.md](../certs/README.md))",
    reload: "switch",
    isPath: true,
    common: true,
  },
  /** Whether the server loads certificates again when their files change, or at a reload only. Default: on. */
  watchCerts: {
    field: "watchCerts",
    type: onOff(),
    default: "on",
    help: "load changed certificates at once",
    docs: "whether the server loads certificates again when their files change; `off`: at a reload only",
    reload: "switch",
  },
  /**
   * Suites of TLS 1.2, in the words of OpenSSL; the suites of TLS 1.3 are always offered. Default: `"ECDHE+AESGCM:ECDHE+CHACHA20"`, which
   * leaves out everything without forward secrecy.
   */
  tlsCiphers: {
    field: "tlsCiphers",
    type: tlsSuites(),
    // nginx: HIGH:!aNULL:!MD5
    default: MODERN_SUITES,
    help: "suites of TLS 1.2",
    docs: "suites of TLS 1.2, as OpenSSL names them; the suites of TLS 1.3 are always offered",
    // The library takes them with the application that listens.
    reload: "restart",
    elsewhere: ["sslciphers", "ciphers", "ciphersuites"],
  },
  /** Lowest version of TLS. With `"1.3"`, `tlsCiphers` has no meaning. Default: `"1.2"`. */
  tlsMinVersion: {
    field: "tlsMinVersion",
    type: oneOf("1.2", "1.3"),
    placeholder: "1.2|1.3",
    // nginx: TLSv1.2 TLSv1.3
    default: "1.2",
    help: "lowest version of TLS",
    docs: "lowest version of TLS: `1.2` or `1.3`",
    reload: "restart",
    elsewhere: ["sslprotocols", "minversion", "sslminversion"],
  },
  /** Port for HTTP; 0 is any free port. Default: 8080. */
  http: {
    field: "httpPort",
    type: orOff(port()),
    default: "8080",
    help: "port for HTTP",
    docs: "port for HTTP; `off`: none, `0`: any free port",
    reload: "restart",
    common: true,
    elsewhere: ["port", "httpport", "listen", "bind"],
  },
  /** Port for HTTPS; 0 is any free port. Default: 8443. */
  https: {
    field: "httpsPort",
    type: orOff(port()),
    default: "8443",
    help: "port for HTTPS",
    docs: "port for HTTPS; `off`: none, `0`: any free port",
    reload: "restart",
    common: true,
    elsewhere: ["httpsport", "ssl", "tls"],
  },
  /** Answer to a request whose host no site names: `"default"` (the default site answers) or `"refuse"` (421, and no TLS handshake). Default: `"default"`. */
  unknownHost: {
    field: "unknownHost",
    type: oneOf("default", "refuse"),
    placeholder: "HOW",
    // nginx: the first server block answers
    default: "default",
    help: "hosts without a site: default or refuse",
    docs: "a request whose host no [site](sites.md) names: `default` (the default site answers) or `refuse` (421, and no TLS handshake)",
    reload: "switch",
    elsewhere: ["defaultserver"],
  },
  /** Redirects from HTTP to HTTPS, with 308. The health path and ACME challenges are answered over HTTP. Default: off. */
  httpsRedirect: {
    field: "httpsRedirect",
    type: onOff(),
    // nginx: return 301 https://$host$request_uri
    default: "off",
    help: "redirect from HTTP to HTTPS",
    docs: "whether requests over HTTP are sent to HTTPS, with 308 ([more](rules.md#https-and-one-host-name))",
    reload: "switch",
    site: true,
    elsewhere: ["forcehttps", "forcessl", "sslredirect", "redirecthttps"],
  },
  /** The one host name of the site: requests for its other names are redirected there, with 308. Default: off. */
  canonicalHost: {
    field: "canonicalHost",
    type: orOff(hostName()),
    default: "off",
    help: "host name to which others are redirected",
    docs: "host name to which requests for other names of the site are sent, with 308 ([more](rules.md#https-and-one-host-name))",
    reload: "switch",
    site: true,
    elsewhere: ["servernameinredirect", "usecanonicalname"],
  },
  /** IP address or host name to listen on, or `"*"` for all of them. Default: `"*"`. */
  host: {
    field: "host",
    type: host(),
    default: "*",
    help: "address to listen on",
    docs: "address to listen on; `*`: all, IPv4 and IPv6",
    reload: "restart",
    common: true,
    elsewhere: ["hostname"],
  },
  /** Number of worker processes, or `"auto"`: one less than the number of CPUs, at least 2. Default: `"auto"`. */
  workers: {
    field: "workers",
    type: orWord("auto", wholeNumber(1, 1024)),
    default: "auto",
    help: "number of worker processes",
    docs: "worker processes; `auto`: one less than the number of CPUs, at least 2",
    // Each pool has its own: see `planPools`.
    reload: "switch",
    isAutomatic: true,
    common: true,
    elsewhere: ["instances", "workerprocesses"],
  },
  /** How many workers there may be when all are busy, or `"off"`: always `workers`. Default: `"off"`. */
  maxWorkers: {
    field: "maxWorkers",
    type: orOff(wholeNumber(1, 1024)),
    expected: 'a whole number from 1 to 1024 that is at least the number of workers, or "off"',
    default: "off",
    help: "most workers, when all are busy",
    docs: "most worker processes, when all are busy; `off`: always `workers`",
    reload: "switch",
    isAutomatic: true,
  },
  /** Number of requests after which a worker is replaced, in order. 0 is never. Default: 0. */
  maxRequestsPerWorker: {
    field: "maxRequestsPerWorker",
    type: wholeNumber(0, 999_999_999),
    expected: "a whole number, 0 for never",
    // gunicorn: max_requests 0
    default: "0",
    help: "requests after which a worker is replaced",
    docs: "requests after which a worker is replaced; `0`: never",
    reload: "pools",
  },
  /** Largest random number of requests that each worker gets on top of `maxRequestsPerWorker`, so that not all are replaced at once. Default: 0. */
  maxRequestsJitter: {
    field: "maxRequestsJitter",
    type: wholeNumber(0, 999_999_999),
    expected: "a whole number",
    // gunicorn: max_requests_jitter 0
    default: "0",
    help: "most requests more, at random",
    docs: "largest random number of requests that a worker gets on top of that",
    reload: "pools",
  },
  /** Age at which a worker is replaced. 0 is never. Default: 0. */
  maxWorkerAge: {
    field: "maxWorkerAgeMs",
    type: duration(0, 365 * 24 * 3_600_000, "never"),
    default: "0s",
    help: "age at which a worker is replaced",
    docs: "age at which a worker is replaced; `0s`: never",
    reload: "pools",
  },
  /** Idle time after which a worker is replaced that has had requests. 0 is never. Default: 0. */
  maxWorkerIdle: {
    field: "maxWorkerIdleMs",
    type: duration(0, 365 * 24 * 3_600_000, "never"),
    default: "0s",
    help: "idle time after which it is replaced",
    docs: "idle time after which a worker is replaced that has had requests; `0s`: never",
    reload: "pools",
  },
  /** A worker is replaced when it uses more memory, and killed when it uses half as much again. `"auto"`: its share of the memory of the machine or container, at least 256 MiB; `"off"`: no limit. Default: `"auto"`. */
  workerMemoryLimit: {
    field: "workerMemoryLimitBytes",
    type: orWord("auto", orOff(size(64 * 1024 ** 2, 1024 ** 4, "512mb"))),
    placeholder: "SIZE",
    expected: 'a size from 64mb to 1024gb, such as "512mb", or "auto", or "off"',
    default: "auto",
    help: "memory above which a worker is replaced",
    docs: "memory above which a worker is replaced; `auto`: see below, `off`: no limit",
    reload: "switch",
    isAutomatic: true,
    elsewhere: ["maxmemoryrestart"],
  },
  /** Largest request body; above it the answer is 413. Default: `"1mb"`. */
  bodyLimit: {
    field: "bodyLimitBytes",
    type: size(1, 1024 ** 4),
    expected: 'a size from 1 byte to 1024gb, such as "512kb" or "10mb"',
    // nginx: client_max_body_size 1m
    default: "1mb",
    help: "largest request body",
    docs: "largest request body; above it the answer is 413",
    reload: "switch",
    site: true,
    handler: "bodyLimitBytes",
    elsewhere: ["clientmaxbodysize", "maxbodybytes", "maxbodysize"],
  },
  /** A request body up to this size is gathered before a worker gets the request. Default: `"64kb"`. */
  bodyBuffer: {
    field: "bodyBufferBytes",
    type: size(0, 64 * 1024 ** 2, "64kb"),
    // nginx: client_body_buffer_size 16k, then a file
    default: "64kb",
    help: "request body kept before a worker gets it",
    docs: "size up to which a request body is kept before a worker gets the request",
    reload: "pools",
    handler: "bodyBufferBytes",
    elsewhere: ["clientbodybuffersize"],
  },
  /** How much of a response waits for a slow client before its handler is held back. Default: `"128kb"`. */
  responseBuffer: {
    field: "responseBufferBytes",
    type: size(16 * 1024, 64 * 1024 ** 2, "128kb"),
    // nginx: proxy_buffers 8 8k, then a file
    default: "128kb",
    help: "response body kept for a slow client",
    docs: "how much of a response body is kept for its client before the handler is held back",
    reload: "pools",
  },
  /** Which symbolic links in the folder of the static files are followed: `"inside"` (links that stay in it) or `"follow"` (all). Default: `"inside"`. */
  publicLinks: {
    field: "publicLinks",
    type: oneOf("inside", "follow"),
    placeholder: "HOW",
    expected: '"inside" (only links that stay in the public folder) or "follow" (all)',
    // nginx: disable_symlinks off
    default: "inside",
    help: "links in public: inside or follow (all)",
    docs: "symbolic links in the folder of the static files: `inside` (links that stay in it are followed) or `follow` (all are)",
    reload: "switch",
    site: true,
    elsewhere: ["disablesymlinks", "followsymlinks", "symlinks"],
  },
  /** Whether answers are stored and reused: `"off"`, `"on"` (if their own `Cache-Control` allows it), a time for answers that name none (`"1m"`), or `{ maxAge: "1m", stale: "1h", query: ["page"], cookies: ["lang"] }`. A handler's `config.cache` wins. Default: `"off"`. */
  cache: {
    field: "cache",
    type: cachePolicy(),
    // nginx: proxy_cache off
    default: "off",
    help: "store answers: on, off, or for a time",
    docs: "whether answers of handlers, applications and upstreams are stored and reused: `off`, `on` (if their own `Cache-Control` allows it), or a time for answers that name none, such as `1m` ([more](cache.md))",
    reload: "switch",
    site: true,
    handler: "cache",
    elsewhere: ["proxycache", "proxycachevalid", "fastcgicache", "uwsgicache", "responsecache"],
  },
  /** Memory for stored answers. Default: `"64mb"`. */
  cacheMemory: {
    field: "cacheMemoryBytes",
    type: size(0, 1024 ** 4, "64mb"),
    default: "64mb",
    help: "memory for stored answers",
    docs: "memory for stored answers ([more](cache.md#memory-and-disk))",
    reload: "restart",
    elsewhere: ["keyszone"],
  },
  /** Disk space for stored answers, which outlive a restart there; 0: memory only. Default: `"1gb"`. */
  cacheDisk: {
    field: "cacheDiskBytes",
    type: size(0, 1024 ** 5, "1gb"),
    expected: 'a size such as "1gb", 0 for none',
    // nginx: proxy_cache_path max_size, without a bound by default
    default: "1gb",
    help: "disk space for stored answers; 0: none",
    docs: "disk space for stored answers, which outlive a restart there; `0`: memory only",
    reload: "restart",
    elsewhere: ["proxycachepath", "fastcgicachepath"],
  },
  /** Folder for stored answers; `"auto"`: `cache` in `stateDir`. Default: `"auto"`. */
  cacheDir: {
    field: "cacheDir",
    type: orAuto(folder()),
    default: "auto",
    help: "folder for stored answers",
    docs: "folder for stored answers; `auto`: `cache` in `stateDir`",
    reload: "restart",
    isPath: true,
  },
  /** How long a request waits for the answer that the server fetches for another one. Then the server fetches it once more, for all requests that wait. Default: `"5s"`. */
  cacheWait: {
    field: "cacheWaitMs",
    type: duration(1, 3_600_000),
    // nginx: proxy_cache_lock_timeout 5s
    default: "5s",
    help: "wait for an answer that is fetched already",
    docs: "how long requests wait for an answer that another one fetches; then the server fetches it once more, for all that wait",
    reload: "switch",
    elsewhere: ["proxycachelocktimeout", "proxycachelock", "proxycachelockage"],
  },
  /** Stored answers of handlers after a reload or a start with other code: `"drop"`, `"keep"`, or tags of answers to purge (`"pages,menu"`). Default: `"drop"`. */
  cacheReload: {
    field: "cacheReload",
    type: cacheReload(),
    default: "drop",
    help: "after new code: drop, keep, or tags",
    docs: "stored answers of handlers once other code serves: `drop`, `keep`, or tags of answers to purge, separated by commas",
    reload: "switch",
  },
  /** `Cache-Control` of the static files: `"auto"` (hashed names for a year, all others are revalidated), `"off"`, or values by pattern: `{ "/assets/**": "immutable", "*.pdf": "1d" }`. Default: `"auto"`. */
  cacheControl: {
    field: "cacheControl",
    type: cacheRules(),
    default: "auto",
    help: "Cache-Control of files: auto or off",
    docs: "`Cache-Control` of static files: `auto`, `off`, or in the config file values by pattern ([more](files.md#cache-control))",
    reload: "switch",
    site: true,
    elsewhere: ["expires", "maxage"],
  },
  /** Whether `about.html` also answers `/about`; `"redirect"` sends `/about.html` there. Default: on. */
  cleanUrls: {
    field: "cleanUrls",
    type: orWord("redirect", onOff()),
    default: "on",
    help: "/about is about.html: on, off, redirect",
    docs: "whether `/about` is `about.html`; `redirect`: and `/about.html` goes there ([more](files.md#pages))",
    reload: "switch",
    site: true,
    elsewhere: ["tryfiles", "extensions", "prettyurls", "cleanurl"],
  },
  /** Slash at the end of the paths of pages: `"auto"` (folders have it, other pages do not), `"always"` or `"never"`. Default: `"auto"`. */
  trailingSlash: {
    field: "trailingSlash",
    type: oneOf("auto", "always", "never"),
    placeholder: "HOW",
    default: "auto",
    help: "slash of pages: auto, always or never",
    docs: "slash at the end of the paths of pages: `auto` (folders have it, other pages do not), `always` or `never`",
    reload: "switch",
    site: true,
    elsewhere: ["trailingslashes"],
  },
  /** One page for all paths of an application in the browser: `true` is `index.html`, or the name of another file. It answers requests for HTML that neither a file nor a route answers. Default: off. */
  spa: {
    field: "spa",
    type: onOffOrPage(),
    default: "off",
    help: "one page for all paths: on, off or its file",
    docs: "one page for all paths of a single-page application: `on` (`index.html`), `off`, or its file ([more](files.md#single-page-applications))",
    reload: "switch",
    site: true,
    elsewhere: ["single", "fallback", "historyapifallback"],
  },
  /** Whether a folder without an index page is listed. Default: off. */
  listing: {
    field: "listing",
    type: onOff(),
    default: "off",
    help: "list folders without an index page",
    docs: "whether a folder without an index page is listed ([more](files.md#listings))",
    reload: "switch",
    site: true,
    elsewhere: ["autoindex", "directorylisting", "browse", "dirlisting"],
  },
  /** Whether text is compressed: answers of handlers and applications for each client, files once. Default: on. */
  compression: {
    field: "compression",
    type: onOff(),
    default: "on",
    help: "compress text: on or off",
    docs: "whether text is compressed: answers of handlers, of applications, and files ([more](compression.md))",
    reload: "pools",
    elsewhere: ["gzip", "brotli", "compress", "encode", "zstd"],
  },
  /** How much time a compression takes for how few bytes: `"fast"`, `"balanced"` or `"best"`. Default: `"balanced"`. */
  compressionLevel: {
    field: "compressionLevel",
    type: oneOf("fast", "balanced", "best"),
    placeholder: "LEVEL",
    default: "balanced",
    help: "fast, balanced or best",
    docs: "time for few bytes: `fast`, `balanced` or `best` ([more](compression.md#levels))",
    reload: "pools",
    elsewhere: ["gzipcomplevel", "brotlicomplevel"],
  },
  /** A larger request body goes to a worker while it comes, or to disk until it is complete. Default: `"stream"`. */
  bodyOverflow: {
    field: "bodyOverflow",
    type: oneOf("stream", "spool"),
    placeholder: "HOW",
    // nginx: proxy_request_buffering on; see runtime/decisions/006
    default: "stream",
    help: "larger request bodies: stream or spool",
    docs: "a larger request body: `stream` to a worker, or `spool` to disk until complete",
    reload: "switch",
    site: true,
    handler: "overflow",
  },
  /** When a client reads slower than the handler writes, the handler waits, or the rest goes to disk. Default: `"wait"`. */
  responseOverflow: {
    field: "responseOverflow",
    type: oneOf("wait", "spool"),
    placeholder: "HOW",
    // nginx: proxy_max_temp_file_size 1024m
    default: "wait",
    help: "handlers of slow clients: wait or spool",
    docs: "when the client is slower than the handler: `wait`, or `spool` to disk",
    reload: "switch",
    site: true,
    handler: "responseOverflow",
  },
  /** Largest size of all bodies on disk together. Above it the server answers 503. Default: `"1gb"`. */
  spoolLimit: {
    field: "spoolLimitBytes",
    type: size(64 * 1024, 1024 ** 4, "1gb"),
    // nginx has a limit per response only
    default: "1gb",
    help: "largest size of all spooled bodies",
    docs: "largest size of all bodies on disk together",
    reload: "restart",
  },
  /** Largest request head: request line and fields. Default: `"16kb"`. */
  headerLimit: {
    field: "headerLimitBytes",
    type: size(1024, 1024 ** 2, "16kb"),
    // Node's own; nginx allows 8k per line, and cookies exceed 4k in practice
    default: "16kb",
    help: "largest request head",
    docs: "largest request head: request line and fields",
    // uWebSockets.js reads it when it is loaded, which is once.
    reload: "restart",
    elsewhere: ["largeclientheaderbuffers"],
  },
  /** Most fields of a request; above it the answer is 431. Default: 98, the largest possible value. */
  headerCountLimit: {
    field: "headerCountLimit",
    type: wholeNumber(1, MOST_FIELDS),
    // the library's own bound; Apache: LimitRequestFields 100
    default: "98",
    help: "most fields of a request",
    docs: "fields of a request; more are answered 431",
    reload: "switch",
    elsewhere: ["limitrequestfields"],
  },
  /** Longest path and query; above it the answer is 414. Default: `"8kb"`. */
  urlLimit: {
    field: "urlLimitBytes",
    type: size(64, 1024 ** 2, "8kb"),
    // nginx: large_client_header_buffers 4 8k
    default: "8kb",
    help: "longest path and query",
    docs: "longest path and query; above it the answer is 414",
    reload: "switch",
    elsewhere: ["limitrequestline"],
  },
  /** Most client connections at one time. Default: 10000. */
  maxConnections: {
    field: "maxConnections",
    type: wholeNumber(1, 1_000_000),
    default: "10000",
    help: "most client connections",
    docs: "client connections; more are closed as they come",
    reload: "switch",
    elsewhere: ["maxconns"],
  },
  /** Most requests that handlers have or that wait for them, or `"off"`; above it the answer is 503. Default: `"off"`. */
  maxRequests: {
    field: "maxRequests",
    type: orOff(wholeNumber(1, 1_000_000)),
    // no more than connections
    default: "off",
    help: "most requests in handlers or waiting",
    docs: "requests that handlers have or that wait for one; more are answered 503",
    reload: "switch",
  },
  /** Most requests of one client address at a time, or `"off"`; above it the answer is 429. Default: `"off"`. */
  maxRequestsPerAddress: {
    field: "maxRequestsPerAddress",
    type: orOff(wholeNumber(1, 1_000_000)),
    // many share an address: behind a proxy, in an office
    default: "off",
    help: "most requests of a client at a time",
    docs: "requests of one client address at a time; more are answered 429",
    reload: "switch",
    elsewhere: ["limitconn"],
  },
  /**
   * Proxies in front of this server whose forwarding fields (`X-Forwarded-For` and others) name the client: a list of addresses, ranges
   * (`"10.0.0.0/8"`) and the words `"loopback"` and `"private"`. Other senders of such fields are not believed. Default: `"off"`.
   */
  trustedProxies: {
    field: "trustedProxies",
    type: orOff(addressList()),
    // nginx: set_real_ip_from; gunicorn: forwarded_allow_ips 127.0.0.1
    default: "off",
    help: "proxies that may name the client",
    docs: "addresses and ranges of the proxies that may name the client, its scheme and its host, separated by commas; `loopback`, `private`; `off`: none ([more](http.md#behind-a-proxy))",
    // Workers take request ids from trusted proxies only.
    reload: "pools",
    elsewhere: ["trustproxy", "setrealipfrom", "forwardedallowips", "proxyallowips"],
  },
  /** Fields with which those proxies name the client: `"x-forwarded"` (`X-Forwarded-For`, `-Proto`, `-Host`, `-Port`) or `"forwarded"` (RFC 7239). The server drops the other kind. Default: `"x-forwarded"`. */
  trustedProxyFields: {
    field: "trustedProxyFields",
    type: oneOf("x-forwarded", "forwarded"),
    placeholder: "KIND",
    default: "x-forwarded",
    help: "fields: x-forwarded or forwarded",
    docs: "the fields with which they do: `x-forwarded` (`X-Forwarded-For`, `-Proto`, `-Host`, `-Port`) or `forwarded` (RFC 7239)",
    reload: "switch",
    elsewhere: ["realipheader"],
  },
  /** Most requests that one worker has at a time, if it answers quickly enough. Default: 1000. */
  workerConcurrency: {
    field: "workerConcurrency",
    type: wholeNumber(1, 100_000),
    // gunicorn: worker_connections 1000
    default: "1000",
    help: "most requests of a worker at a time",
    docs: "requests of one worker at a time, at most ([streams](http.md#streams-and-places))",
    // Each pool may have its own: see `planPools`.
    reload: "switch",
    elsewhere: ["workerconnections"],
  },
  /** Most requests that wait for a worker; above it the answer is 503. Default: 10000. */
  queueLimit: {
    field: "queueLimit",
    type: wholeNumber(0, 1_000_000),
    // no more than connections: the wait bounds the queue
    default: "10000",
    help: "most requests that wait for a worker",
    docs: "requests that wait for a worker; more are answered 503",
    reload: "pools",
    elsewhere: ["backlog"],
  },
  /** Longest wait for a worker that may be expected: above it the answer is 503 at once. 0 is never. Default: `"500ms"`. */
  queueDelay: {
    field: "queueDelayMs",
    type: duration(0, 3_600_000, "any"),
    default: "500ms",
    help: "longest expected wait for a worker",
    docs: "longest wait for a worker that may be expected; above it 503 at once; `0s`: any",
    reload: "pools",
  },
  /** Longest wait for a worker; after it the answer is 503. Default: `"10s"`. */
  queueTimeout: {
    field: "queueTimeoutMs",
    type: duration(1, 3_600_000),
    // longer than it takes to replace a worker
    default: "10s",
    help: "longest wait for a worker",
    docs: "longest wait for a worker, also while no worker is ready; after it 503",
    reload: "pools",
  },
  /** Path that the server itself answers: 200 while it can serve, otherwise 503; or `"off"`. Default: `"off"`. */
  healthPath: {
    field: "healthPath",
    type: orOff(urlPath()),
    default: "off",
    help: "path that reports whether it serves",
    docs: "path that the server answers itself, such as `/healthz`: 200 or 503",
    reload: "switch",
  },
  /**
   * Address for operators: metrics and health, apart from all sites: `"127.0.0.1:9090"`, a port number (of this machine alone), or
   * `"unix:/run/edgicorn/admin.sock"`. Default: `"off"`.
   */
  admin: {
    field: "admin",
    type: orOff(adminAddress()),
    default: "off",
    help: "address for operators: metrics and health",
    docs: "address for operators, apart from all sites: `127.0.0.1:9090`, a port (of this machine alone), or `unix:` and a path ([more](operations.md#the-admin-listener))",
    reload: "restart",
    elsewhere: [
      "adminport",
      "adminlisten",
      "stubstatus",
      "managementport",
      "metricsport",
      "metrics",
    ],
  },
  /** Token that the admin listener asks for, at least 16 characters, or `"file:/run/secrets/admin-token"`. Without it, `admin` must be an address of this machine. Default: `"off"`. */
  adminToken: {
    field: "adminTokenDigest",
    type: orOff(adminToken()),
    default: "off",
    help: "token for it: file:PATH",
    docs: "token that the admin listener asks for, at least 16 characters (not as a flag), or `file:` and a path; without it, `admin` must be an address of this machine",
    reload: "switch",
    elsewhere: ["adminkey", "adminsecret", "adminpassword"],
  },
  /**
   * Upper bounds of the buckets of histograms at `/metrics`, ascending: `["5ms", "25ms", "100ms", "1s", "10s"]`.
   * Default: 15 bounds from 1 ms to 1 min.
   */
  metricsBuckets: {
    field: "metricsBucketsMs",
    type: metricsBuckets(),
    default: "1ms,2.5ms,5ms,10ms,25ms,50ms,100ms,250ms,500ms,1s,2.5s,5s,10s,30s,1m",
    help: "bounds of histograms at /metrics",
    docs: "upper bounds of the buckets of histograms at `/metrics`, ascending ([more](metrics.md#buckets))",
    reload: "switch",
    elsewhere: ["buckets", "timebuckets", "histogrambuckets", "latencybuckets", "durationbuckets"],
  },
  /** Whether each answer tells by the field `Server-Timing` where its time went. All visitors see it. Default: off. */
  serverTiming: {
    field: "serverTiming",
    type: onOff(),
    default: "off",
    help: "answers tell where their time went",
    docs: "whether each answer has the field `Server-Timing`: queue, channel, handler, cache, upstream ([more](operations.md#server-timing)). All visitors see it",
    // Workers measure their handlers.
    reload: "pools",
  },
  /** Whether this server runs handlers at the times of their `config.schedule`. Default: on. */
  cron: {
    field: "cron",
    type: onOff(),
    default: "on",
    help: "run scheduled() of handlers at their times",
    docs: "whether this server runs `scheduled()` of handlers at the times of `config.schedule` ([more](handlers.md#at-times)). Several servers with the same handlers need `cronStore`, or one of them should",
    reload: "switch",
  },
  /** Whether this server gives messages of queues to handlers with `queue()`. Default: on. */
  queues: {
    field: "queues",
    type: onOff(),
    default: "on",
    help: "run queue() of handlers for messages",
    docs: "whether this server gives messages to `queue()` of handlers ([more](queues.md)). Handlers can send messages in both cases",
    reload: "switch",
  },
  /** A key of `stores` with Redis: servers that share it do each run once. Default: `"off"`, each server does all runs. */
  cronStore: {
    field: "cronStore",
    type: orOff(storeName()),
    default: "off",
    help: "store that decides which server does a run",
    docs: "a key of [`stores`](bindings.md#redis-and-valkey) with Redis or Valkey: of all servers that share it, one does each run ([more](handlers.md#on-several-machines))",
    reload: "switch",
  },
  /** A key of `stores` with Redis: servers that share it pass messages of topics and purges on to each other, and their rate limits act as one. Default: `"off"`. */
  relayStore: {
    field: "relayStore",
    type: orOff(storeName()),
    default: "off",
    help: "store that joins several servers",
    docs: "a key of [`stores`](bindings.md#redis-and-valkey) with Redis or Valkey: servers that share it pass [messages of topics and purges](operations.md#several-machines) on to each other, and their [rate limits](limits.md#ratelimit) act as one",
    reload: "switch",
  },
  /** Token for one such answer, which a request has in the field `x-edgicorn-timing`: a text of at least 16 characters, or `"file:"` and a path; or `"off"`. Default: `"off"`. */
  serverTimingToken: {
    field: "serverTimingTokenDigest",
    type: orOff(adminToken()),
    default: "off",
    help: "token for it: file:PATH",
    docs: "token with which a request gets this field, in its own field `x-edgicorn-timing`: at least 16 characters (not as a flag), or `file:` and a path",
    reload: "pools",
  },
  /** URL of an OpenTelemetry collector, which gets the traces of requests over OTLP/HTTP: `"http://127.0.0.1:4318"`; or `"off"`. Default: `"off"`. */
  otlp: {
    field: "otlp",
    type: orOff(otlpEndpoint()),
    default: "off",
    help: "OpenTelemetry collector for traces",
    docs: "URL of an OpenTelemetry collector, which gets the traces of requests over OTLP/HTTP ([more](tracing.md)); `off`: requests are not traced",
    // Workers run handlers within their traces.
    reload: "pools",
    elsewhere: ["opentelemetry", "otel", "otelexporter", "tracing"],
  },
  /** Share of the traces that are sent, from 0 to 1. A trusted proxy decides about its own. Default: 1. */
  traceSample: {
    field: "traceSample",
    type: share(),
    default: "1",
    help: "share of the traces that are sent",
    docs: "share of the traces that are sent, from `0` to `1`; a trusted proxy that sends `traceparent` decides itself",
    reload: "switch",
    elsewhere: ["otelsample", "sampler", "samplingratio"],
  },
  /** Path of liveness probes, such as `/livez`: 200 while the primary runs, also without workers; or `"off"`. Default: `"off"`. */
  livePath: {
    field: "livePath",
    type: orOff(urlPath()),
    default: "off",
    help: "path of liveness probes",
    docs: "path of liveness probes, such as `/livez`: 200 while the primary runs, also without workers ([more](operations.md#health-checks))",
    reload: "switch",
    elsewhere: ["livenesspath", "livez"],
  },
  /** Path of readiness probes, such as `/readyz`: 200 while each pool that is not `optional` has a ready worker, 503 otherwise and while the server drains; or `"off"`. Default: `"off"`. */
  readyPath: {
    field: "readyPath",
    type: orOff(urlPath()),
    default: "off",
    help: "path of readiness probes",
    docs: "path of readiness probes, such as `/readyz`: 200 while each pool that is not `optional` has a ready worker; 503 otherwise, and while the server drains ([more](operations.md#health-checks))",
    reload: "switch",
    elsewhere: ["readinesspath", "readyz"],
  },
  /** How long a stopping server still accepts connections while its health checks fail, so that a load balancer takes it out first. Default: `"0s"`. */
  shutdownDelay: {
    field: "shutdownDelayMs",
    type: duration(0, 3_600_000),
    default: "0s",
    help: "time to accept on after SIGTERM",
    docs: "how long a stopping server still accepts connections while its health checks answer 503, so that a load balancer takes it out first; `drainGrace` begins after it",
    reload: "switch",
    elsewhere: ["prestop", "terminationdelay", "lameduck"],
  },
  /** How long a handler may take to the first byte of its response; after it the answer is 504. Default: `"60s"`. */
  requestTimeout: {
    field: "requestTimeoutMs",
    type: duration(1, 24 * 3_600_000),
    // nginx: proxy_read_timeout 60s
    default: "60s",
    help: "longest time to the first byte of a response",
    docs: "longest time until the first byte of a handler's response; after it the answer is 504",
    reload: "switch",
    site: true,
    handler: "timeoutMs",
    elsewhere: ["timeout", "proxyreadtimeout"],
  },
  /** Longest time for the head of a request, and for a TLS handshake; then the answer is 408. Only for the Node engine. Default: `"60s"`. */
  headTimeout: {
    field: "headTimeoutMs",
    type: duration(1_000, 24 * 3_600_000),
    // nginx: client_header_timeout 60s
    default: "60s",
    help: "longest time for a head (Node engine)",
    docs: "longest time for the head of a request, and for a TLS handshake; with uWebSockets.js always 8 to 12 s ([more](http.md#engines))",
    reload: "switch",
    elsewhere: ["clientheadertimeout", "headerstimeout", "sslhandshaketimeout"],
  },
  /** Longest time that a connection stays open without a request. Only for the Node engine. Default: `"75s"`. */
  keepAliveTimeout: {
    field: "keepAliveTimeoutMs",
    type: duration(1_000, 24 * 3_600_000),
    // nginx: keepalive_timeout 75s
    default: "75s",
    help: "longest time without a request (Node engine)",
    docs: "longest time that a connection stays open without a request; with uWebSockets.js always 8 to 12 s ([more](http.md#engines))",
    reload: "switch",
    elsewhere: ["keepalive"],
  },
  /** Longest pause within a request body; then the answer is 408. 0 is none. Default: `"60s"`. */
  bodyTimeout: {
    field: "bodyTimeoutMs",
    type: duration(0, 24 * 3_600_000, "none"),
    // nginx: client_body_timeout 60s
    default: "60s",
    help: "longest pause within a request body",
    docs: "longest pause within a request body; `0s`: none",
    reload: "switch",
    site: true,
    handler: "bodyTimeoutMs",
    elsewhere: ["clientbodytimeout"],
  },
  /** Least bytes of a request body for each second after its first 10. 0 is none. Default: 240. */
  minBodyRate: {
    field: "minBodyRateBytesPerSecond",
    type: size(0, 1024 ** 3, "240"),
    expected: 'a size per second, such as "240" or "1kb", 0 for none',
    // Kestrel: 240 bytes/s
    default: "240",
    help: "least of a request body, SIZE per second",
    docs: "least bytes a second of a request body, a size; `0`: none",
    reload: "switch",
    site: true,
    handler: "minBodyRateBytesPerSecond",
  },
  /** How long a client may take nothing of its response before it is cut off. 0 is never. Default: `"60s"`. */
  sendTimeout: {
    field: "sendTimeoutMs",
    type: duration(0, 24 * 3_600_000, "none"),
    // nginx: send_timeout 60s
    default: "60s",
    help: "longest time a client takes nothing",
    docs: "longest time in which a client takes nothing of its response; `0s`: none",
    reload: "switch",
    site: true,
    handler: "sendTimeoutMs",
  },
  /** Most WebSockets of handlers at a time; further ones are refused with 503. Default: `"off"`. */
  maxWebSockets: {
    field: "maxWebSockets",
    type: orOff(wholeNumber(1, 10_000_000)),
    default: "off",
    help: "most WebSockets of handlers at a time",
    docs: "most WebSockets of handlers at a time; further ones are answered 503; `off`: `maxConnections` alone counts",
    reload: "switch",
    elsewhere: ["wsmaxconnections"],
  },
  /** Origins whose pages may open WebSockets of handlers: `"same"` (those of the host itself), `"any"`, or a list such as `["https://example.com"]`. Default: `"same"`. */
  webSocketOrigins: {
    field: "webSocketOrigins",
    type: webSocketOrigins(),
    default: "same",
    help: "pages that may open WebSockets",
    docs: "origins whose pages may open WebSockets of handlers: `same` (those of the host itself), `any`, or a list such as `https://example.com,https://example.org`; others are answered 403 ([more](websockets.md))",
    reload: "switch",
    site: true,
    handler: "webSocketOrigins",
    elsewhere: ["allowedorigins", "checkorigin", "corsallowedorigins"],
  },
  /** Largest message of a client over a WebSocket of a handler. Default: `"1mb"`. */
  webSocketMessageLimit: {
    field: "webSocketMessageLimitBytes",
    type: size(1, 8 * 1024 ** 2, "1mb"),
    // ws: maxPayload 100 MiB; uvicorn: --ws-max-size 16 MiB
    default: "1mb",
    help: "largest message of a WebSocket",
    docs: "largest message of a client over a WebSocket of a handler; a larger one closes it (1009)",
    reload: "switch",
    site: true,
    handler: "webSocketMessageLimitBytes",
    elsewhere: ["maxpayload", "maxpayloadlength", "wsmaxsize", "maxhttpbuffersize"],
  },
  /** How much may wait for a slow client of a WebSocket, and how many bytes of its messages for their handler. Default: `"1mb"`. */
  webSocketBuffer: {
    field: "webSocketBufferBytes",
    type: size(1024, 1024 ** 3, "1mb"),
    default: "1mb",
    help: "bytes that may wait, for each WebSocket",
    docs: "bytes that may wait for a slow client of a WebSocket, and bytes of its messages that may wait for their handler; more closes it (1013)",
    reload: "switch",
    site: true,
    handler: "webSocketBufferBytes",
    elsewhere: ["maxbackpressure", "backpressurelimit", "wsmaxqueue"],
  },
  /** Silence after which the server pings the client of a WebSocket. A client that misses two pings is cut off. Default: `"25s"`. */
  webSocketPing: {
    field: "webSocketPingMs",
    type: duration(1_000, 600_000),
    // Balancers cut silent connections after 60 s; uvicorn: --ws-ping-interval 20
    default: "25s",
    help: "silence before a WebSocket is pinged",
    docs: "silence after which the server pings the client of a WebSocket of a handler; a client that misses two pings is cut off (1006)",
    reload: "switch",
    site: true,
    handler: "webSocketPingMs",
    elsewhere: ["wspinginterval", "pinginterval", "heartbeat"],
  },
  /** How long a WebSocket may be without a message of its client; then it is closed. 0 is any time. Default: `"0s"`. */
  webSocketIdleTimeout: {
    field: "webSocketIdleTimeoutMs",
    type: orZero(duration(1_000, 7 * 24 * 3_600_000)),
    default: "0s",
    help: "longest time without a message; 0: any",
    docs: "longest time without a message of the client of a WebSocket of a handler; then it is closed (1001); `0s`: any time",
    reload: "switch",
    site: true,
    handler: "webSocketIdleTimeoutMs",
  },
  /** Whether messages of WebSockets of handlers are compressed, for clients that ask for it: permessage-deflate. Default: off. */
  webSocketCompression: {
    field: "webSocketCompression",
    type: onOff(),
    // nginx passes it on; ws: perMessageDeflate false; uvicorn: --ws-per-message-deflate true
    default: "off",
    help: "compress messages of WebSockets: on or off",
    docs: "whether messages of WebSockets of handlers are compressed, for clients that ask for it ([more](websockets.md#compression))",
    reload: "restart",
    elsewhere: ["permessagedeflate", "wspermessagedeflate", "websocketcompress"],
  },
  /** How long the server refuses a request that makes workers crash or hang. 0 is never. Default: `"60s"`. */
  quarantine: {
    field: "quarantineMs",
    type: duration(0, 24 * 3_600_000, "never"),
    default: "60s",
    help: "time to refuse requests that kill workers",
    docs: "how long the server refuses a request that makes workers crash or hang; `0s`: never",
    reload: "pools",
  },
  /** How long requests in flight may finish when the server stops. Default: `"30s"`. */
  drainGrace: {
    field: "drainGraceMs",
    type: duration(0, 3_600_000),
    // gunicorn: graceful_timeout 30
    default: "30s",
    help: "time to finish when stopping",
    docs: "time to finish requests in flight when the server stops",
    reload: "switch",
    elsewhere: ["gracefultimeout", "killtimeout"],
  },
  /** How long a worker may take to load the handlers. Default: `"30s"`. */
  bootTimeout: {
    field: "bootTimeoutMs",
    type: duration(100, 3_600_000),
    // gunicorn: timeout 30
    default: "30s",
    help: "time for a worker to start",
    docs: "time for a worker to load the handlers",
    reload: "pools",
  },
  /** How long the event loop of a worker may be blocked; then the worker is killed and replaced. 0 is any time. Default: `"30s"`. */
  hangTimeout: {
    field: "hangTimeoutMs",
    type: orZero(duration(100, 3_600_000)),
    // gunicorn: timeout 30, for workers that are silent
    default: "30s",
    help: "how long a handler may block its worker",
    docs: "how long a handler may block its worker; then the worker is killed; `0s`: any time",
    reload: "pools",
  },
  /** How long a handler may block its worker before the log names it, with file, line and stack; the worker goes on. 0 is never. Default: `"1s"`. */
  blockWarn: {
    field: "blockWarnMs",
    type: orZero(duration(100, 3_600_000)),
    default: "1s",
    help: "how long it may before the log names it",
    docs: "how long a handler may block its worker before the log names file and line, at most once a minute for each worker; the worker goes on ([more](operations.md#blocked-workers)); `0s`: never",
    reload: "pools",
    elsewhere: ["blockedat", "eventlooplag", "maxeventloopdelay"],
  },
  /** How many of the last requests a reload repeats with the new workers, which must not fail where the old ones did not. Only GETs without query, cookie and credentials count. 0 is none. Default: 0. */
  reloadProbe: {
    field: "reloadProbe",
    type: wholeNumber(0, 1000),
    expected: "a whole number from 0, for none, to 1000",
    default: "0",
    help: "recent GETs tried on new workers",
    docs: "number of recent GETs that a reload tries on the new workers ([below](#reloads)); `0`: none",
    reload: "switch",
  },
  /** Builds of the handlers that stay on disk, to go back to. Default: 5. */
  keepGenerations: {
    field: "keepGenerations",
    type: wholeNumber(1, 100),
    // enough to go back over a bad day
    default: "5",
    help: "builds of the handlers that stay on disk",
    docs: "builds of the handlers that stay on disk; the one that a rollback goes to stays besides (in `dev`, the one of the last `start`)",
    reload: "switch",
  },
  /** One log line per request: in the log, in a file of their own, or none. Default: on. */
  accessLog: {
    field: "accessLog",
    type: onOffOrFile(),
    default: "on",
    help: "one log line per request, where",
    docs: "one line per request: `on` (in the log), `off`, or a file ([more](operations.md#logs))",
    reload: "switch",
    site: true,
    isPath: true,
    elsewhere: ["accesslogfile"],
  },
  /** Form of access lines: `"json"`, `"combined"` (Nginx's and Apache's), or a text with Nginx's variables, such as `'$remote_addr "$request" $status'`. Default: `"json"`. */
  accessLogFormat: {
    field: "accessLogFormat",
    type: accessFormat(),
    // nginx: log_format
    default: "json",
    help: "json, combined, or a text with variables",
    docs: "`json`, `combined` (Nginx's and Apache's), or a text with Nginx's variables ([more](operations.md#access-lines))",
    reload: "switch",
    site: true,
  },
  /** Statuses of answers that get an access line: a list such as `["4xx", "5xx", "301"]`, or `"all"`. Default: `"all"`. */
  accessLogStatus: {
    field: "accessLogStatus",
    type: orAll(statusList()),
    // nginx: access_log ... if=$loggable
    default: "all",
    help: "statuses that get a line: 4xx,5xx",
    docs: "statuses and classes of the answers that get a line: `4xx,5xx`; `all`",
    reload: "switch",
    site: true,
  },
  /** Patterns of paths without access lines: `["/healthz", "/assets/**"]`, or `"off"`. Default: `"off"`. */
  accessLogSkip: {
    field: "accessLogSkip",
    type: orOff(patternList()),
    default: "off",
    help: "paths without access lines",
    docs: "patterns of paths without access lines, separated by commas: `/healthz,/assets/**`; `off`: none",
    reload: "switch",
    site: true,
  },
  /** Share of the answers below status 400 that get an access line, from 0 to 1. Answers of 400 and above always get one. Default: 1. */
  accessLogSample: {
    field: "accessLogSample",
    type: share(),
    default: "1",
    help: "share of the good answers with a line",
    docs: "share of the answers below 400 that get a line, from `0` to `1`; other answers always get one",
    reload: "switch",
    site: true,
  },
  /** Names of query parameters whose values no log line has. A name also matches as a word of a longer one: `token` in `access_token`. Default: `token`, `key`, `password` and others. */
  redactQuery: {
    field: "redactQuery",
    type: nameList(),
    default: DEFAULT_SECRET_NAMES.join(","),
    help: "query parameters that no log line has",
    docs: "names of query parameters whose values no log line has; also as words of longer names: `token` in `access_token`",
    // Workers write log lines too.
    reload: "pools",
  },
  /** Fields of access lines: `"combined"` has referer and user agent too. Default: `"combined"`. */
  accessLogFields: {
    field: "accessLogFields",
    type: oneOf("common", "combined"),
    // nginx: log_format combined
    default: "combined",
    help: "combined: referer and user agent too",
    docs: "`combined`: with referer and user agent; `common`: without",
    reload: "switch",
    site: true,
  },
  /** Whether access lines have queries, which may hold tokens. Default: off. */
  accessLogQuery: {
    field: "accessLogQuery",
    type: onOff(),
    // nginx logs it; it may hold tokens
    default: "off",
    help: "access lines have the query too",
    docs: "whether access lines have the query, which may hold tokens",
    reload: "switch",
    site: true,
  },
  /** Least important messages that are logged. Default: `"info"`. */
  logLevel: {
    field: "logLevel",
    type: oneOf("trace", "debug", "info", "warn", "error", "fatal", "silent"),
    placeholder: "LEVEL",
    default: "info",
    help: "trace, debug, info, warn, error ...",
    docs: "`trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`",
    reload: "pools",
  },
  /** Lines for people, or JSON; `"auto"` is for people on a terminal. Default: `"auto"`. */
  logFormat: {
    field: "logFormat",
    type: oneOf("auto", "pretty", "json"),
    placeholder: "FORMAT",
    default: "auto",
    help: "auto, pretty or json",
    docs: "`json`, `pretty`, or `auto`: pretty on a terminal",
    // A destination keeps the form with which it was opened.
    reload: "restart",
  },
  /** File for the log, in JSON, or `"off"`: standard error. Default: `"off"`. */
  logFile: {
    field: "logFile",
    type: orOff(logFile()),
    default: "off",
    help: "file for the log, in JSON",
    docs: "file for the log, in JSON; `off`: standard error ([more](operations.md#logs))",
    reload: "restart",
    isPath: true,
    elsewhere: ["errorlog", "errorlogfile"],
  },
  /**
   * The program that holds the connections: `"uws"` (uWebSockets.js), `"node"` (Node's own sockets), or `"auto"`, which is
   * uWebSockets.js where a binary of it loads, else Node. For each port: `{ http: "uws", https: "node" }`. Default: `"auto"`.
   */
  engine: {
    field: "engine",
    type: engineSetting(),
    // runtime/decisions/060
    default: "auto",
    help: "engine of the ports: auto, uws or node",
    docs: "holder of the connections: `uws` (uWebSockets.js), `node` (Node's own sockets), or `auto`, which is `uws` where a binary loads, else `node`; for each port: `http=uws,https=node` ([more](http.md#engines))",
    // The listeners belong to it.
    reload: "restart",
  },
  /** HTTP/2 beside HTTP/1 on the HTTPS port, for clients that ask for it. The Node engine then has this port. Default: off. */
  http2: {
    field: "http2",
    type: onOff(),
    // nginx: http2 off
    default: "off",
    help: "HTTP/2 on the HTTPS port",
    docs: "HTTP/2 beside HTTP/1 on the HTTPS port, which the Node engine then has ([more](http.md#http2))",
    // The listeners belong to it.
    reload: "restart",
  },
  /** HTTP/2 without TLS on the HTTP port, for clients that begin with it. The Node engine then has this port. Default: off. */
  h2c: {
    field: "h2c",
    type: onOff(),
    default: "off",
    help: "HTTP/2 without TLS on the HTTP port",
    docs: "HTTP/2 without TLS on the HTTP port, for clients that begin with it (prior knowledge); the Node engine then has this port",
    reload: "restart",
  },
  /** Most streams of an HTTP/2 connection at a time. Default: 128. */
  maxConcurrentStreams: {
    field: "maxConcurrentStreams",
    type: wholeNumber(1, 10_000),
    // nginx: http2_max_concurrent_streams 128
    default: "128",
    help: "most streams of an HTTP/2 connection",
    docs: "most streams of an HTTP/2 connection at a time",
    reload: "restart",
    elsewhere: ["http2maxconcurrentstreams"],
  },
  /** The package whose binary of uWebSockets.js is loaded; `"auto"`: the preferred one that loads, see `docs/dependencies.md`. Default: `"auto"`. */
  uws: {
    field: "uws",
    type: oneOf("auto", "uWebSockets.js", "@btc-vision/uwebsockets.js", "uws-pack"),
    placeholder: "PACKAGE",
    // runtime/decisions/033
    default: "auto",
    help: "package whose uWebSockets.js is loaded",
    docs: "package whose uWebSockets.js is loaded ([more](dependencies.md#uwebsocketsjs))",
    // A library cannot be unloaded.
    reload: "restart",
  },
  /** Folder for compiled handlers, spooled bodies and the control socket. Default: `.edgicorn`. */
  stateDir: {
    field: "stateDir",
    type: folder(),
    default: ".edgicorn",
    help: "folder for compiled handlers",
    docs: "folder for compiled handlers and spooled bodies",
    // Leases and the control socket are there.
    reload: "restart",
    isPath: true,
  },
  /** File for the process id of the server, or `"off"`. Default: `"off"`. */
  pidFile: {
    field: "pidFile",
    type: orOff(anyFile()),
    default: "off",
    help: "file for the process id of the server",
    docs: "file for the process id of the server, in a folder that exists; `off`: none",
    // Other programs have found the server by it.
    reload: "restart",
    isPath: true,
    elsewhere: ["pid"],
  },
  /** User as which a server runs that root starts, by name or number; or `"off"`. Its ports may still be below 1024. Default: `"off"`. */
  user: {
    field: "user",
    type: orOff(accountName()),
    // gunicorn: the user that starts it
    default: "off",
    help: "user to run as, when root starts it",
    docs: "user as which a server runs that root starts, by name or number ([more](deploy.md#root-and-other-users)); `off`: the user that starts it",
    reload: "restart",
    elsewhere: ["uid", "username", "runas", "setuid"],
  },
  /** Group for `user`, by name or number; `"off"`: its own group. Default: `"off"`. */
  group: {
    field: "group",
    type: orOff(accountName()),
    default: "off",
    help: "group to run as, beside user",
    docs: "group for `user`, by name or number; `off`: the user's own group",
    reload: "restart",
    elsewhere: ["gid", "setgid"],
  },
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

/** Settings that a site may have for itself. */
export type SiteSettingName = {
  [Name in SettingName]: (typeof SETTINGS)[Name] extends { site: true } ? Name : never;
}[SettingName];

/** Type of a setting's value once it is checked. */
export type SettingValue<Name extends SettingName> =
  (typeof SETTINGS)[Name]["type"] extends SettingType<unknown, infer Value> ? Value : never;

/** Type of a setting's value in the config file. */
export type SettingInput<Name extends SettingName> =
  (typeof SETTINGS)[Name]["type"] extends SettingType<infer Input, unknown> ? Input : never;

type IsAutomatic<Name extends SettingName> = (typeof SETTINGS)[Name] extends { isAutomatic: true }
  ? true
  : false;

/** The checked values of all settings, by their names in `Config`. Paths are absolute. */
export type SettingFields = {
  readonly [
    Name in keyof typeof SETTINGS as (typeof SETTINGS)[Name]["field"]
  ]: IsAutomatic<Name> extends true ? number : SettingValue<Name>;
};

/** Every setting, in the order of the help text. */
// `Object.keys` gives the keys of the table as plain strings.
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** The settings that a site may have for itself. */
// The filter leaves exactly the names whose entries have `site`.
export const SITE_SETTING_NAMES = SETTING_NAMES.filter(
  (name) => settingOf(name).site === true,
) as readonly SiteSettingName[];

/** Returns the entry of a setting, with the members that not every entry has. */
export function settingOf(name: SettingName): Setting {
  return SETTINGS[name];
}

/** Returns the placeholder of a setting's value, such as `PORT|off`. */
export function placeholderOf(name: SettingName): string {
  const { placeholder, type } = settingOf(name);
  return placeholder ?? type.placeholder;
}

/** Returns the end of the sentence "found x, expected ...". */
export function expectedOf(name: SettingName): string {
  const { expected, type } = settingOf(name);
  return expected ?? type.expected;
}

/** `bodyLimit` -> `body-limit`. */
export function flagName(setting: SettingName): string {
  return setting.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `bodyLimit` -> `EDGICORN_BODY_LIMIT`. */
export function environmentName(setting: SettingName): string {
  return `EDGICORN_${flagName(setting).replaceAll("-", "_").toUpperCase()}`;
}
