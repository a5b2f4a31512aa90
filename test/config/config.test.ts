import assert from "node:assert/strict";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { DEFAULT_SECRET_NAMES } from "../../runtime/lib/secret-names.ts";
import { describe, it, type TestContext } from "node:test";
import { type Config, type ConfigSources, loadConfig } from "../../runtime/config/config.ts";
import { availableMemoryBytes } from "../../runtime/config/available-memory.ts";
import { defaultMemoryLimit } from "../../runtime/config/memory-limit.ts";
import { digestOf } from "../../runtime/config/admin-token.ts";
import { FILE_SETTING_NAMES } from "../../runtime/config/file-settings.ts";
import { SETTINGS, SETTING_NAMES, environmentName } from "../../runtime/config/settings.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** A project with `handlers/`, and what else is named. */
function project(t: TestContext, files: Record<string, string> = {}): string {
  const dir = temporaryFolder(t);
  mkdirSync(join(dir, "handlers"));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
  return dir;
}

async function load(cwd: string, sources: Partial<ConfigSources> = {}): Promise<Config> {
  return await loadConfig({ mode: "production", flags: {}, env: {}, cwd, ...sources });
}

async function refusal(cwd: string, sources: Partial<ConfigSources>): Promise<string> {
  try {
    await load(cwd, sources);
  } catch (error) {
    assert.ok(error instanceof RuntimeError, String(error));
    assert.equal(error.code, "ERR_CONFIG");
    return error.message;
  }
  return assert.fail("accepted");
}

