import { isIP } from "node:net";
import * as z from "zod/mini";
import { parseDurationMs, parseSizeBytes } from "./units.ts";

/** With more fields the library refuses a head while it reads: the bound is compiled into it. */
const MOST_FIELDS = 98;

/** What each setting may be, as it comes from a flag or the environment (text) or from the file (any plain value). */
export const settingsSchema = z.strictObject({
  handlers: text(),
  public: z.union([off(), text()]),
  publicLinks: z.enum(["inside", "follow"]),
  certs: text(),
  stateDir: text(),
  pidFile: z.union([off(), text()]),
  http: port(),
  https: port(),
  host: host(),
  workers: z.union([z.literal("auto"), wholeNumber(1, 1024)]),
  maxWorkers: z.union([off(), wholeNumber(1, 1024)]),
  maxRequestsPerWorker: wholeNumber(0, 999_999_999),
  maxRequestsJitter: wholeNumber(0, 999_999_999),
  maxWorkerAge: duration(0, 365 * 24 * 3_600_000),
  maxWorkerIdle: duration(0, 365 * 24 * 3_600_000),
  workerMemoryLimit: z.union([z.literal("auto"), off(), size(64 * 1024 ** 2, 1024 ** 4)]),
  bodyLimit: size(1, 1024 ** 4),
  bodyBuffer: size(0, 64 * 1024 ** 2),
  responseBuffer: size(16 * 1024, 64 * 1024 ** 2),
  bodyOverflow: z.enum(["stream", "spool"]),
  responseOverflow: z.enum(["wait", "spool"]),
  spoolLimit: size(64 * 1024, 1024 ** 4),
  headerLimit: size(1024, 1024 ** 2),
  headerCountLimit: wholeNumber(1, MOST_FIELDS),
  urlLimit: size(64, 1024 ** 2),
  maxConnections: wholeNumber(1, 1_000_000),
  maxRequests: z.union([off(), wholeNumber(1, 1_000_000)]),
  maxRequestsPerAddress: z.union([off(), wholeNumber(1, 1_000_000)]),
  workerConcurrency: wholeNumber(1, 100_000),
  queueLimit: wholeNumber(0, 1_000_000),
  queueDelay: duration(0, 3_600_000),
  queueTimeout: duration(1, 3_600_000),
  healthPath: z.union([off(), path()]),
  requestTimeout: duration(1, 24 * 3_600_000),
  bodyTimeout: duration(0, 24 * 3_600_000),
  minBodyRate: size(0, 1024 ** 3),
  sendTimeout: duration(0, 24 * 3_600_000),
  quarantine: duration(0, 24 * 3_600_000),
  drainGrace: duration(0, 3_600_000),
  bootTimeout: duration(100, 3_600_000),
  hangTimeout: z.union([duration(0, 0), duration(100, 3_600_000)]),
  accessLog: z.union([onOff(), file()]),
  accessLogFields: z.enum(["common", "combined"]),
  accessLogQuery: onOff(),
  reloadProbe: wholeNumber(0, 1000),
  keepGenerations: wholeNumber(1, 100),
  logLevel: z.enum(["trace", "debug", "info", "warn", "error", "fatal", "silent"]),
  logFormat: z.enum(["auto", "pretty", "json"]),
  logFile: z.union([off(), file()]),
  uws: z.enum(["auto", "uWebSockets.js", "@btc-vision/uwebsockets.js", "uws-pack"]),
});

export type SettingName = keyof typeof settingsSchema.shape;

/** How a setting is explained: in the help text, and when a value is refused. */
export interface SettingText {
  /** Placeholder for the value: `PORT|off`. */
  value: string;
  /** One line for the help text. */
  help: string;
  /** Ends the sentence "found x, expected ...". */
  expected: string;
  /** As the help text shows it. */
  default: string;
  /** First in the help text; the others follow under "more". */
  common: boolean;
}

const PORT = 'a port from 1 to 65535, 0 for any free port, or "off"';
const FILE = 'a file whose name has a dot or a slash, such as "access.log"';
const DURATION = 'with a unit, such as "500ms", "30s" or "5m"';

