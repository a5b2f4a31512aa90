import { statSync } from "node:fs";
import type { Config } from "../../config/config.ts";
import { RuntimeError } from "../../lib/errors.ts";
import { findAccount } from "../../server/account.ts";

/**
 * Refuses root where the server runs as another user: handlers would run with all rights, and the stores that they create would
 * be closed to the server.
 *
 * @param own The user of this process; `undefined`: the system has no users.
 * @throws RuntimeError `ERR_CONFIG` that names the command for that user.
 */
export async function refuseOtherUser(
  config: Pick<Config, "user" | "group" | "origins" | "stateDir">,
  own: number | undefined,
): Promise<void> {
  if (own !== 0) return;
  if (config.user !== null) {
    const { label, entry } = await findAccount(config);
    throw refusal(`${config.origins.user ?? "user"} is ${label}`, entry?.name ?? `#${label}`);
  }
  const owner = statSync(config.stateDir, { throwIfNoEntry: false })?.uid ?? 0;
  if (owner === 0) return;
  throw refusal(`the state folder ${config.stateDir} belongs to user ${owner}`, `#${owner}`);
}

function refusal(found: string, user: string): RuntimeError {
  const name = user.startsWith("#") ? `'${user}'` : user;
  return new RuntimeError(
    "ERR_CONFIG",
    `Cannot call a handler as root: ${found}, expected to run as that user (sudo -u ${name} npx edgicorn fetch ...)`,
  );
}
