import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { RuntimeError } from "../lib/errors.ts";
import { type ConfigFile, findConfigFile, loadConfigFile } from "./config-file.ts";
import { readEnvFiles } from "./env-files.ts";
import { SETTINGS, environmentName, expectedOf } from "./settings.ts";

export interface StateDirSources {
  /** Flags of the command, as the operator typed them. */
  flags: Readonly<{ stateDir?: string; config?: string; envFile?: string }>;
  env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  cwd: string;
}

export interface FoundStateDir {
  /** Absolute; may not exist. */
  stateDir: string;
  /** Why this folder is a guess, in one line for a person; `null`: a server would have this folder. */
  note: string | null;
}

/**
 * Finds the state folder of the server that would start here, as `loadConfig` does, but reads nothing else: a running
 * server can answer even while its settings are wrong.
 *
 * Where only the config file names the folder, and the file is broken, the default is the best guess: the operator wants to
 * stop the server, to roll back, or to read its report about the mistake.
 *
 * @throws ERR_CONFIG when the operator named a config file or a file of variables that does not exist.
 */
export async function findStateDir(sources: StateDirSources): Promise<FoundStateDir> {
  const { flags, cwd } = sources;
  const { variables } = readEnvFiles({ ...sources, flag: flags.envFile });
  const env = { ...variables, ...sources.env };
  const named = flags.stateDir ?? (env[environmentName("stateDir")] || undefined);
  if (named !== undefined) return { stateDir: resolve(cwd, named), note: null };
  const config = flags.config ?? (env["EDGICORN_CONFIG"] || undefined);
  const namedBy = flags.config === undefined ? "EDGICORN_CONFIG" : "--config";
  if (config !== undefined && !existsSync(resolve(cwd, config))) {
    throw new RuntimeError(
      "ERR_CONFIG",
      `Cannot use ${namedBy}: found no file ${config}, expected a config file`,
    );
  }
  const byDefault = resolve(cwd, SETTINGS.stateDir.default);
  try {
    const path = config === undefined ? findConfigFile(cwd) : resolve(cwd, config);
    if (path === null) return { stateDir: byDefault, note: null };
    const file = await loadConfigFile(path, { cwd, namedBy, variables });
    return { stateDir: readStateDir(file) ?? byDefault, note: null };
  } catch (error) {
    if (!(error instanceof RuntimeError)) throw error;
    const note = `${error.message}: looking for the server in ${SETTINGS.stateDir.default} (or name its state folder with --state-dir DIR)`;
    return { stateDir: byDefault, note };
  }
}

/** @returns `null`: the file does not name the folder. */
function readStateDir({ path, values, shownAs }: ConfigFile): string | null {
  const value = values["stateDir"];
  if (value === undefined) return null;
  const parsed = SETTINGS.stateDir.type.parse(value);
  if (parsed !== null) return resolve(dirname(path), parsed.value);
  throw new RuntimeError(
    "ERR_CONFIG",
    `Cannot use stateDir in ${shownAs}: found ${JSON.stringify(value)}, expected ${expectedOf("stateDir")}`,
  );
}