describe("loadConfig()", { timeout: 180_000 }, () => {
  it("remembers where each value was set", async (t) => {
    const cwd = project(t);
    writeFileSync(join(cwd, "edgicorn.config.json"), JSON.stringify({ bodyLimit: "2mb", http: 1 }));
    writeFileSync(join(cwd, ".env.local"), "EDGICORN_WORKERS=3\n");
    const sources = { flags: { http: "81" }, env: { EDGICORN_HTTPS: "off" } };
    const { origins } = await load(cwd, sources);
    assert.deepEqual(origins, {
      http: "--http",
      https: "EDGICORN_HTTPS",
      workers: "EDGICORN_WORKERS in .env.local",
      bodyLimit: "bodyLimit in edgicorn.config.json",
    });
  });

  it("has a default for everything", async (t) => {
    const cwd = project(t);
    const workers = Math.max(2, availableParallelism() - 1);
    assert.deepEqual(await load(cwd), {
      mode: "production",
      automatic: ["workers", "maxWorkers", "workerMemoryLimitBytes"],
      origins: {},
      configFile: null,
      envFiles: [],
      variables: {},
      app: null,
      appDir: cwd,
      python: "auto",
      appKind: "auto",
      threads: 1,
      apps: [],
      rules: [],
      upstreams: [],
      bindings: [],
      stores: [{ kind: "embedded", name: "default", durability: "process" }],
      envVariables: null,
      fileApps: { dir: cwd, python: "python3", kind: "auto" },
      handlersDir: join(cwd, "handlers"),
      publicDir: null,
      publicLinks: "inside",
      certsDir: join(cwd, "certs"),
      tlsCiphers: "ECDHE+AESGCM:ECDHE+CHACHA20",
      acme: null,
      tlsMinVersion: "1.2",
      watchCerts: true,
      trustedProxies: null,
      trustedProxyFields: "x-forwarded",
      stateDir: join(cwd, ".edgicorn"),
      pidFile: null,
      user: null,
      group: null,
      host: null,
      httpPort: 8080,
      httpsPort: 8443,
      workers,
      maxWorkers: workers,
      maxRequestsPerWorker: 0,
      maxRequestsJitter: 0,
      maxWorkerAgeMs: 0,
      maxWorkerIdleMs: 0,
      workerMemoryLimitBytes: defaultMemoryLimit(availableMemoryBytes(), workers),
      pools: {},
      sites: [],
      unknownHost: "default",
      httpsRedirect: false,
      canonicalHost: null,
      warmup: [],
      reloadProbe: 0,
      keepGenerations: 5,
      bodyLimitBytes: 1_048_576,
      bodyBufferBytes: 65_536,
      responseBufferBytes: 131_072,
      bodyOverflow: "stream",
      responseOverflow: "wait",
      spoolLimitBytes: 1024 ** 3,
      cache: "off",
      cacheMemoryBytes: 64 * 1024 ** 2,
      cacheDiskBytes: 1024 ** 3,
      cacheDir: null,
      cacheWaitMs: 5_000,
      cacheReload: "drop",
      cacheControl: { isAutomatic: true, rules: [] },
      cleanUrls: true,
      trailingSlash: "auto",
      compression: true,
      compressionLevel: "balanced",
      spa: null,
      proxy: null,
      listing: false,
      bodyTimeoutMs: 60_000,
      minBodyRateBytesPerSecond: 240,
      sendTimeoutMs: 60_000,
      headerLimitBytes: 16_384,
      headerCountLimit: 98,
      urlLimitBytes: 8 * 1024,
      maxConnections: 10_000,
      maxRequests: null,
      maxRequestsPerAddress: null,
      workerConcurrency: 1_000,
      queueLimit: 10_000,
      queueDelayMs: 500,
      queueTimeoutMs: 10_000,
      healthPath: null,
      admin: null,
      metricsBucketsMs: [
        1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
      ],
      adminTokenDigest: null,
      otlp: null,
      traceSample: 1,
      serverTiming: false,
      cron: true,
      queues: true,
      cronStore: null,
      relayStore: null,
      serverTimingTokenDigest: null,
      livePath: null,
      readyPath: null,
      shutdownDelayMs: 0,
      requestTimeoutMs: 60_000,
      quarantineMs: 60_000,
      maxWebSockets: null,
      webSocketOrigins: "same",
      webSocketMessageLimitBytes: 1024 * 1024,
      webSocketBufferBytes: 1024 * 1024,
      webSocketPingMs: 25_000,
      webSocketIdleTimeoutMs: 0,
      webSocketCompression: false,
      drainGraceMs: 30_000,
      bootTimeoutMs: 30_000,
      hangTimeoutMs: 30_000,
      blockWarnMs: 1_000,
      accessLog: true,
      accessLogFormat: "json",
      accessLogStatus: null,
      accessLogSkip: null,
      accessLogSample: 1,
      redactQuery: DEFAULT_SECRET_NAMES,
      accessLogFields: "combined",
      accessLogQuery: false,
      logLevel: "info",
      logFormat: "auto",
      logFile: null,
      engine: "auto",
      headTimeoutMs: 60_000,
      keepAliveTimeoutMs: 75_000,
      http2: false,
      h2c: false,
      maxConcurrentStreams: 128,
      uws: "auto",
    });
  });

  it("is frozen plain data", async (t) => {
    const config = await load(project(t), { mode: "development" });
    assert.ok(Object.isFrozen(config));
    assert.deepEqual(structuredClone(config), config);
  });

  it("serves public/ if there is one", async (t) => {
    const cwd = project(t);
    mkdirSync(join(cwd, "public"));
    assert.equal((await load(cwd)).publicDir, join(cwd, "public"));
    assert.equal((await load(cwd, { flags: { public: "off" } })).publicDir, null);
  });

  it("takes a flag before the environment, that before the file, that before the default", async (t) => {
    const file = "export default { http: 3003, https: 3004, workers: 7, bodyLimit: '3mb' }";
    const cwd = project(t, { "edgicorn.config.mjs": file });
    const config = await load(cwd, {
      flags: { http: "3001" },
      env: { EDGICORN_HTTP: "3002", EDGICORN_HTTPS: "3005", EDGICORN_WORKERS: "" },
    });
    assert.deepEqual(
      [config.httpPort, config.httpsPort, config.workers, config.bodyLimitBytes],
      [3001, 3005, 7, 3 * 1024 ** 2],
    );
    assert.equal(config.logLevel, "info");
  });

  it("shares the memory among the workers of all pools", async (t) => {
    const pools = "{ default: { concurrency: 5 }, one: { concurrency: 5 }, four: { workers: 4 } }";
    const file = `export default { workers: 3, pools: ${pools} }`;
    const { workerMemoryLimitBytes } = await load(project(t, { "edgicorn.config.mjs": file }));
    assert.equal(workerMemoryLimitBytes, defaultMemoryLimit(availableMemoryBytes(), 3 + 1 + 4));
  });

  it("reads every setting from the environment", async (t) => {
    const cwd = project(t);
    mkdirSync(join(cwd, "other"));
    mkdirSync(join(cwd, "files"));
    // Without a site, no server refuses all hosts.
    mkdirSync(join(cwd, "sites/example.com/public"), { recursive: true });
    const values: Record<(typeof SETTING_NAMES)[number], [string, keyof Config, unknown]> = {
      handlers: ["other", "handlersDir", join(cwd, "other")],
      app: ["shop.wsgi:application", "app", "shop.wsgi:application"],
      appDir: ["other", "appDir", join(cwd, "other")],
      python: ["python3.11", "python", "python3.11"],
      appKind: ["asgi", "appKind", "asgi"],
      threads: ["4", "threads", 4],
      public: ["files", "publicDir", join(cwd, "files")],
      publicLinks: ["follow", "publicLinks", "follow"],
      cache: [
        "1m",
        "cache",
        { maxAgeMs: 60_000, staleMs: null, query: null, ignoreQuery: [], cookies: [] },
      ],
      cacheMemory: ["0", "cacheMemoryBytes", 0],
      cacheDisk: ["2gb", "cacheDiskBytes", 2 * 1024 ** 3],
      cacheDir: ["other", "cacheDir", join(cwd, "other")],
      cacheWait: ["30s", "cacheWaitMs", 30_000],
      cacheReload: ["pages, menu", "cacheReload", ["pages", "menu"]],
      cacheControl: ["off", "cacheControl", { isAutomatic: false, rules: [] }],
      cleanUrls: ["redirect", "cleanUrls", "redirect"],
      trailingSlash: ["never", "trailingSlash", "never"],
      compression: ["off", "compression", false],
      compressionLevel: ["best", "compressionLevel", "best"],
      spa: ["app.html", "spa", "/app.html"],
      proxy: ["off", "proxy", null],
      listing: ["on", "listing", true],
      certs: ["other", "certsDir", join(cwd, "other")],
      tlsCiphers: ["ECDHE+AES256", "tlsCiphers", "ECDHE+AES256"],
      tlsMinVersion: ["1.3", "tlsMinVersion", "1.3"],
      watchCerts: ["off", "watchCerts", false],
      trustedProxies: ["10.0.0.0/8, private", "trustedProxies", ["10.0.0.0/8", "private"]],
      trustedProxyFields: ["forwarded", "trustedProxyFields", "forwarded"],
      stateDir: ["other", "stateDir", join(cwd, "other")],
      pidFile: ["run.pid", "pidFile", join(cwd, "run.pid")],
      user: ["www-data", "user", "www-data"],
      group: ["10001", "group", "10001"],
      http: ["off", "httpPort", null],
      https: ["0", "httpsPort", 0],
      unknownHost: ["refuse", "unknownHost", "refuse"],
      httpsRedirect: ["on", "httpsRedirect", true],
      canonicalHost: ["A.example.", "canonicalHost", "a.example"],
      host: ["[::1]", "host", "::1"],
      workers: ["auto", "workers", Math.max(2, availableParallelism() - 1)],
      maxWorkers: ["1024", "maxWorkers", 1024],
      maxRequestsPerWorker: ["10000", "maxRequestsPerWorker", 10_000],
      maxRequestsJitter: ["500", "maxRequestsJitter", 500],
      maxWorkerAge: ["24h", "maxWorkerAgeMs", 24 * 3_600_000],
      maxWorkerIdle: ["5m", "maxWorkerIdleMs", 300_000],
      workerMemoryLimit: ["512mb", "workerMemoryLimitBytes", 512 * 1024 ** 2],
      bodyLimit: ["10mb", "bodyLimitBytes", 10 * 1024 ** 2],
      bodyBuffer: ["0", "bodyBufferBytes", 0],
      responseBuffer: ["1mb", "responseBufferBytes", 1024 ** 2],
      bodyOverflow: ["spool", "bodyOverflow", "spool"],
      responseOverflow: ["spool", "responseOverflow", "spool"],
      spoolLimit: ["1gb", "spoolLimitBytes", 1024 ** 3],
      bodyTimeout: ["0s", "bodyTimeoutMs", 0],
      minBodyRate: ["1kb", "minBodyRateBytesPerSecond", 1024],
      sendTimeout: ["90s", "sendTimeoutMs", 90_000],
      headerLimit: ["8KiB", "headerLimitBytes", 8192],
      maxConnections: ["99", "maxConnections", 99],
      headerCountLimit: ["50", "headerCountLimit", 50],
      urlLimit: ["2kb", "urlLimitBytes", 2048],
      maxRequests: ["98", "maxRequests", 98],
      maxRequestsPerAddress: ["9", "maxRequestsPerAddress", 9],
      workerConcurrency: ["97", "workerConcurrency", 97],
      queueLimit: ["0", "queueLimit", 0],
      queueDelay: ["0s", "queueDelayMs", 0],
      queueTimeout: ["2s", "queueTimeoutMs", 2_000],
      admin: ["[::1]:9090", "admin", { kind: "tcp", host: "::1", port: 9090 }],
      adminToken: ["correct-horse-battery", "adminTokenDigest", digestOf("correct-horse-battery")],
      otlp: ["http://127.0.0.1:4318", "otlp", "http://127.0.0.1:4318/v1/traces"],
      traceSample: ["0.01", "traceSample", 0.01],
      serverTiming: ["on", "serverTiming", true],
      cron: ["off", "cron", false],
      metricsBuckets: ["5ms, 0.1s,1m", "metricsBucketsMs", [5, 100, 60_000]],
      queues: ["off", "queues", false],
      // Only a config file has stores.
      cronStore: ["off", "cronStore", null],
      relayStore: ["off", "relayStore", null],
      serverTimingToken: [
        "correct-horse-battery",
        "serverTimingTokenDigest",
        digestOf("correct-horse-battery"),
      ],
      healthPath: ["/up", "healthPath", "/up"],
      livePath: ["/livez", "livePath", "/livez"],
      readyPath: ["/readyz", "readyPath", "/readyz"],
      shutdownDelay: ["5s", "shutdownDelayMs", 5_000],
      requestTimeout: ["1.5s", "requestTimeoutMs", 1500],
      quarantine: ["0s", "quarantineMs", 0],
      maxWebSockets: ["100", "maxWebSockets", 100],
      webSocketOrigins: [
        "https://a.example,https://b.example/",
        "webSocketOrigins",
        ["https://a.example", "https://b.example"],
      ],
      webSocketMessageLimit: ["64kb", "webSocketMessageLimitBytes", 65_536],
      webSocketBuffer: ["2mb", "webSocketBufferBytes", 2_097_152],
      webSocketPing: ["10s", "webSocketPingMs", 10_000],
      webSocketIdleTimeout: ["5m", "webSocketIdleTimeoutMs", 300_000],
      webSocketCompression: ["on", "webSocketCompression", true],
      drainGrace: ["2m", "drainGraceMs", 120_000],
      bootTimeout: ["500ms", "bootTimeoutMs", 500],
      hangTimeout: ["0s", "hangTimeoutMs", 0],
      blockWarn: ["250ms", "blockWarnMs", 250],
      reloadProbe: ["20", "reloadProbe", 20],
      keepGenerations: ["9", "keepGenerations", 9],
      accessLog: ["off", "accessLog", false],
      accessLogFormat: ["$status", "accessLogFormat", "$status"],
      accessLogStatus: ["4xx, 503", "accessLogStatus", ["4xx", "503"]],
      accessLogSkip: ["/healthz,/a/**", "accessLogSkip", ["/healthz", "/a/**"]],
      accessLogSample: ["0.25", "accessLogSample", 0.25],
      redactQuery: ["token,pin", "redactQuery", ["token", "pin"]],
      accessLogFields: ["common", "accessLogFields", "common"],
      accessLogQuery: ["on", "accessLogQuery", true],
      logLevel: ["warn", "logLevel", "warn"],
      logFormat: ["json", "logFormat", "json"],
      logFile: ["all.log", "logFile", join(cwd, "all.log")],
      engine: ["http=node,https=node", "engine", { http: "node", https: "node" }],
      headTimeout: ["20s", "headTimeoutMs", 20_000],
      keepAliveTimeout: ["4m", "keepAliveTimeoutMs", 240_000],
      http2: ["on", "http2", true],
      h2c: ["on", "h2c", true],
      maxConcurrentStreams: ["64", "maxConcurrentStreams", 64],
      uws: ["uws-pack", "uws", "uws-pack"],
    };
    const env = Object.fromEntries(
      SETTING_NAMES.map((name) => [environmentName(name), values[name][0]]),
    );
    const config = await load(cwd, { env });
    for (const [, key, expected] of Object.values(values))
      assert.deepEqual(config[key], expected, key);
  });

  it("resolves paths of the file against the file, others against the working directory", async (t) => {
    const cwd = project(t);
    mkdirSync(join(cwd, "deploy"));
    mkdirSync(join(cwd, "deploy", "web"));
    mkdirSync(join(cwd, "here"));
    mkdirSync(join(cwd, "there"));
    const file = join(cwd, "deploy", "site.json");
    writeFileSync(file, JSON.stringify({ public: "web", certs: "keys", stateDir: "state" }));
    const config = await load(cwd, {
      flags: { config: "deploy/site.json", handlers: "here" },
      env: { EDGICORN_CERTS: "there" },
    });
    assert.equal(config.configFile, file);
    assert.equal(config.publicDir, join(cwd, "deploy", "web"));
    assert.equal(config.stateDir, join(cwd, "deploy", "state"));
    assert.equal(config.handlersDir, join(cwd, "here"));
    assert.equal(config.certsDir, join(cwd, "there"));
  });

  const port = 'expected a port from 1 to 65535, 0 for any free port, or "off"';
  const unit = 'with a unit, such as "500ms", "30s" or "5m"';
  const refused: [title: string, sources: Partial<ConfigSources>, message: string][] = [
    ["a flag", { flags: { http: "80x" } }, `Cannot use --http: found "80x", ${port}`],
    ["an empty flag", { flags: { http: "" } }, `Cannot use --http: found "", ${port}`],
    [
      "a port out of range",
      { flags: { http: "65616" } },
      `Cannot use --http: found "65616", ${port}`,
    ],
    ["a negative port", { flags: { https: "-1" } }, `Cannot use --https: found "-1", ${port}`],
    [
      "an environment variable",
      { env: { EDGICORN_HTTPS: "true" } },
      `Cannot use EDGICORN_HTTPS: found "true", ${port}`,
    ],
    [
      "workers",
      { flags: { workers: "0" } },
      'Cannot use --workers: found "0", expected a whole number from 1 to 1024, or "auto"',
    ],
    [
      "fewer workers at most than at least",
      { flags: { workers: "4" }, env: { EDGICORN_MAX_WORKERS: "3" } },
      "Cannot use EDGICORN_MAX_WORKERS: found 3, expected at least 4, as --workers says",
    ],
    [
      "memory too little for any worker",
      { flags: { workerMemoryLimit: "32mb" } },
      'Cannot use --worker-memory-limit: found "32mb", expected a size from 64mb to 1024gb, such as "512mb", or "auto", or "off"',
    ],
    [
      "a duration whose unit can only be guessed",
      { env: { EDGICORN_REQUEST_TIMEOUT: "30" } },
      `Cannot use EDGICORN_REQUEST_TIMEOUT: found "30", expected a duration from 1ms to 24h ${unit}`,
    ],
    [
      "a size",
      { flags: { bodyLimit: "much" } },
      'Cannot use --body-limit: found "much", expected a size from 1 byte to 1024gb, such as "512kb" or "10mb"',
    ],
    [
      "a word",
      { flags: { logLevel: "loud" } },
      'Cannot use --log-level: found "loud", expected "trace", "debug", "info", "warn", "error", "fatal" or "silent"',
    ],
    [
      "suites of TLS that do not exist",
      { flags: { tlsCiphers: "ECDHE+AESGMC" } },
      'Cannot use --tls-ciphers: found "ECDHE+AESGMC" (OpenSSL knows no such suite), expected suites of TLS 1.2 ' +
        'in the words of OpenSSL, such as "ECDHE+AESGCM:ECDHE+CHACHA20"',
    ],
    [
      "a suite of TLS 1.3 where those of TLS 1.2 are named",
      { env: { EDGICORN_TLS_CIPHERS: "TLS_AES_128_GCM_SHA256" } },
      'Cannot use EDGICORN_TLS_CIPHERS: found "TLS_AES_128_GCM_SHA256" (TLS_AES_128_GCM_SHA256 is a suite of TLS 1.3, ' +
        'which are always offered), expected suites of TLS 1.2 in the words of OpenSSL, such as "ECDHE+AESGCM:ECDHE+CHACHA20"',
    ],
    [
      "a version of TLS that is too old",
      { flags: { tlsMinVersion: "1.1" } },
      'Cannot use --tls-min-version: found "1.1", expected "1.2" or "1.3"',
    ],
    [
      "a switch",
      { env: { EDGICORN_ACCESS_LOG: "maybe" } },
      'Cannot use EDGICORN_ACCESS_LOG: found "maybe", expected "on", "off", or a file whose name has a dot or a slash, such as "access.log"',
    ],
    [
      "a mistyped address",
      { flags: { host: "127.0.0.300" } },
      'Cannot use --host: found "127.0.0.300", expected an IP address, a host name, or "*" for all addresses',
    ],
    [
      "a host that has no address",
      { flags: { host: "nobody.invalid" } },
      'Cannot use --host: found "nobody.invalid", which has no address, ' +
        'expected an IP address, a host name, or "*" for all addresses',
    ],
    [
      "two ports that are off",
      { flags: { http: "off" }, env: { EDGICORN_HTTPS: "off" } },
      "Cannot listen: --http and EDGICORN_HTTPS are both off, expected at least one port",
    ],
    [
      "two ports that are one",
      { flags: { http: "8443" } },
      "Cannot listen: --http and the default of https are both 8443, expected two ports",
    ],
    [
      "HTTP/2 on a port of uWebSockets.js",
      { flags: { engine: "http=node,https=uws", http2: "on" } },
      'Cannot use --engine: found "uws" for https beside --http2, expected "node" or "auto": uWebSockets.js has no HTTP/2',
    ],
    [
      "HTTP/2 without TLS on a port of uWebSockets.js",
      { flags: { engine: "http=uws", h2c: "on" } },
      'Cannot use --engine: found "uws" for http beside --h2c, expected "node" or "auto": uWebSockets.js has no HTTP/2',
    ],
    [
      "an engine for a port that is none",
      { flags: { engine: "ftp=uws" } },
      'Cannot use --engine: found "ftp=uws", expected "auto", "uws" or "node", or one for each port: "http=uws,https=node"',
    ],
    [
      "a redirect to HTTPS in circles",
      { flags: { https: "off", httpsRedirect: "on" } },
      "Cannot use --https-redirect: found no port for HTTPS (--https is off), expected one, or in trustedProxies the proxy that ends TLS",
    ],
    [
      "a config file that is not there",
      { flags: { config: "nope.ts" } },
      "Cannot use --config: found no file nope.ts, expected a config file",
    ],
    [
      "several at once, a line each",
      { flags: { http: "x", workers: "y" } },
      `Cannot use --http: found "x", ${port}\n` +
        'Cannot use --workers: found "y", expected a whole number from 1 to 1024, or "auto"',
    ],
  ];
  for (const [title, sources, message] of refused) {
    it(`refuses ${title}`, async (t) => {
      assert.equal(await refusal(project(t), sources), message);
    });
  }

  it("takes a bare number of the config file for milliseconds where it can mean nothing else", async (t) => {
    const file = (requestTimeout: number): string =>
      project(t, { "edgicorn.config.json": JSON.stringify({ requestTimeout }) });
    assert.equal((await load(file(30_000))).requestTimeoutMs, 30_000);
    assert.equal(
      await refusal(file(30), {}),
      `Cannot use requestTimeout in edgicorn.config.json: found 30, expected a duration from 1ms to 24h ${unit}`,
    );
  });

  it("refuses the same port twice, but any free port twice is two ports", async (t) => {
    const config = await load(project(t), { flags: { http: "0", https: "0" } });
    assert.deepEqual([config.httpPort, config.httpsPort], [0, 0]);
  });

  it("refuses folders that are not there", async (t) => {
    const cwd = temporaryFolder(t);
    assert.equal(
      await refusal(cwd, { flags: { public: "pub" } }),
      `Cannot use the default of handlers: found no folder ${cwd}/handlers, expected the folder of the ` +
        'handlers (create it, such as with "edgicorn init", or name another with --handlers DIR)\n' +
        `Cannot use --public: found no folder ${cwd}/pub, expected the folder of the static files, or "off"`,
    );
  });

  it("refuses a folder of certificates that was named and is not there, unless nobody needs it", async (t) => {
    const cwd = project(t, { "edgicorn.config.json": '{ "certs": "keys" }', file: "" });
    for (const [sources, label, path] of [
      [{ flags: { certs: "/nope" } }, "--certs", "/nope"],
      [{ flags: { certs: "file" } }, "--certs", join(cwd, "file")],
      [{ env: { EDGICORN_CERTS: "certs" } }, "EDGICORN_CERTS", join(cwd, "certs")],
      [{}, "certs in edgicorn.config.json", join(cwd, "keys")],
    ] as const) {
      assert.equal(
        await refusal(cwd, sources),
        `Cannot use ${label}: found no folder ${path}, expected the folder of the certificates ` +
          "(without it, one for localhost is made in certs/)",
      );
    }
    await load(cwd, { flags: { https: "off" } });
    assert.equal((await load(project(t), {})).certsDir.endsWith("/certs"), true);
  });

  it("refuses a pid file in a folder that is not there", async (t) => {
    const cwd = project(t, { file: "" });
    for (const folder of ["nope", "file"]) {
      assert.equal(
        await refusal(cwd, { flags: { pidFile: `${folder}/edgicorn.pid` } }),
        `Cannot use --pid-file: found no folder ${cwd}/${folder}, expected a file in a folder that exists`,
      );
    }
  });

  it("refuses to serve keys, sources and the config file to everybody", async (t) => {
    const cwd = project(t, { "edgicorn.config.json": "{}" });
    const contains = (what: string, path: string): string =>
      `Cannot use --public: found that ${cwd} contains ${what} (${join(cwd, path)}), ` +
      "expected a folder whose files every client may read";
    assert.equal(
      await refusal(cwd, { flags: { public: "." } }),
      [
        contains("the handlers", "handlers"),
        contains("the private keys", "certs"),
        contains("the compiled handlers", ".edgicorn"),
        contains("the config file", "edgicorn.config.json"),
      ].join("\n"),
    );
  });

  it("refuses to serve files of environment variables", async (t) => {
    const cwd = project(t);
    mkdirSync(join(cwd, "public"));
    writeFileSync(join(cwd, "public/prod.env"), "DATABASE_PASSWORD=secret\n");
    const found = await refusal(cwd, { env: { EDGICORN_ENV_FILE: "public/prod.env" } });
    assert.ok(
      found.includes(`public contains environment variables (${join(cwd, "public/prod.env")})`),
      found,
    );
  });

  it("follows links before it says what the public folder contains", async (t) => {
    const cwd = project(t);
    mkdirSync(join(cwd, "public"));
    mkdirSync(join(cwd, "..public-keys"));
    symlinkSync(join(cwd, "public"), join(cwd, "links"));
    assert.match(
      await refusal(cwd, { flags: { stateDir: "links/not-there-yet" } }),
      /^Cannot use the default of public: found that \S+\/public contains the compiled handlers \(\S+\/links\/not-there-yet\)/,
    );
    // Beside it is not in it.
    await load(cwd, { flags: { certs: "..public-keys", stateDir: "public-state" } });
  });

  it("names the key and the file of a bad value in the file", async (t) => {
    const cwd = project(t, { "edgicorn.config.json": '{ "http": 70000 }' });
    assert.equal(
      await refusal(cwd, {}),
      `Cannot use http in edgicorn.config.json: found 70000, ${port}`,
    );
  });

  it("refuses a spool that has no room for one body of the size that is allowed", async (t) => {
    const values = { bodyOverflow: "spool", bodyLimit: "20mb", spoolLimit: "1mb" };
    const cwd = project(t, { "edgicorn.config.json": JSON.stringify(values) });
    assert.equal(
      await refusal(cwd, {}),
      "Cannot use spoolLimit in edgicorn.config.json: found 1048576 bytes, expected at least 20971520, " +
        "as bodyLimit in edgicorn.config.json says, since bodies are spooled",
    );
    assert.equal(
      (await load(cwd, { env: { EDGICORN_BODY_OVERFLOW: "stream" } })).spoolLimitBytes,
      1024 ** 2,
    );
  });

  it("asks whether another key was meant", async (t) => {
    const cwd = project(t, { "edgicorn.config.json": '{ "bodyLimits": 1, "zebra": 2 }' });
    assert.equal(
      await refusal(cwd, {}),
      'Cannot use bodyLimits in edgicorn.config.json: found an unknown key, did you mean "bodyLimit"?\n' +
        "Cannot use zebra in edgicorn.config.json: found an unknown key, expected one of " +
        [...Object.keys(SETTINGS), ...FILE_SETTING_NAMES].join(", "),
    );
  });

  it("names unknown keys, bad values and bad pools of a file together", async (t) => {
    const values = { bodyLimits: 1, http: 70000, warmup: 1 };
    const cwd = project(t, { "edgicorn.config.json": JSON.stringify(values) });
    const lines = (await refusal(cwd, {})).split("\n");
    assert.deepEqual(
      lines.map((line) => line.split(", ")[0]),
      [
        "Cannot use bodyLimits in edgicorn.config.json: found an unknown key",
        "Cannot use http in edgicorn.config.json: found 70000",
        "Cannot use warmup in edgicorn.config.json: found 1",
      ],
    );
  });

  it("names unknown keys together with values that do not go together", async (t) => {
    const cwd = project(t, { "edgicorn.config.json": '{ "bodyLimits": 1, "public": "away" }' });
    assert.match(
      await refusal(cwd, {}),
      /^Cannot use bodyLimits in .+\nCannot use public in edgicorn\.config\.json: found no folder /,
    );
  });
});
