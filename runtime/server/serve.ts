import type { Operations } from "../control/operations.ts";
import { EXIT } from "../lib/errors.ts";
import { settledWithin } from "../lib/settled-within.ts";
import { toAddresses, toListeners, toPassedSockets, toSharedPorts } from "./addresses.ts";
import { announce, warnOfUnignoredFiles } from "./announce.ts";
import type { OpenServer } from "./open.ts";
import { createOperations } from "./operations.ts";
import { orderCertificates } from "./order-certificates.ts";
import { staysAsParent } from "./presence.ts";
import { createReloads } from "./reload.ts";
import type { Deputy } from "./shutdown.ts";
import type { SourceWatcher } from "./source-watcher.ts";
import type { StartCommand } from "./start-command.ts";
import { removeLeftSnapshots } from "./profile-primary.ts";
import { LiveViews } from "./live-views.ts";
import { readyTimeoutMs, type Takeover, type UpgradeOutcome } from "./takeover.ts";
import { Upgrader } from "./upgrade.ts";
import { watchCertificates } from "./watch-certificates.ts";
import { watchSources } from "./watch-sources.ts";

/** Longest wait for connections that a process keeps after an upgrade: an idle one is closed after 8 to 12 s. */
const LEAVING_MS = 15_000;

export interface ServeOptions {
  start: StartCommand;
  /** `null`: it takes the place of no other server. */
  takeover: Takeover | null;
  /** Signals go to the deputy from now on. */
  setDeputy: (deputy: Deputy) => void;
}

/** The actions of a server that other programs know of. */
export interface Serving extends Pick<Operations, "reload"> {
  resize: (change: 1 | -1) => void;
  /** Begins an upgrade, unless one runs. The log has the outcome. */
  upgrade: () => void;
  /** Gives up an upgrade that runs. Resolves when its process is gone. */
  abortUpgrade: () => Promise<void>;
  /** Ends this process once it has answered the last requests of its clients: another process serves. */
  leaveAndExit: () => Promise<void>;
}

/**
 * Makes an open server known: to the server whose place it takes, to operators, systemd and developers.
 *
 * @throws RuntimeError `ERR_LISTEN` when the pid file cannot be written; the server is closed then.
 */
export async function serve(server: OpenServer, options: ServeOptions): Promise<Serving> {
  const { log, logs, presence, primary, admin, warnings } = server;
  const { start, takeover, setDeputy } = options;
  const { mode, pidFile, bootTimeoutMs, stateDir } = primary.config;
  void removeLeftSnapshots(stateDir);

  let watcher: SourceWatcher | null = null;
  let leaving: Promise<void> | null = null;
  const certificates = watchCertificates(server);
  const orders = orderCertificates(server, certificates);
  const leave = (): Promise<void> => {
    primary.stopCron();
    presence.withdraw();
    admin?.server.close();
    watcher?.close();
    certificates.close();
    void orders.close();
    leaving ??= primary.leave(primary.config.drainGraceMs);
    return leaving;
  };
  const stays = staysAsParent({
    pid: process.pid,
    hasPidFile: pidFile !== null,
    hasServiceManager: (process.env["NOTIFY_SOCKET"] ?? "") !== "",
    isLaunched: presence.isLaunched,
  });
  const upgrader = new Upgrader({
    log,
    start,
    timeoutMs: readyTimeoutMs(bootTimeoutMs),
    stays,
    listeners: () => toSharedPorts(primary),
    setDeputy,
    // A parent that stays is still the process that systemd or the shell knows.
    handOver: async (pid) => {
      // From here on, the new process begins the runs of handlers with times.
      primary.stopCron();
      return stays ? presence.withdraw() : presence.handOver(pid);
    },
    leave,
    close: () => primary.close(primary.config.drainGraceMs),
    answered: () => presence.answered(),
  });
  if (takeover !== null) takeover.sockets = () => toPassedSockets(primary);
  const upgrade = async (): Promise<UpgradeOutcome> => {
    if (takeover?.isWaiting === true) {
      const message = "this server is still taking the place of another one, try again";
      return { kind: "refused", message };
    }
    // The guardian must be the parent of each server.
    return takeover?.isGuarded === true ? takeover.upgrade(bootTimeoutMs) : upgrader.upgrade();
  };
  const reloads = createReloads(server, {
    start,
    async upgradeAndLeave() {
      const outcome = await upgrade();
      // From then on the new process answers every request.
      if (outcome.kind === "moved") await settledWithin(leave(), LEAVING_MS);
      return outcome;
    },
  });
  const reload: Operations["reload"] = async () => {
    const report = await reloads.reload();
    void orders.update();
    return report;
  };
  if (mode === "development") watcher = await watchSources(server, reload);
  const lostLogLines = (): number => logs.lostLines;
  const live = new LiveViews({ primary, mode, lostLogLines, log });
  const operations = createOperations({
    primary,
    mode,
    lostLogLines,
    log,
    live,
    ...reloads,
    reload,
  });
  admin?.serve(operations);
  const { manifest } = primary.generation;
  try {
    await presence.announce(operations, {
      listeners: toListeners(primary),
      addresses: toAddresses(primary),
      facts: { generation: manifest.id, warnings: [...warnings, ...manifest.warnings] },
    });
  } catch (error) {
    await primary.destroy();
    throw error;
  }
  admin?.server.takeOver();
  // The process that served before begins no more runs.
  primary.startCron();
  // After that: a reader of the log may look for the pid file and the control socket at once.
  announce(server);
  void orders.update();
  void warnOfUnignoredFiles(server);
  return {
    reload,
    resize: (change) =>
      log.info({ workers: primary.handlers.resize(change) }, "number of workers changed"),
    upgrade() {
      if (takeover?.isUpgrading === true || upgrader.isUpgrading) {
        log.warn("upgrade ignored: another one is under way");
      } else {
        void upgrade();
      }
    },
    abortUpgrade: () => upgrader.abort(),
    async leaveAndExit() {
      await leave();
      await presence.answered();
      process.exit(EXIT.drained);
    },
  };
}
