import { findChangedSettings, findRestarts } from "../config/reload-effect.ts";
import type { Operations, ReloadReport } from "../control/operations.ts";
import { leaveDeletedFolder } from "../lib/deleted-folder.ts";
import { RuntimeError, toError } from "../lib/errors.ts";
import type { OpenServer } from "./open.ts";
import { findWhereabouts, type StartCommand, type Whereabouts } from "./start-command.ts";
import type { UpgradeOutcome } from "./takeover.ts";

/** Longest time to read the settings: longer than a config file may take. */
const READ_CONFIG_MS = 30_000;

export interface ReloadOptions {
  start: StartCommand;
  /** Starts the program anew in this server's place. Resolves when this process has left its connections, or soon. */
  upgradeAndLeave: () => Promise<UpgradeOutcome>;
}

/** Creates the operations that replace handlers and settings. They log their outcome and report it to systemd. */
export function createReloads(
  server: OpenServer,
  { start, upgradeAndLeave }: ReloadOptions,
): Pick<Operations, "reload" | "rollback" | "restarts"> {
  const { presence, primary, readConfig } = server;
  return {
    reload: () =>
      presence.whileReloading(() => {
        const found = findWhereabouts(start);
        // In development the watcher stays in the folder of the start.
        return found.kind === "same" || primary.config.mode === "development"
          ? runAndLog(server, { kind: "reload", run: () => primary.reload() })
          : followLink(server, { start, found, upgradeAndLeave });
      }),
    rollback: (id) =>
      presence.whileReloading(() =>
        runAndLog(server, { kind: "rollback", run: () => primary.rollback(id) }),
      ),
    async restarts() {
      // A reload starts the program anew in the other folder.
      if (findWhereabouts(start).kind === "moved") return [];
      const wanted = await readConfig(AbortSignal.timeout(READ_CONFIG_MS));
      const restarts = findRestarts(findChangedSettings(primary.config, wanted));
      return restarts.map(({ name, before, after }) => ({ name, before, after }));
    },
  };
}

/** @throws The error of `run`, after logging it. */
async function runAndLog(
  { primary, log }: OpenServer,
  { kind, run }: { kind: "reload" | "rollback"; run: () => Promise<ReloadReport> },
): Promise<ReloadReport> {
  const startedAtMs = performance.now();
  const note = (outcome: "done" | "refused"): void =>
    primary.counters.reloads.note(kind, outcome, performance.now() - startedAtMs);
  const tell = (event: { isGood: boolean; text: string }): void =>
    primary.counters.events.add({ kind, ...event });
  try {
    const warning = leaveDeletedFolder();
    if (warning !== null) log.warn(warning);
    const report = await run();
    note("done");
    const { generation, durationMs, pools, settings } = report;
    tell({ isGood: true, text: describeChange(report) });
    const routes = primary.generation.manifest.routes.length;
    const done = kind === "reload" ? "reloaded" : "rolled back";
    log.info({ generation, routes, durationMs, pools, settings }, done);
    return report;
  } catch (error) {
    const code = error instanceof RuntimeError ? error.code : undefined;
    if (code === "ERR_DRAINING") log.info(`${kind} given up: the server stops`);
    else {
      note("refused");
      tell({ isGood: false, text: `refused: ${toError(error).message}` });
      log.error({ code }, `${kind} refused, nothing has changed: ${toError(error).message}`);
    }
    throw error;
  }
}

/** Describes a reload in one line: `generation g2 serves after 900 ms: pool default replaced; settings admin`. */
function describeChange({ generation, durationMs, pools, settings }: ReloadReport): string {
  const changed = pools.filter(({ change }) => change !== "kept");
  const parts = [
    ...changed.map(({ name, change }) => `pool ${name} ${change}`),
    ...(settings.length === 0 ? [] : [`settings ${settings.join(", ")}`]),
  ];
  const changes = parts.length === 0 ? "nothing has changed" : parts.join("; ");
  return `generation ${generation} serves after ${durationMs} ms: ${changes}`;
}

/**
 * Starts the program anew in the folder to which the link leads by now, as SIGUSR2 does: with the handlers, files,
 * settings and certificates of that folder, and its own state folder (decisions/029).
 *
 * @throws RuntimeError `ERR_BOOT_LOOP` that names the folder that serves on; it has been logged.
 */
async function followLink(
  { primary, log }: OpenServer,
  { start, found, upgradeAndLeave }: ReloadOptions & { found: Whereabouts },
): Promise<ReloadReport> {
  const { cwd: link, startedIn: from } = start;
  const startedAtMs = performance.now();
  const refuse = (reason: string): RuntimeError => {
    const message = `Cannot reload, so ${from} serves on: ${reason}`;
    log.error({ link, from }, `reload refused, nothing has changed: ${message}`);
    return new RuntimeError("ERR_BOOT_LOOP", message);
  };
  if (found.kind !== "moved") {
    throw refuse(`found that ${link} leads nowhere, expected a link to the folder to serve`);
  }
  const { target: to } = found;
  log.info(
    { link, from, to },
    "reloading: the link leads to another folder, the program starts anew there",
  );
  const previous = primary.generation.manifest.id;
  const outcome = await upgradeAndLeave();
  if (outcome.kind === "refused") {
    const reason = outcome.message.replace(/^Cannot upgrade: /, "");
    throw refuse(`${link} leads to ${to} now, where a server does not start:\n${reason}`);
  }
  const { pid, facts } = outcome;
  return {
    generation: facts.generation ?? "",
    previous,
    durationMs: Math.round(performance.now() - startedAtMs),
    pools: [],
    settings: [],
    warnings: [...facts.warnings],
    moved: { link, from, to, pid },
  };
}
