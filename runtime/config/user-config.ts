/** A size: bytes, or text with a unit: `"512kb"`, `"10mb"`, `"1MiB"`. Units are powers of 1024, as in nginx. */
export type Size = number | string;

/** A duration: text with a unit, `"500ms"`, `"30s"`, `"5m"`, or milliseconds: 0 or at least 1000. */
export type Duration = number | string;

/**
 * What `edgicorn.config.ts` may say. Everything is optional. Paths are relative to the file.
 *
 * Each key is also a flag (`bodyLimit` is `--body-limit`) and an environment variable (`EDGICORN_BODY_LIMIT`);
 * a flag wins over the environment, the environment over the file.
 */
export interface UserConfig {
  /** Folder of the handlers. Default: `handlers`. */
  handlers?: string;
  /** Folder of the static files, or `"off"`. Default: `public`, if there is one. */
  public?: string | false;
  /**
   * Which symbolic links in the folder of the static files are followed: `"inside"`, those that stay in it, or `"follow"`, all.
   * Default: `"inside"`.
   */
  publicLinks?: "inside" | "follow";
  /** Folder of the certificates: `NAME.crt` with `NAME.key`, or certbot's folders. Default: `certs`. */
  certs?: string;
  /** Folder for what the program keeps, such as compiled handlers. Default: `.edgicorn`. */
  stateDir?: string;
  /** File for the process id of the server, or `"off"`. Default: `"off"`. */
  pidFile?: string | false;
  /** Port for HTTP; 0 is any free port. Default: 8080. */
  http?: number | "off" | false;
  /** Port for HTTPS; 0 is any free port. Default: 8443. */
  https?: number | "off" | false;
  /** IP address or host name to listen on, or `"*"` for all of them. Default: `"*"`. */
  host?: string;
  /** Number of worker processes, or `"auto"`: one less than there are CPUs, at least 2. Default: `"auto"`. */
  workers?: number | "auto";
  /** How many workers there may be when all are busy, or `"off"`: always `workers`. Default: `"off"`. */
  maxWorkers?: number | "off" | false;
  /** A worker is replaced after so many requests, in order. 0 is never. Default: 0. */
  maxRequestsPerWorker?: number;
  /** Each worker may have up to so many requests more, by chance, so that not all are replaced at once. Default: 0. */
  maxRequestsJitter?: number;
  /** A worker is replaced when it has served for so long. 0 is never. Default: 0. */
  maxWorkerAge?: Duration;
  /** A worker is replaced when it has had nothing to do for so long, after it had. 0 is never. Default: 0. */
  maxWorkerIdle?: Duration;
  /**
   * A worker is replaced when it uses more memory, and killed when it uses half as much again. `"auto"`: its share of
   * the memory of the machine or container, at least 256 MiB; `"off"`: no limit. Default: `"auto"`.
   */
  workerMemoryLimit?: Size | false;
  /**
   * Pools of workers beside the default one, by name. A handler is in the pool that its `config.pool` names; a pool that
   * is not here has one worker.
   */
  pools?: Record<string, UserPool>;
  /**
   * Paths that each new worker is asked for before it gets requests: `["/", "/api/health"]`. An answer of 500 or above, or
   * one that is late, stops the start or the reload. Default: none.
   */
  warmup?: string[];
  /**
   * With a reload, the new workers are asked for this many of the pages that were asked for last, and must not fail where
   * the old ones did not. Only GETs without query, cookie and credentials count. 0 is none. Default: 0.
   */
  reloadProbe?: number;
  /** Builds of the handlers that stay on disk, to go back to. Default: 5. */
  keepGenerations?: number;
  /** Largest request body; above it the answer is 413. Default: `"1mb"`. */
  bodyLimit?: Size;
  /** A request body up to this size is gathered before a worker gets the request. Default: `"64kb"`. */
  bodyBuffer?: Size;
  /** How much of a response waits for a slow client before its handler is held back. Default: `"128kb"`. */
  responseBuffer?: Size;
  /** A larger request body goes to a worker while it comes, or to disk until it is complete. Default: `"stream"`. */
  bodyOverflow?: "stream" | "spool";
  /** What a client does not take in time holds its handler back, or goes to disk. Default: `"wait"`. */
  responseOverflow?: "wait" | "spool";
  /** What all bodies on disk may take together; above it a request is answered 503. Default: `"1gb"`. */
  spoolLimit?: Size;
  /** Largest request head: request line and fields. Default: `"16kb"`. */
  headerLimit?: Size;
  /** Most fields of a request; above it the answer is 431. Default: 98, which is the most there can be. */
  headerCountLimit?: number;
  /** Longest path and query; above it the answer is 414. Default: `"8kb"`. */
  urlLimit?: Size;
  /** Most client connections at one time. Default: 10000. */
  maxConnections?: number;
  /** Most requests that handlers have or that wait for them, or `"off"`; above it the answer is 503. Default: `"off"`. */
  maxRequests?: number | "off" | false;
  /** Most requests of one client address at a time, or `"off"`; above it the answer is 429. Default: `"off"`. */
  maxRequestsPerAddress?: number | "off" | false;
  /** Most requests that one worker has at a time, if it answers quickly enough. Default: 1000. */
  workerConcurrency?: number;
  /** Most requests that wait for a worker; above it the answer is 503. Default: 10000. */
  queueLimit?: number;
  /** A request that would wait longer for a worker is answered 503 at once; 0 is never. Default: `"500ms"`. */
  queueDelay?: Duration;
  /** A request that has waited so long for a worker is answered 503. Default: `"10s"`. */
  queueTimeout?: Duration;
  /** Path that the server itself answers: 200 while it can serve, otherwise 503; or `"off"`. Default: `"off"`. */
  healthPath?: string | false;
  /** How long a handler may take to the first byte of its response; after it the answer is 504. Default: `"60s"`. */
  requestTimeout?: Duration;
  /** Longest pause within a request body; then the answer is 408. 0 is none. Default: `"60s"`. */
  bodyTimeout?: Duration;
  /** Least bytes of a request body for each second after its first 10. 0 is none. Default: 240. */
  minBodyRate?: Size;
  /** How long a client may take nothing of its response before it is cut off. 0 is never. Default: `"60s"`. */
  sendTimeout?: Duration;
  /** How long a request is refused that makes workers crash or hang. 0 is never. Default: `"60s"`. */
  quarantine?: Duration;
  /** How long requests in flight may finish when the server stops. Default: `"30s"`. */
  drainGrace?: Duration;
  /** How long a worker may take to load the handlers. Default: `"30s"`. */
  bootTimeout?: Duration;
  /**
   * How long the event loop of a worker may be blocked; then the worker is killed and replaced. 0 is any time.
   * Default: `"30s"`.
   */
  hangTimeout?: Duration;
  /** One log line per request: in the log, in a file of their own, or none. Default: on. */
  accessLog?: boolean | string;
  /** What access lines say: `"combined"` has referer and user agent too. Default: `"combined"`. */
  accessLogFields?: "common" | "combined";
  /** Whether access lines have queries, which may hold tokens. Default: off. */
  accessLogQuery?: boolean | "on" | "off";
  /** Least important messages that are logged. Default: `"info"`. */
  logLevel?: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  /** Lines for people, or JSON; `"auto"` is for people on a terminal. Default: `"auto"`. */
  logFormat?: "auto" | "pretty" | "json";
  /** File for the log, in JSON, or `"off"`: standard error. Default: `"off"`. */
  logFile?: string | false;
  /**
   * The package whose binary of uWebSockets.js is loaded; `"auto"`: the preferred one that loads, see
   * `docs/dependencies.md`. Default: `"auto"`.
   */
  uws?: "auto" | "uWebSockets.js" | "@btc-vision/uwebsockets.js" | "uws-pack";
}

/** A pool of workers. Everything is optional. */
export interface UserPool {
  /** Number of its worker processes. Default: 1. Of the pool `default`, the key `workers` says it. */
  workers?: number;
  /** Most requests that one of its workers has at a time. Default: `workerConcurrency`. */
  concurrency?: number;
  /** As `workerMemoryLimit`, for this pool; also `"off"`. */
  memoryLimit?: Size | false;
}

/** Returns its argument: gives `edgicorn.config.ts` types and completion. */
export function defineConfig(config: UserConfig): UserConfig {
  return config;
}
