import type { ReloadReport } from "../control/operations.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import type { Primary } from "../primary.ts";
import { leaveDeletedFolder } from "../lib/deleted-folder.ts";
import type { Whereabouts } from "./start-command.ts";
import type { Upgrader } from "./upgrade.ts";

interface Running {
  log: Logger;
  primary: Primary;
}

/**
 * Has the program started anew in the folder that the link leads to by now, as SIGUSR2 does: with the handlers, files,
 * settings and certificates of that folder, and its own state folder (decisions/029).
 *
 * @throws RuntimeError `ERR_BOOT_LOOP` that names the folder that serves on; it has been logged.
 */
export async function followLink(
  { primary, log }: Running,
  {
    link,
    from,
    found,
    upgrader,
  }: { link: string; from: string; found: Whereabouts; upgrader: Upgrader | null },
): Promise<ReloadReport> {
  const startedAtMs = performance.now();
  const refuse = (reason: string): RuntimeError => {
    const message = `Cannot reload, so ${from} serves on: ${reason}`;
    log.error({ link, from }, `reload refused, nothing has changed: ${message}`);
    return new RuntimeError("ERR_BOOT_LOOP", message);
  };
  if (found.kind !== "moved") {
    throw refuse(`found that ${link} leads nowhere, expected a link to the folder to serve`);
  }
  if (upgrader === null) {
    throw refuse("this server is still taking the place of another one, try again");
  }
  const { target: to } = found;
  log.info(
    { link, from, to },
    "reloading: the link leads to another folder, the program starts anew there",
  );
  const previous = primary.generation.manifest.id;
  const outcome = await upgrader.upgradeAndLeave();
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

/** @throws The error of `Primary.reload` and `Primary.rollback`, after logging it. */
export async function moveAndTell(
  { primary, log }: Running,
  kind: "reload" | "rollback",
  id?: string,
): Promise<ReloadReport> {
  try {
    const warning = leaveDeletedFolder();
    if (warning !== null) log.warn(warning);
    const report = await (kind === "reload" ? primary.reload() : primary.rollback(id));
    const { generation, durationMs, pools, settings } = report;
    const routes = primary.generation.manifest.routes.length;
    const done = kind === "reload" ? "reloaded" : "rolled back";
    log.info({ generation, routes, durationMs, pools, settings }, done);
    return report;
  } catch (error) {
    const { message } = error instanceof Error ? error : new Error(String(error));
    const code = error instanceof RuntimeError ? error.code : undefined;
    if (code === "ERR_DRAINING") log.info(`${kind} given up: the server stops`);
    else log.error({ code }, `${kind} refused, nothing has changed: ${message}`);
    throw error;
  }
}