/** One entry per setting, in the order of the help text. */
export const SETTINGS: Readonly<Record<SettingName, SettingText>> = {
  handlers: {
    value: "DIR",
    help: "folder of the handlers",
    expected: "a folder",
    default: "handlers",
    common: true,
  },
  public: {
    value: "DIR|off",
    help: "folder of the static files",
    expected: 'a folder, or "off"',
    default: "public",
    common: true,
  },
  certs: {
    value: "DIR",
    help: "folder of NAME.crt with NAME.key",
    expected: "a folder",
    default: "certs",
    common: true,
  },
  http: {
    value: "PORT|off",
    help: "port for HTTP",
    expected: PORT,
    default: "8080",
    common: true,
  },
  https: {
    value: "PORT|off",
    help: "port for HTTPS",
    expected: PORT,
    default: "8443",
    common: true,
  },
  host: {
    value: "ADDRESS",
    help: "address to listen on",
    expected: 'an IP address, a host name, or "*" for all addresses',
    default: "*",
    common: true,
  },
  workers: {
    value: "N|auto",
    help: "number of worker processes",
    expected: 'a whole number from 1 to 1024, or "auto"',
    default: "auto",
    common: true,
  },
  maxWorkers: {
    value: "N|off",
    help: "most workers, when all are busy",
    expected: 'a whole number from 1 to 1024 that is at least that of the workers, or "off"',
    default: "off",
    common: false,
  },
  maxRequestsPerWorker: {
    value: "N",
    help: "requests after which a worker is replaced",
    expected: "a whole number, 0 for never",
    default: "0",
    common: false,
  },
  maxRequestsJitter: {
    value: "N",
    help: "up to so many requests more, by chance",
    expected: "a whole number",
    default: "0",
    common: false,
  },
  maxWorkerAge: {
    value: "TIME",
    help: "age at which a worker is replaced",
    expected: `a duration up to 8760h ${DURATION}, 0s for never`,
    default: "0s",
    common: false,
  },
  maxWorkerIdle: {
    value: "TIME",
    help: "idle time after which it is replaced",
    expected: `a duration up to 8760h ${DURATION}, 0s for never`,
    default: "0s",
    common: false,
  },
  workerMemoryLimit: {
    value: "SIZE",
    help: "memory above which a worker is replaced",
    expected: 'a size from 64mb to 1024gb, such as "512mb", or "auto", or "off"',
    default: "auto",
    common: false,
  },
  bodyLimit: {
    value: "SIZE",
    help: "largest request body",
    expected: 'a size from 1 byte to 1024gb, such as "512kb" or "10mb"',
    default: "1mb",
    common: false,
  },
  bodyBuffer: {
    value: "SIZE",
    help: "request body kept before a worker gets it",
    expected: 'a size up to 64mb, such as "64kb"',
    default: "64kb",
    common: false,
  },
  responseBuffer: {
    value: "SIZE",
    help: "response body kept for a slow client",
    expected: 'a size from 16kb to 64mb, such as "128kb"',
    default: "128kb",
    common: false,
  },
  publicLinks: {
    value: "HOW",
    help: "links in public: inside or follow (all)",
    expected: '"inside" (only links that stay in the public folder) or "follow" (all)',
    default: "inside",
    common: false,
  },
  bodyOverflow: {
    value: "HOW",
    help: "larger request bodies: stream or spool",
    expected: '"stream" or "spool"',
    default: "stream",
    common: false,
  },
  responseOverflow: {
    value: "HOW",
    help: "handlers of slow clients: wait or spool",
    expected: '"wait" or "spool"',
    default: "wait",
    common: false,
  },
  spoolLimit: {
    value: "SIZE",
    help: "what all spooled bodies may take",
    expected: 'a size from 64kb to 1024gb, such as "1gb"',
    default: "1gb",
    common: false,
  },
  headerLimit: {
    value: "SIZE",
    help: "largest request head",
    expected: 'a size from 1kb to 1mb, such as "16kb"',
    default: "16kb",
    common: false,
  },
  headerCountLimit: {
    value: "N",
    help: "most fields of a request",
    expected: "a whole number from 1 to 98",
    default: "98",
    common: false,
  },
  urlLimit: {
    value: "SIZE",
    help: "longest path and query",
    expected: 'a size from 64 bytes to 1mb, such as "8kb"',
    default: "8kb",
    common: false,
  },
  maxConnections: {
    value: "N",
    help: "most client connections",
    expected: "a whole number from 1 to 1000000",
    default: "10000",
    common: false,
  },
  maxRequests: {
    value: "N|off",
    help: "most requests in handlers or waiting",
    expected: 'a whole number from 1 to 1000000, or "off"',
    default: "off",
    common: false,
  },
  maxRequestsPerAddress: {
    value: "N|off",
    help: "most requests of a client at a time",
    expected: 'a whole number from 1 to 1000000, or "off"',
    default: "off",
    common: false,
  },
  workerConcurrency: {
    value: "N",
    help: "most requests of a worker at a time",
    expected: "a whole number from 1 to 100000",
    default: "1000",
    common: false,
  },
  queueLimit: {
    value: "N",
    help: "most requests that wait for a worker",
    expected: "a whole number from 0 to 1000000",
    default: "10000",
    common: false,
  },
  queueDelay: {
    value: "TIME",
    help: "longest expected wait for a worker",
    expected: `a duration up to 1h ${DURATION}, 0s for any`,
    default: "500ms",
    common: false,
  },
  queueTimeout: {
    value: "TIME",
    help: "longest wait for a worker",
    expected: `a duration from 1ms to 1h ${DURATION}`,
    default: "10s",
    common: false,
  },
  healthPath: {
    value: "PATH|off",
    help: "path that tells whether it serves",
    expected: 'a path such as "/healthz", or "off"',
    default: "off",
    common: false,
  },
  requestTimeout: {
    value: "TIME",
    help: "longest time to the first byte of a response",
    expected: `a duration from 1ms to 24h ${DURATION}`,
    default: "60s",
    common: false,
  },
  bodyTimeout: {
    value: "TIME",
    help: "longest pause within a request body",
    expected: `a duration up to 24h ${DURATION}, 0s for none`,
    default: "60s",
    common: false,
  },
  minBodyRate: {
    value: "SIZE",
    help: "least of a request body, SIZE per second",
    expected: 'a size per second, such as "240" or "1kb", 0 for none',
    default: "240",
    common: false,
  },
  sendTimeout: {
    value: "TIME",
    help: "longest time a client takes nothing",
    expected: `a duration up to 24h ${DURATION}, 0s for none`,
    default: "60s",
    common: false,
  },
  quarantine: {
    value: "TIME",
    help: "time to refuse what kills workers",
    expected: `a duration up to 24h ${DURATION}, 0s for never`,
    default: "60s",
    common: false,
  },
  drainGrace: {
    value: "TIME",
    help: "time to finish when stopping",
    expected: `a duration up to 1h ${DURATION}`,
    default: "30s",
    common: false,
  },
  bootTimeout: {
    value: "TIME",
    help: "time for a worker to start",
    expected: `a duration from 100ms to 1h ${DURATION}`,
    default: "30s",
    common: false,
  },
  hangTimeout: {
    value: "TIME",
    help: "silence of a blocked worker that ends it",
    expected: `a duration from 100ms to 1h ${DURATION}, or 0s for never`,
    default: "30s",
    common: false,
  },
  reloadProbe: {
    value: "N",
    help: "recent GETs tried on new workers",
    expected: "a whole number from 0, for none, to 1000",
    default: "0",
    common: false,
  },
  keepGenerations: {
    value: "N",
    help: "builds of the handlers that stay on disk",
    expected: "a whole number from 1 to 100",
    default: "5",
    common: false,
  },
  accessLog: {
    value: "on|off|FILE",
    help: "one log line per request, where",
    expected: `"on", "off", or ${FILE}`,
    default: "on",
    common: false,
  },
  accessLogFields: {
    value: "common|combined",
    help: "combined: referer and user agent too",
    expected: '"common" or "combined"',
    default: "combined",
    common: false,
  },
  accessLogQuery: {
    value: "on|off",
    help: "access lines have the query too",
    expected: '"on" or "off"',
    default: "off",
    common: false,
  },
  logLevel: {
    value: "LEVEL",
    help: "trace, debug, info, warn, error ...",
    expected: '"trace", "debug", "info", "warn", "error", "fatal" or "silent"',
    default: "info",
    common: false,
  },
  logFormat: {
    value: "FORMAT",
    help: "auto, pretty or json",
    expected: '"auto", "pretty" or "json"',
    default: "auto",
    common: false,
  },
  logFile: {
    value: "FILE|off",
    help: "file for the log, in JSON",
    expected: `${FILE}, or "off"`,
    default: "off",
    common: false,
  },
  uws: {
    value: "PACKAGE",
    help: "package whose uWebSockets.js is loaded",
    expected: '"auto", "uWebSockets.js", "@btc-vision/uwebsockets.js" or "uws-pack"',
    default: "auto",
    common: false,
  },
  stateDir: {
    value: "DIR",
    help: "folder for compiled handlers",
    expected: "a folder",
    default: ".edgicorn",
    common: false,
  },
  pidFile: {
    value: "FILE|off",
    help: "file for the process id of the server",
    expected: 'a file, or "off"',
    default: "off",
    common: false,
  },
};

