import { lookup } from "node:dns/promises";
import { dirname } from "node:path";
import { toDisplayPath } from "../lib/display-path.ts";
import { findAcmeProblems } from "./acme.ts";
import { findAdminProblems } from "./admin-problems.ts";
import {
  findBindingProblems,
  findQueueProblems,
  findSharedStoreProblem,
} from "./binding-settings.ts";
import { describeValue } from "./config-file.ts";
import type { Config } from "./config.ts";
import { findContained } from "./contained-folders.ts";
import { isFolder } from "./is-folder.ts";
import type { Origins } from "./origins.ts";
import { findProxyProblems, listProxies } from "./proxies.ts";
import { readFolderRules } from "./rule-files.ts";
import { expectedOf } from "./settings.ts";
import { listNamedSites, listPublicDirs, listSiteCertificates } from "./sites.ts";
import { findSuitesProblem } from "./tls-suites.ts";
import { findWriteObstacle } from "./write-obstacle.ts";

/** Returns the problems of a config whose single values are valid: folders, ports, and settings that contradict each other. */
export async function findConfigProblems(config: Config, origins: Origins): Promise<string[]> {
  return [
    ...findPortProblems(config, origins),
    ...findEngineProblems(config, origins),
    ...findRedirectProblems(config, origins),
    ...findProxyProblems(config, { proxy: origins.proxy.label, spa: origins.spa.label }),
    ...findWorkerProblems(config, origins),
    ...findMountProblems(config),
    ...findSiteProblems(config, origins),
    ...findAcmeProblems(config.acme, config),
    ...findAdminProblems(config, origins.admin.label),
    ...findBindingProblems(config),
    ...findQueueProblems(config.bindings),
    ...findSharedStoreProblem(config.relayStore, {
      stores: config.stores,
      label: origins.relayStore.label,
    }),
    ...findSharedStoreProblem(config.cronStore, {
      stores: config.stores,
      label: origins.cronStore.label,
    }),
    ...findSpoolProblems(config, origins),
    ...findFolderProblems(config, origins),
    ...findLogFileProblems(config, origins),
    ...findExposedPaths(config, origins),
    ...(await findFolderRuleProblems(config)),
    ...(await findSuiteProblems(config, origins)),
    ...(await findHostProblems(config, origins)),
  ];
}

function findPortProblems({ httpPort, httpsPort }: Config, { http, https }: Origins): string[] {
  if (httpPort === null && httpsPort === null) {
    return [
      `Cannot listen: ${http.label} and ${https.label} are both off, expected at least one port`,
    ];
  }
  if (httpPort === httpsPort && httpPort !== 0) {
    return [
      `Cannot listen: ${http.label} and ${https.label} are both ${httpPort}, expected two ports`,
    ];
  }
  return [];
}

/** Refuses HTTP/2 on a port that the operator gave to uWebSockets.js. */
function findEngineProblems({ engine, http2, h2c }: Config, origins: Origins): string[] {
  if (typeof engine === "string") return [];
  const asked = [
    { scheme: "https", has: http2, by: origins.http2.label },
    { scheme: "http", has: h2c, by: origins.h2c.label },
  ] as const;
  return asked
    .filter(({ scheme, has }) => has && engine[scheme] === "uws")
    .map(
      ({ scheme, by }) =>
        `Cannot use ${origins.engine.label}: found "uws" for ${scheme} beside ${by}, ` +
        'expected "node" or "auto": uWebSockets.js has no HTTP/2',
    );
}

/** Refuses redirects to HTTPS that a client could only follow in circles: all its requests seem to come over HTTP. */
function findRedirectProblems(config: Config, { https, ...origins }: Origins): string[] {
  const { httpsPort, trustedProxies, sites } = config;
  if (httpsPort !== null || trustedProxies !== null) return [];
  const keys = [
    ...(config.httpsRedirect ? [origins.httpsRedirect.label] : []),
    ...sites.flatMap(({ name, own }) =>
      own.httpsRedirect === true ? [`sites[${JSON.stringify(name)}].httpsRedirect`] : [],
    ),
  ];
  return keys.map(
    (label) =>
      `Cannot use ${label}: found no port for HTTPS (${https.label} is off), ` +
      "expected one, or in trustedProxies the proxy that ends TLS",
  );
}

