import { HANDLER_NAMES } from "../handler-names.ts";
import type { SettingName } from "./settings.ts";

/** What Nginx, Gunicorn, PM2 and Node's frameworks call a setting, without dashes and underscores. */
const OTHER_NAMES: Readonly<Record<string, SettingName>> = {
  port: "http",
  httpport: "http",
  listen: "http",
  bind: "http",
  httpsport: "https",
  ssl: "https",
  tls: "https",
  hostname: "host",
  root: "public",
  static: "public",
  disablesymlinks: "publicLinks",
  followsymlinks: "publicLinks",
  symlinks: "publicLinks",
  pid: "pidFile",
  instances: "workers",
  workerprocesses: "workers",
  workerconnections: "workerConcurrency",
  threads: "workerConcurrency",
  timeout: "requestTimeout",
  proxyreadtimeout: "requestTimeout",
  gracefultimeout: "drainGrace",
  killtimeout: "drainGrace",
  maxmemoryrestart: "workerMemoryLimit",
  clientmaxbodysize: "bodyLimit",
  maxbodybytes: "bodyLimit",
  maxbodysize: "bodyLimit",
  clientbodybuffersize: "bodyBuffer",
  clientbodytimeout: "bodyTimeout",
  largeclientheaderbuffers: "headerLimit",
  limitrequestline: "urlLimit",
  limitrequestfields: "headerCountLimit",
  backlog: "queueLimit",
  maxconns: "maxConnections",
  limitconn: "maxRequestsPerAddress",
  accesslogfile: "accessLog",
  errorlog: "logFile",
  errorlogfile: "logFile",
};

const SETTINGS: ReadonlyMap<string, SettingName> = new Map([
  ...Object.entries(OTHER_NAMES),
  ...HANDLER_NAMES.map(([setting, name]) => [name.toLowerCase(), setting] as const),
]);

/** The setting that has this name in another server, or in a handler's own `config`; `null`: none that is known. */
export function findByOtherName(word: string): SettingName | null {
  return SETTINGS.get(word.replaceAll(/[-_]/g, "").toLowerCase()) ?? null;
}
