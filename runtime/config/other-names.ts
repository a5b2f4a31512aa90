import type { SettingName } from "./settings.ts";

/** What Nginx, Gunicorn, PM2, Node's frameworks and handlers call a setting, without dashes and underscores. */
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
  // A handler's own `config` has them with their units.
  timeoutms: "requestTimeout",
  bodylimitbytes: "bodyLimit",
  bodybufferbytes: "bodyBuffer",
  overflow: "bodyOverflow",
  bodytimeoutms: "bodyTimeout",
  minbodyratebytespersecond: "minBodyRate",
  sendtimeoutms: "sendTimeout",
};

/** The setting that has this name in another server; `null`: none that is known. */
export function findByOtherName(word: string): SettingName | null {
  const key = word.replaceAll(/[-_]/g, "").toLowerCase();
  return Object.hasOwn(OTHER_NAMES, key) ? (OTHER_NAMES[key] ?? null) : null;
}
