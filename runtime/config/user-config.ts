/** A size: bytes, or text with a unit: `"512kb"`, `"10mb"`, `"1MiB"`. Units are powers of 1024, as in nginx. */
export type Size = number | string;

/** A duration: milliseconds, or text with a unit: `"500ms"`, `"30s"`, `"5m"`. */
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
  /** Folder of the certificates: `NAME.crt` with `NAME.key`, or certbot's folders. Default: `certs`. */
  certs?: string;
  /** Folder for what the program keeps, such as compiled handlers. Default: `.edgicorn`. */
  stateDir?: string;
  /** Port for HTTP; 0 is any free port. Default: 8080. */
  http?: number | "off" | false;
  /** Port for HTTPS; 0 is any free port. Default: 8443. */
  https?: number | "off" | false;
  /** IP address or host name to listen on, or `"*"` for all of them. Default: `"*"`. */
  host?: string;
  /** Number of worker processes, or `"auto"`: one less than there are CPUs, at least 2. Default: `"auto"`. */
  workers?: number | "auto";
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
  /** Most client connections at one time. Default: 10000. */
  maxConnections?: number;
  /** How long a handler may take; after it the answer is 504. Default: `"60s"`. */
  requestTimeout?: Duration;
  /** Longest pause within a request body; then the answer is 408. 0 is none. Default: `"60s"`. */
  bodyTimeout?: Duration;
  /** Least bytes a second of a request body, on average, after its first 10 s. 0 is none. Default: 240. */
  minBodyRate?: Size;
  /** How long a client may take nothing of its response before it is cut off. 0 is never. Default: `"60s"`. */
  sendTimeout?: Duration;
  /** How long requests in flight may finish when the server stops. Default: `"30s"`. */
  drainGrace?: Duration;
  /** How long a worker may take to load the handlers. Default: `"30s"`. */
  bootTimeout?: Duration;
  /**
   * How long the event loop of a worker may be blocked; then the worker is killed and replaced. 0 is any time.
   * Default: `"30s"`.
   */
  hangTimeout?: Duration;
  /** One log line per request. Default: on. */
  accessLog?: boolean | "on" | "off";
  /** Least important messages that are logged. Default: `"info"`. */
  logLevel?: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  /** Lines for people, or JSON; `"auto"` is for people on a terminal. Default: `"auto"`. */
  logFormat?: "auto" | "pretty" | "json";
}

/** Returns its argument: gives `edgicorn.config.ts` types and completion. */
export function defineConfig(config: UserConfig): UserConfig {
  return config;
}
