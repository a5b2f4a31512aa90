import type { Config } from "../config/config.ts";
import { describeEnvFiles } from "../config/env-files.ts";
import { listProxies } from "../config/proxies.ts";
import { listNamedSites, SITES_FOLDER } from "../config/sites.ts";
import { toDisplayPath } from "../lib/display-path.ts";
import { packageVersion } from "../lib/package-version.ts";
import { pickLogLook } from "../log/log.ts";
import type { Primary } from "../primary.ts";
import type { LoadedCertificates } from "../tls/tls.ts";
import { toAddresses, toListeners } from "./addresses.ts";
import { type BannerInfo, formatBanner, resolveTerminal } from "./banner.ts";
import type { OpenServer } from "./open.ts";
import { describeUnignoredFiles } from "./unignored-files.ts";

/** Announces a server that serves: by a banner on a terminal, by one log line for a program. */
export function announce({ certificates, log, primary }: OpenServer): void {
  const { config, generation } = primary;
  const terminal = { isTTY: process.stderr.isTTY, env: process.env };
  if (pickLogLook(config.logFormat, terminal).pretty) {
    const info = toBannerInfo(primary, certificates);
    process.stderr.write(formatBanner(info, resolveTerminal(process.stderr, process.env)));
    if (config.logFile === null) return;
  }
  const sites = listNamedSites(config).length;
  log.info(
    {
      addresses: toAddresses(primary),
      listeners: toListeners(primary),
      generation: generation.manifest.id,
      routes: generation.manifest.routes.length,
      ...(sites > 0 && { sites }),
      workers: generation.workerPids.length,
      ...(config.envFiles.length > 0 && { envFiles: config.envFiles.map(toDisplayPath) }),
      startedInMs: Math.round(performance.now()),
    },
    "listening",
  );
}

/** Warns of secret files that Git does not ignore. Call it once the server serves: Git may take its time. */
export async function warnOfUnignoredFiles({ log, primary }: OpenServer): Promise<void> {
  for (const line of await describeUnignoredFiles(primary.config)) log.warn(line);
}

function toBannerInfo(primary: Primary, certificates: LoadedCertificates | null): BannerInfo {
  const { config, generation, files } = primary;
  const { mode, handlersDir, publicDir } = config;
  return {
    version: packageVersion(),
    mode,
    addresses: toAddresses(primary),
    routes: generation.describeRoutes(),
    handlersDir: toDisplayPath(handlersDir),
    sites: listNamedSites(config).map(({ name }) => name),
    proxies: [...new Set(listProxies(config).map(({ proxy }) => proxy.group))],
    publicFiles:
      files.stats === null
        ? null
        : {
            dir: publicDir === null ? SITES_FOLDER : toDisplayPath(publicDir),
            count: files.stats.files,
          },
    variables: describeEnvFiles(config, process.cwd()),
    workers: generation.workerPids.map((pid) => ({ pid })),
    certificate: certificates === null ? null : toBannerCertificate(certificates, config),
    library: primary.chosenLibrary,
    engine: primary.engineNote,
    pid: process.pid,
    startedInMs: performance.now(),
  };
}

function toBannerCertificate(
  { certificates, created }: LoadedCertificates,
  { certsDir }: Config,
): BannerInfo["certificate"] {
  return {
    origin: certificates[0].origin,
    dir: toDisplayPath(certsDir),
    created,
    names: certificates.flatMap(({ names }) => names),
    notAfterMs: Math.min(...certificates.map(({ notAfterMs }) => notAfterMs)),
  };
}
