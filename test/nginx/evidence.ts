import type { QUESTIONS } from "./requests.ts";

/** Shows that a row of docs/nginx.md is true. */
export type Evidence =
  /** Requests of this group are asked of Nginx, whose configuration has the directive, and of Edgicorn. */
  | { compared: (typeof QUESTIONS)[number]["group"] }
  /** The file has a test with this title, or a table of cases with this text. */
  | { test: string; title: string }
  /** The row promises nothing that a test could show. */
  | { reason: string };

const NOTHING_TO_SET = { reason: "the row names no setting and promises no behaviour" };
const NOT_BUILT = { reason: "the row says that it is not possible yet" };
const OTHER_PROGRAM = { reason: "the row names another program that does it" };
const OWN_CODE = { reason: "the row leaves it to code of the user" };

/** Evidence for each row of the table of directives, by the first directive of the row. */
export const EVIDENCE: Readonly<Record<string, Evidence>> = {
  worker_processes: { test: "e2e/warm-up", title: "asks each worker before the first client" },
  worker_connections: {
    test: "e2e/connection-limit",
    title: "counts the connections of all listeners together",
  },
  worker_cpu_affinity: OTHER_PROGRAM,
  user: OTHER_PROGRAM,
  daemon: OTHER_PROGRAM,
  pid: { test: "e2e/upgrade", title: "ends the old process where a pid file names the new one" },
  events: NOTHING_TO_SET,
  include: {
    test: "config/config-file",
    title: "runs TypeScript that imports defineConfig, local modules and packages",
  },
  env: {
    test: "e2e/env-files",
    title: "reach handlers, the config file and settings; a reload reads them again",
  },
  load_module: OWN_CODE,
  listen: {
    test: "e2e/start-up",
    title: "listens on the address that it was given, IPv6 too",
  },
  "listen ... ssl": { compared: "fields" },
  "listen ... http2": {
    test: "e2e/http2",
    title: "serves handlers and files beside HTTP/1.1, with and without TLS, and drains",
  },
  "listen ... proxy_protocol": {
    test: "e2e/trusted-proxies",
    title: "does not read addresses of the PROXY protocol",
  },
  "listen unix:": NOT_BUILT,
  server_name: { compared: "hosts" },
  default_server: { compared: "hosts" },
  server_names_hash_bucket_size: {
    test: "http/host-table",
    title: "gives the same answer for every spelling of a host",
  },
  server_name_in_redirect: { compared: "redirects" },
  location: { compared: "redirects" },
  if: { test: "rules/compile-rules", title: "holds as told:" },
  map: {
    test: "rules/compile-rules",
    title: "answers with the first rule that holds, in the order of the list",
  },
  root: { compared: "files" },
  index: { compared: "files" },
  try_files: { compared: "fallbacks" },
  error_page: { compared: "missing" },
  return: { compared: "redirects" },
  rewrite: { compared: "redirects" },
  rewrite_log: NOTHING_TO_SET,
  internal: { test: "e2e/handed-files", title: "a file outside of the root" },
  autoindex: { compared: "listing" },
  autoindex_exact_size: {
    test: "files/listing",
    title: "escapes names, and links to paths only",
  },
  types: { test: "nginx/directives", title: "the type of a file is changed by setFields" },
  charset: { compared: "files" },
  add_header: { compared: "fields" },
  more_clear_headers: { test: "nginx/directives", title: "removeFields takes a field of a file" },
  expires: { test: "files/hashed-name", title: "lets the first pattern decide, and then the name" },
  etag: { compared: "conditionals" },
  if_modified_since: { compared: "conditionals" },
  max_ranges: { test: "http/range", title: "many(MOST_RANGES + 1)" },
  sendfile: NOTHING_TO_SET,
  open_file_cache: { test: "files/file-index", title: "notices files that come and go" },
  disable_symlinks: {
    test: "files/file-index",
    title: "warns of a link to the outside that appears, and follows it when told to",
  },
  merge_slashes: { compared: "traversal" },
  gzip: { compared: "codings" },
  gzip_static: {
    test: "files/file-index",
    title: "offers coded siblings, unless the file was edited without them",
  },
  gunzip: { test: "files/answer", title: "chooses the coding that the client accepts" },
  client_max_body_size: { compared: "limits" },
  client_body_buffer_size: {
    test: "e2e/expect-continue",
    title: "is answered 100 before the body, wherever the body goes",
  },
  client_body_timeout: {
    test: "http/transfer-limits",
    title: "names the setting that a slow client breaks",
  },
  client_body_temp_path: {
    test: "e2e/spooling",
    title: "is refused above the limit of all, which is given back",
  },
  client_header_buffer_size: {
    test: "e2e/limits",
    title: "are answered with their status, on a connection that goes on",
  },
  client_header_timeout: {
    test: "e2e/bad-input",
    title: "those that get no answer are closed all the same",
  },
  keepalive_timeout: {
    test: "e2e/responses",
    title: "fields that are ours, once each, and none that name the software",
  },
  lingering_close: {
    test: "e2e/streaming",
    title: "reach a client that sends all before it reads",
  },
  reset_timedout_connection: {
    test: "e2e/slow-clients",
    title: "are cut off by the named setting, and nothing of them is left",
  },
  send_timeout: {
    test: "e2e/slow-clients",
    title: "are cut off when they take nothing of a file that they asked for with a body",
  },
  underscores_in_headers: { test: "e2e/python-wsgi", title: "has a complete environ" },
  limit_except: {
    test: "nginx/directives",
    title: "method with deny refuses all methods but the others",
  },
  limit_req: { test: "e2e/guards", title: "admit exactly the burst of 200 clients at once" },
  limit_req_status: {
    test: "limits/limiters",
    title: "answers 429 with Retry-After in whole seconds and the RateLimit fields",
  },
  limit_req_dry_run: { test: "limits/limiters", title: "only logs in a dry run" },
  limit_conn: {
    test: "e2e/guards",
    title: "admit exactly so many at a time, and count no client that left",
  },
  limit_rate: NOTHING_TO_SET,
  allow: { compared: "addresses" },
  satisfy: { test: "nginx/directives", title: "an address and a password must both be right" },
  auth_basic: { compared: "auth" },
  auth_request: { test: "e2e/guards", title: "ask a handler whether a request may pass" },
  auth_jwt: { test: "e2e/guards", title: "ask a handler whether a request may pass" },
  secure_link: { test: "e2e/handed-files", title: "files that a handler hands over" },
  valid_referers: {
    test: "nginx/directives",
    title: "header refuses links from a site that is named",
  },
  set_real_ip_from: { compared: "addresses" },
  ssl_certificate: {
    test: "tls/tls",
    title: "serves a name with the certificate of its site, and all others with the first",
  },
  acme_issuer: { test: "e2e/acme", title: "issues for two names in spite of redirects and rules" },
  ssl_protocols: {
    test: "e2e/tls-suites",
    title: "offers other suites, and TLS 1.3 only, where that is asked for",
  },
  ssl_ciphers: {
    test: "e2e/tls-suites",
    title: "offers other suites, and TLS 1.3 only, where that is asked for",
  },
  ssl_session_cache: {
    test: "nginx/directives",
    title: "a client resumes a session of TLS 1.2 and of TLS 1.3",
  },
  ssl_stapling: NOTHING_TO_SET,
  ssl_client_certificate: NOT_BUILT,
  ssl_dhparam: NOTHING_TO_SET,
  access_log: {
    test: "e2e/access-log",
    title: "has the form and the requests that the settings name, and no secret in any line",
  },
  error_log: { test: "e2e/log-files", title: "have every line, whole, however often they are" },
  log_not_found: NOTHING_TO_SET,
  server_tokens: {
    test: "e2e/responses",
    title: "fields that are ours, once each, and none that name the software",
  },
  stub_status: {
    test: "e2e/control",
    title: "tells what came, what was refused by which limit, and which worker is blocked",
  },
  proxy_pass: {
    test: "e2e/proxy",
    title: "strips a prefix, tells the upstream, and leads redirects back behind it",
  },
  upstream: {
    test: "e2e/upstreams",
    title: "answers GETs and POSTs while one of them is away, and shows its state",
  },
  proxy_set_header: {
    test: "proxy/request-fields",
    title: "sets and removes fields, with their twins in",
  },
  proxy_hide_header: {
    test: "proxy/reply-fields",
    title: "leaves out the name of the upstream's program, unless the rules keep it",
  },
  proxy_redirect: {
    test: "proxy/reply-fields",
    title: "replaces starts of addresses that the config names, the first that fits",
  },
  proxy_http_version: {
    test: "proxy/proxy-exchange",
    title: "tries once on a fresh connection when the kept one was stale",
  },
  proxy_buffering: {
    test: "e2e/spooling",
    title: "frees its worker, which may even be replaced, while the client still reads",
  },
  proxy_connect_timeout: {
    test: "proxy/proxy-exchange",
    title: "answers 504 after a timeout, and names its setting",
  },
  proxy_next_upstream: { test: "proxy/retry-policy", title: "follows its table" },
  proxy_intercept_errors: {
    test: "nginx/directives",
    title: "errorPages replaces an error of an upstream",
  },
  proxy_ssl_verify: {
    test: "upstream/encrypted-server",
    title: "asks for the name, checks it, and speaks HTTP/1.1",
  },
  proxy_ignore_headers: {
    test: "e2e/proxy",
    title: "answers 502 to a response that asks for a file, without the path",
  },
  fastcgi_pass: NOTHING_TO_SET,
  proxy_cache: {
    test: "e2e/response-cache",
    title: "makes one call of a thousand requests for a slow answer",
  },
  proxy_cache_valid: {
    test: "cache/response-cache",
    title: "fills in a time only where the answer is silent, and not for personal requests",
  },
  proxy_cache_path: {
    test: "cache/tiered-store",
    title: "loads from disk the entries that memory has dropped, and stays within both limits",
  },
  proxy_cache_key: {
    test: "cache/response-cache",
    title: "hides parameters that do not count from the responder",
  },
  proxy_cache_lock: {
    test: "cache/response-cache",
    title: "makes one call for a thousand misses, and answers all of them",
  },
  proxy_cache_use_stale: {
    test: "cache/response-cache",
    title: "keeps a good copy through an outage, where stale answers are allowed",
  },
  proxy_cache_revalidate: {
    test: "cache/response-cache",
    title: "refreshes a stale entry with a 304, and serves it",
  },
  proxy_cache_bypass: { test: "config/cache-setting", title: "takes words, a time, and an object" },
  proxy_cache_methods: {
    test: "cache/response-cache",
    title: "answers HEAD from GET, and stores the whole for it",
  },
  proxy_cache_min_uses: {
    test: "e2e/response-cache",
    title: "serves ranges, conditions and HEAD from the stored whole",
  },
  proxy_cache_purge: {
    test: "e2e/response-cache",
    title: "removes answers on the operator's command",
  },
  $upstream_cache_status: {
    test: "cache/response-cache",
    title: "passes by what may not come from a store, and tells why",
  },
  resolver: NOTHING_TO_SET,
  mirror: OWN_CODE,
  empty_gif: { test: "nginx/directives", title: "respond answers 204 without a body" },
  dav_methods: { compared: "methods" },
  mp4: { compared: "ranges" },
  stream: NOTHING_TO_SET,
  mail: NOTHING_TO_SET,
  "nginx -t": {
    test: "e2e/control",
    title: "says what is right, and does not touch a server that runs",
  },
  "nginx -s reload": {
    test: "e2e/control",
    title: "waits until the new handlers serve, and says what changed",
  },
};
