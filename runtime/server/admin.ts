import type { AdminServer } from "../admin/admin-server.ts";
import type { Operations } from "../control/operations.ts";
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

/** The admin listener of a server. */
export interface Admin {
  readonly server: AdminServer;
  /** Offers the operations of the server, which has started. */
  serve(operations: Operations): void;
}

/**
 * Opens the admin listener, and loads the code for it only then. Returns `null` without the setting `admin`.
 *
 * @throws RuntimeError `ERR_LISTEN` when the address cannot be used.
 */
export async function openAdmin(options: AdminOptions): Promise<Admin | null> {
  const { config, log, primary, lostLogLines, isSuccessor } = options;
  const { admin: address, mode } = config;
  if (address === null) return null;
  const [{ AdminServer: Created }, { createPages }, { ServerLook }] = await Promise.all([
    import("../admin/admin-server.ts"),
    import("../admin/create-pages.ts"),
    import("./look-at-server.ts"),
  ]);
  const look = new ServerLook();
  let operations: Operations | null = null;
  const server = await Created.open({
    address,
    log,
    tokenDigest: () => (primary()?.config ?? config).adminTokenDigest,
    pages: createPages({
      log,
      readiness: () => primary()?.readiness ?? STARTING,
      look() {
        const now = primary();
        if (now === null) return null;
        return look.look(now, readStatus({ primary: now, mode, lostLogLines }));
      },
      operations: () => operations,
    }),
    isSuccessor,
  });
  return {
    server,
    serve(known) {
      operations = known;
    },
  };
}
