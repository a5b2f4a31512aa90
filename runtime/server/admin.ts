import type { AdminServer } from "../admin/admin-server.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../log/log.ts";
import { STARTING } from "../observe/readiness.ts";
import type { Primary } from "../primary.ts";

export interface AdminOptions {
  config: Pick<Config, "admin" | "adminTokenDigest">;
  log: Logger;
  /** Returns the primary; `null`: it has not started yet. */
  primary: () => Primary | null;
  isSuccessor: boolean;
}

/**
 * Opens the admin listener, and loads the code for it only then. Returns `null` without the setting `admin`.
 *
 * @throws RuntimeError `ERR_LISTEN` when the address cannot be used.
 */
export async function openAdmin(options: AdminOptions): Promise<AdminServer | null> {
  const { config, log, primary, isSuccessor } = options;
  if (config.admin === null) return null;
  const [{ AdminServer: Created }, { createHealthPages }] = await Promise.all([
    import("../admin/admin-server.ts"),
    import("../admin/health-pages.ts"),
  ]);
  return Created.open({
    address: config.admin,
    log,
    tokenDigest: () => (primary()?.config ?? config).adminTokenDigest,
    pages: createHealthPages(() => primary()?.readiness ?? STARTING),
    isSuccessor,
  });
}