function findWorkerProblems({ workers, maxWorkers }: Config, origins: Origins): string[] {
  if (maxWorkers >= workers) return [];
  return [
    `Cannot use ${origins.maxWorkers.label}: found ${maxWorkers}, expected at least ${workers}, ` +
      `as ${origins.workers.label} says`,
  ];
}

/** Refuses a spool limit that leaves no room for a body of the largest size. */
function findSpoolProblems(config: Config, { spoolLimit, bodyLimit }: Origins): string[] {
  const { bodyOverflow, spoolLimitBytes, bodyLimitBytes } = config;
  if (bodyOverflow !== "spool" || spoolLimitBytes >= bodyLimitBytes) return [];
  return [
    `Cannot use ${spoolLimit.label}: found ${spoolLimitBytes} bytes, expected at least ${bodyLimitBytes}, ` +
      `as ${bodyLimit.label} says, since bodies are spooled`,
  ];
}

function findFolderProblems(config: Config, origins: Origins): string[] {
  const problems: string[] = [];
  // An application, a site and a proxy need no handlers. A folder that the operator names must be there.
  const others = config.apps.length + listNamedSites(config).length + listProxies(config).length;
  const needsHandlers = others === 0 || !origins.handlers.isDefault;
  if (needsHandlers && !isFolder(config.handlersDir)) {
    problems.push(
      `Cannot use ${origins.handlers.label}: found no folder ${config.handlersDir}, ` +
        'expected the folder of the handlers (create it, such as with "edgicorn init", or name another with --handlers DIR)',
    );
  }
  for (const { dir, mount, site } of config.apps) {
    if (isFolder(dir)) continue;
    const place = site === undefined ? "" : `sites[${JSON.stringify(site)}].`;
    const own = place !== "" && mount === "" ? "appDir" : `mounts["${mount || "/"}"].dir`;
    const label = dir === config.appDir ? origins.appDir.label : `${place}${own}`;
    problems.push(
      `Cannot use ${label}: found no folder ${dir}, expected the folder of the Python application`,
    );
  }
  if (config.publicDir !== null && !isFolder(config.publicDir)) {
    problems.push(
      `Cannot use ${origins.public.label}: found no folder ${config.publicDir}, ` +
        'expected the folder of the static files, or "off"',
    );
  }
  // A self-signed certificate must not replace one that the operator named.
  const needsCerts = config.httpsPort !== null && !origins.certs.isDefault;
  if (needsCerts && !isFolder(config.certsDir)) {
    problems.push(
      `Cannot use ${origins.certs.label}: found no folder ${config.certsDir}, ` +
        "expected the folder of the certificates (without it, one for localhost is made in certs/)",
    );
  }
  if (config.pidFile !== null && !isFolder(dirname(config.pidFile))) {
    problems.push(
      `Cannot use ${origins.pidFile.label}: found no folder ${dirname(config.pidFile)}, ` +
        "expected a file in a folder that exists",
    );
  }
  return problems;
}

function findLogFileProblems({ logFile, accessLog, sites }: Config, origins: Origins): string[] {
  const problems = sites.flatMap(({ name, own: { accessLog: path } }) => {
    const obstacle = typeof path === "string" ? findWriteObstacle(path) : null;
    if (obstacle === null) return [];
    const label = `sites[${JSON.stringify(name)}].accessLog`;
    return [
      `Cannot use ${label}: found ${obstacle}, expected a file that can be written, in a folder that exists`,
    ];
  });
  for (const [name, path] of Object.entries({ logFile, accessLog })) {
    const obstacle = typeof path === "string" ? findWriteObstacle(path) : null;
    if (obstacle === null) continue;
    // The keys of the object above.
    const { label } = origins[name as "logFile" | "accessLog"];
    problems.push(
      `Cannot use ${label}: found ${obstacle}, expected a file that can be written, in a folder that exists`,
    );
  }
  return problems;
}

