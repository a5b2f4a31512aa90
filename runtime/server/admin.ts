import type { AdminServer } from "../admin/admin-server.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../log/log.ts";
import { STARTING } from "../observe/readiness.ts";
import type { Primary } from "../primary.ts";
import { readStatus } from "./operations.ts";

export interface AdminOptions {
  config: Pick<Config, "admin" | "adminTokenDigest" | "mode">;
  log: Logger;
  /** Returns the primary; `null`: it has not started yet. */
  primary: () => Primary | null;
  /** Returns how many lines of the logs were lost. */
  lostLogLines: () => number;
  isSuccessor: boolean;
}

/**
 * Opens the admin listener, and loads the code for it only then. Returns `null` without the setting `admin`.
 *
 * @throws RuntimeError `ERR_LISTEN` when the address cannot be used.
 */
export async function openAdmin(options: AdminOptions): Promise<AdminServer | null> {
  const { config, log, primary, lostLogLines, isSuccessor } = options;
  const { admin: address, mode } = config;
  if (address === null) return null;
  const [{ AdminServer: Created }, { createHealthPages }, { createMetricsPage }, { ServerLook }] =
    await Promise.all([
      import("../admin/admin-server.ts"),
      import("../admin/health-pages.ts"),
      import("../admin/metrics-page.ts"),
      import("./look-at-server.ts"),
    ]);
  const server = new ServerLook();
  return Created.open({
    address,
    log,
    tokenDigest: () => (primary()?.config ?? config).adminTokenDigest,
    pages: [
      ...createHealthPages(() => primary()?.readiness ?? STARTING),
      createMetricsPage(() => {
        const now = primary();
        if (now === null) return null;
        return server.look(now, readStatus({ primary: now, mode, lostLogLines }));
      }),
    ],
    isSuccessor,
  });
}