/** Every setting, in the order of the help text. */
// `SETTINGS` is checked to have exactly the keys of the schema.
export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** `bodyLimit` -> `body-limit`. */
export function flagName(setting: SettingName): string {
  return setting.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `bodyLimit` -> `EDGICORN_BODY_LIMIT`. */
export function environmentName(setting: SettingName): string {
  return `EDGICORN_${flagName(setting).replaceAll("-", "_").toUpperCase()}`;
}

function text(): z.ZodMiniType<string> {
  return z.string().check(z.minLength(1));
}

/** A dot or a slash tells it from what was meant as a word: `--access-log no`. */
function file(): z.ZodMiniType<string> {
  return z.string().check(z.regex(/[./]/), z.regex(/[^/]$/));
}

function off(): z.ZodMiniType<null> {
  return z.pipe(
    z.literal(["off", false]),
    z.transform(() => null),
  );
}

/** As it is compared: normalised, without a query. */
function path(): z.ZodMiniType<string> {
  return z.string().check(z.regex(/^\/[\w.~!$&'()*+,;=:@/-]*$/));
}

function port(): z.ZodMiniType<number | null> {
  return z.union([off(), wholeNumber(0, 65_535)]);
}

function host(): z.ZodMiniType<string | null> {
  const all = z.pipe(
    z.literal("*"),
    z.transform(() => null),
  );
  const address = z
    .pipe(
      z.string(),
      z.transform((value: string) => value.replace(/^\[(.*)\]$/, "$1")),
    )
    .check(z.refine((value) => isIP(value) !== 0 || isHostName(value)));
  return z.union([all, address]);
}

/** RFC 1123 section 2.1; a name of digits and dots only is a mistyped address. */
function isHostName(value: string): boolean {
  if (value.length > 253 || /^[\d.]+$/.test(value)) return false;
  return value.split(".").every((label) => /^[a-z\d](?:[a-z\d-]{0,61}[a-z\d])?$/i.test(label));
}

function wholeNumber(least: number, most: number): z.ZodMiniType<number> {
  const digits = z.pipe(z.string().check(z.regex(/^\d{1,9}$/)), z.transform(Number));
  return z.pipe(z.union([z.number(), digits]), within(least, most));
}

function size(least: number, most: number): z.ZodMiniType<number> {
  return z.pipe(quantity(parseSizeBytes), within(least, most));
}

function duration(least: number, most: number): z.ZodMiniType<number> {
  return z.pipe(quantity(parseDurationMs, mayBeMs), within(least, most));
}

function within(least: number, most: number): z.ZodMiniType<number, number> {
  return z.int().check(z.minimum(least), z.maximum(most));
}

/** Whether a bare number is one of milliseconds: to those who come from other servers `30` is seconds. */
function mayBeMs(value: number): boolean {
  return value === 0 || value >= 1_000;
}

/** A number that may stand without a unit, or text that `parse` turns into one. */
function quantity(
  parse: (value: string) => number | null,
  mayBeBare: (value: number) => boolean = () => true,
): z.ZodMiniType<number> {
  const parsed = z.pipe(
    z.pipe(
      z.string(),
      z.transform((value: string) => parse(value)),
    ),
    z.number(),
  );
  return z.union([z.number().check(z.refine(mayBeBare)), parsed]);
}

function onOff(): z.ZodMiniType<boolean> {
  return z.union([
    z.boolean(),
    z.stringbool({ truthy: ["on", "true", "1", "yes"], falsy: ["off", "false", "0", "no"] }),
  ]);
}