/** Checks the files of rules in the public folders. */
async function findFolderRuleProblems(config: Config): Promise<string[]> {
  const read = await Promise.all(
    listPublicDirs(config).map((dir) => readFolderRules(dir, toDisplayPath(dir))),
  );
  return read.flatMap(({ problems }) => problems);
}

/** Returns a problem for each secret file or folder in a public folder, which every client can read. */
function findExposedPaths(config: Config, origins: Origins): string[] {
  const { publicDir, configFile, envFiles, logFile, accessLog, sites } = config;
  const labels = new Map<string, string>();
  for (const { name, publicDir: dir } of sites) {
    if (dir !== null) labels.set(dir, `sites[${JSON.stringify(name)}].public`);
  }
  if (publicDir !== null) labels.set(publicDir, origins.public.label);
  const secrets = [
    { path: config.handlersDir, content: "the handlers" },
    ...sites.flatMap(({ name, handlersDir: path }) =>
      path === null ? [] : [{ path, content: `the handlers of ${name}` }],
    ),
    { path: config.certsDir, content: "the private keys" },
    ...listSiteCertificates(config).map((certs) => ({
      path: "dir" in certs ? certs.dir : certs.keyPath,
      content: "a private key",
    })),
    { path: config.stateDir, content: "the compiled handlers" },
    ...(config.cacheDir === null ? [] : [{ path: config.cacheDir, content: "stored answers" }]),
    ...config.apps.map(({ dir }) => ({ path: dir, content: "the Python application" })),
    ...config.bindings.flatMap(({ value }) =>
      value.kind === "secret" ? [{ path: value.file, content: "a secret" }] : [],
    ),
    ...(configFile === null ? [] : [{ path: configFile, content: "the config file" }]),
    ...envFiles.map((path) => ({ path, content: "environment variables" })),
    ...(logFile === null ? [] : [{ path: logFile, content: "the log" }]),
    ...[accessLog, ...sites.map(({ own }) => own.accessLog)].flatMap((path) =>
      typeof path === "string" ? [{ path, content: "an access log" }] : [],
    ),
  ];
  return findContained([...labels.keys()], secrets).map(
    ({ folder, found: { path, content } }) =>
      `Cannot use ${labels.get(folder)}: found that ${folder} contains ${content} (${path}), ` +
      "expected a folder whose files every client may read",
  );
}

/** Refuses a server that would refuse every request. */
function findSiteProblems({ unknownHost, sites }: Config, origins: Origins): string[] {
  if (unknownHost === "default" || sites.some(({ hosts }) => hosts.length > 0)) return [];
  return [
    `Cannot use ${origins.unknownHost.label}: found "refuse" and no site with a host name, ` +
      'expected a site in "sites", or "default"',
  ];
}

async function findSuiteProblems({ tlsCiphers }: Config, origins: Origins): Promise<string[]> {
  const problem = await findSuitesProblem(tlsCiphers);
  if (problem === null) return [];
  return [
    `Cannot use ${origins.tlsCiphers.label}: found ${describeValue(tlsCiphers)} (${problem}), ` +
      `expected ${expectedOf("tlsCiphers")}`,
  ];
}

async function findHostProblems({ host }: Config, origins: Origins): Promise<string[]> {
  if (host === null) return [];
  try {
    await lookup(host);
    return [];
  } catch {
    return [
      `Cannot use ${origins.host.label}: found ${describeValue(host)}, which has no address, ` +
        `expected ${expectedOf("host")}`,
    ];
  }
}

/** Two applications for one path would hide each other. */
function findMountProblems({ apps }: Config): string[] {
  const seen = new Set<string>();
  return apps.flatMap(({ mount, site = "" }) => {
    const key = `${site} ${mount}`;
    const isNew = !seen.has(key);
    seen.add(key);
    const path = mount === "" ? "/" : mount;
    const place = site === "" ? "" : `sites[${JSON.stringify(site)}].`;
    return isNew
      ? []
      : [
          `Cannot use ${place}mounts["${path}"]: found two applications for this path, expected one`,
        ];
  });
}
