import { listEffective } from "../config/list-effective.ts";
import { listNamedSites } from "../config/sites.ts";
import type { Operations, RecycleReport, Status } from "../control/operations.ts";
import { RuntimeError } from "../lib/errors.ts";
import { packageVersion } from "../lib/package-version.ts";
import type { Logger } from "../log/log.ts";
import type { Primary } from "../primary.ts";
import { isDue } from "../tls/check-certificate.ts";
import { profileWorker } from "./profile.ts";
import { profilePrimary } from "./profile-primary.ts";
import { toListeners } from "./addresses.ts";
import type { LiveViews } from "./live-views.ts";

export interface OperationsOptions extends Pick<Operations, "reload" | "rollback" | "restarts"> {
  primary: Primary;
  mode: Status["mode"];
  /** Returns how many lines of its logs were lost. */
  lostLogLines: () => number;
  log: Logger;
  live: LiveViews;
}

/** Creates the commands for operators of this server. The given reload and rollback also notify the service manager. */
export function createOperations({
  primary,
  mode,
  lostLogLines,
  log,
  live,
  reload,
  rollback,
  restarts,
}: OperationsOptions): Operations {
  return {
    reload,
    rollback,
    restarts,
    generations: () => primary.generations(),
    purge: async (entries) => ({ purged: await primary.cache.purgeNamed(entries) }),
    explain: (question) => primary.explain(question),
    config: () => listEffective(primary.config),
    routes: () => primary.generation.listRoutes(),
    profile: ({ target, kind, seconds }, signal) =>
      target === "primary"
        ? profilePrimary({ kind, seconds }, { stateDir: primary.config.stateDir, signal })
        : profileWorker(primary.handlers.pools, { target, kind }, signal),
    shadow: (request, signal) => primary.shadow(request, signal),
    cron: () => primary.cronJobs,
    runCron: (route, cron) => primary.runCron(route, cron),
    resize: (change) => primary.handlers.resize(change),
    status: () => readStatus({ primary, mode, lostLogLines }),
    recycle: (worker) => recycle(primary, { worker, log }),
    drain(isDraining) {
      primary.setOutOfRotation(isDraining);
      const text = isDraining
        ? "taken out of rotation: readiness probes fail, and the server serves on"
        : "back in rotation: readiness probes succeed again";
      log.info(text);
      primary.counters.events.add({ kind: "drain", isGood: true, text });
      return { draining: isDraining };
    },
    look: () => live.look(),
    watch: (reader) => live.watch(reader),
  };
}

function recycle(
  primary: Primary,
  { worker, log }: { worker: number; log: Logger },
): RecycleReport {
  const pool = primary.handlers.recycle(worker);
  if (pool === null) {
    const message = `Cannot recycle worker ${worker}: no ready worker has this number, expected one of "edgicorn status"`;
    throw new RuntimeError("ERR_CONFIG", message);
  }
  log.info({ workerId: worker, pool }, "worker is replaced: an operator asks for it");
  primary.counters.events.add({
    kind: "recycle",
    isGood: true,
    text: `worker ${worker} of pool ${pool} is replaced on command`,
  });
  return { worker, pool };
}

/** Returns the present state of a server. */
export function readStatus({
  primary,
  mode,
  lostLogLines,
}: Pick<OperationsOptions, "primary" | "mode" | "lostLogLines">): Status {
  const { generation, config } = primary;
  const sites = listNamedSites(config).map(({ name, hosts }) => ({
    name,
    hosts: [...hosts],
    routes: generation.routesOf(name)?.count ?? 0,
  }));
  const { upstreams, cacheInfo, cronJobs, queues } = primary;
  return {
    pid: process.pid,
    version: packageVersion(),
    library: primary.library,
    mode,
    startedAt: new Date(performance.timeOrigin).toISOString(),
    generation: generation.manifest.id,
    routes: generation.manifest.routes.length,
    ...(sites.length > 0 && { sites }),
    rolledBackFrom: primary.stored.rolledBackFrom,
    listeners: toListeners(primary),
    pools: [...generation.pools].map(([name, { workers }]) => ({ name, workers })),
    retiring: primary.handlers.retiring.map(({ plan: { name }, manifest: { id }, workers }) => ({
      name,
      generation: id,
      workers,
    })),
    traffic: primary.traffic,
    ...(upstreams.length > 0 && { upstreams }),
    ...(cacheInfo !== null && { cache: cacheInfo }),
    ...(cronJobs.length > 0 && { cron: cronJobs }),
    ...(queues.length > 0 && { queues }),
    certificates: primary.certificates.map(({ names, notBeforeMs, notAfterMs }) => ({
      names,
      notAfter: new Date(notAfterMs).toISOString(),
      isDue: isDue({ notBeforeMs, notAfterMs }, Date.now()),
    })),
    lostLogLines: lostLogLines(),
  };
}
