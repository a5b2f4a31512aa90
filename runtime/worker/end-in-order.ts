import type { Logger } from "../log/log.ts";
import type { BackgroundWork } from "./background-work.ts";
import type { Exchanges } from "./exchanges.ts";
import type { Grace } from "./grace.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { WorkerSockets } from "./sockets.ts";

/** The parts of a worker that end, one after the other. `null`: the worker has none. */
export interface EndingParts {
  exchanges: Pick<Exchanges, "idle"> | null;
  sockets: Pick<WorkerSockets, "idle" | "busy">;
  background: Pick<BackgroundWork, "settled" | "inFlight" | "byRoute">;
  lifecycle: Pick<Lifecycle, "dispose"> | null;
  bindings: { close(): Promise<void> } | null;
  log: Logger;
  /** Called before each `dispose`, with the name of the file. */
  onDispose: (source: string) => void;
}

/**
 * Ends the code of a draining worker: waits for its exchanges, WebSockets and background work, runs `dispose` and closes
 * the stores of bindings. Never rejects.
 *
 * The primary aborts exchanges that take too long. The waits for the others end with the grace, except its last part: the log
 * then names the work that is lost, and `dispose` runs all the same.
 */
export async function endInOrder(parts: EndingParts, grace: Grace): Promise<void> {
  const { exchanges, sockets, background, lifecycle, bindings, log, onDispose } = parts;
  // A stop may shorten the grace meanwhile.
  const graceMs = (): number => Math.round(grace.totalMs);
  await exchanges?.idle();
  if (!(await grace.outlasts(sockets.idle()))) {
    const fields = { pending: sockets.busy, graceMs: graceMs() };
    log.error(fields, "WebSockets cut off: they have not ended within the grace");
  }
  if (!(await grace.outlasts(background.settled()))) {
    const { inFlight: promises, byRoute: routes } = background;
    const fields = { promises, routes, graceMs: graceMs() };
    log.error(fields, "waitUntil() promises cut off: they have not settled within the grace");
  }
  await lifecycle?.dispose({ graceMs: grace.leftMs, log, onDispose });
  if (bindings === null) return;
  const closing = closeBindings(bindings, log);
  if (await grace.outlasts(closing, { usesReserve: true })) return;
  log.warn({ graceMs: graceMs() }, "a store of bindings has not closed within the grace");
}

async function closeBindings(bindings: { close(): Promise<void> }, log: Logger): Promise<void> {
  try {
    await bindings.close();
  } catch (error) {
    log.warn({ err: error }, "a store of bindings did not close");
  }
}
