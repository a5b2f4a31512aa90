import type { Operations, ReloadReport, Status } from "../control/operations.ts";
import type { Primary } from "../primary.ts";

export interface OperationsOptions {
  primary: Primary;
  mode: Status["mode"];
  version: string;
  /** Reloads, and tells others besides. */
  reload: () => Promise<void>;
}

/** What operators may ask of this server. */
export function createOperations({
  primary,
  mode,
  version,
  reload,
}: OperationsOptions): Pick<Operations, "reload" | "status"> {
  return {
    async reload(): Promise<ReloadReport> {
      const startedAtMs = performance.now();
      const previous = primary.generation.manifest.id;
      await reload();
      const { generation } = primary;
      return {
        generation: generation.manifest.id,
        previous,
        durationMs: Math.round(performance.now() - startedAtMs),
        pools: [
          {
            name: POOL,
            change: "replaced",
            reasons: ["the handlers were built anew"],
            workers: generation.workers.length,
          },
        ],
        settings: [],
      };
    },
    status(): Status {
      const { generation, listeners } = primary;
      return {
        pid: process.pid,
        version,
        mode,
        startedAt: new Date(performance.timeOrigin).toISOString(),
        generation: generation.manifest.id,
        routes: generation.manifest.routes.length,
        listeners: listeners.map(({ scheme, port }) => ({ scheme, port })),
        pools: [{ name: POOL, workers: generation.workers }],
      };
    },
  };
}

/** All workers are in one pool. */
const POOL = "default";
