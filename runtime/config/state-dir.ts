import { dirname, resolve } from "node:path";
import { RuntimeError } from "../errors.ts";
import { findConfigFile, loadConfigFile } from "./config-file.ts";
import { SETTINGS, environmentName, settingsSchema } from "./settings.ts";

export interface StateDirSources {
  /** As they were typed. */
  flags: Readonly<{ stateDir?: string; config?: string }>;
  env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  cwd: string;
}

/**
 * Finds the state folder of the server that would start here, as `loadConfig` does, but looks at nothing else: a server
 * that runs can be asked how it is also while its settings are wrong.
 *
 * @returns Absolute; may not exist.
 * @throws ERR_CONFIG when only the config file can tell, and it cannot be read.
 */
export async function findStateDir({ flags, env, cwd }: StateDirSources): Promise<string> {
  const named = flags.stateDir ?? (env[environmentName("stateDir")] || undefined);
  if (named !== undefined) return resolve(cwd, named);
  const config = flags.config ?? (env["EDGICORN_CONFIG"] || undefined);
  const path = config === undefined ? findConfigFile(cwd) : resolve(cwd, config);
  if (path === null) return resolve(cwd, SETTINGS.stateDir.default);
  const namedBy = flags.config === undefined ? "EDGICORN_CONFIG" : "--config";
  const { values, shownAs } = await loadConfigFile(path, { cwd, namedBy });
  const value = values["stateDir"];
  if (value === undefined) return resolve(cwd, SETTINGS.stateDir.default);
  const parsed = settingsSchema.shape.stateDir.safeParse(value);
  if (parsed.success) return resolve(dirname(path), parsed.data);
  throw new RuntimeError(
    "ERR_CONFIG",
    `Cannot use stateDir in ${shownAs}: found ${JSON.stringify(value)}, expected ${SETTINGS.stateDir.expected}`,
  );
}
