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
  clientbodybuffersize: "bodyBuffer",
  clientbodytimeout: "bodyTimeout",
  largeclientheaderbuffers: "headerLimit",
  limitrequestline: "urlLimit",
  limitrequestfields: "headerCountLimit",
  backlog: "queueLimit",
  accesslogfile: "accessLog",
  errorlog: "logFile",
  errorlogfile: "logFile",
};

/** The setting that has this name in another server; `null`: none that is known. */
export function findByOtherName(word: string): SettingName | null {
  const key = word.replaceAll(/[-_]/g, "").toLowerCase();
  return Object.hasOwn(OTHER_NAMES, key) ? (OTHER_NAMES[key] ?? null) : null;
}
