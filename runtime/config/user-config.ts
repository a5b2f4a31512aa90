import type { Duration, Size } from "./quantities.ts";
import type { SettingInput, SettingName, SETTINGS } from "./settings.ts";

export type { Duration, Size };

/** Settings that are also a flag (`bodyLimit` is `--body-limit`) and an environment variable (`EDGICORN_BODY_LIMIT`). */
type Settings = {
  -readonly [Name in keyof Pick<typeof SETTINGS, SettingName>]?: SettingInput<Name>;
};

/**
 * What `edgicorn.config.ts` may say. Everything is optional. Paths are relative to the file.
 *
 * A flag wins over the environment, the environment over the file.
 */
export interface UserConfig extends Settings {
  /**
   * Pools of workers beside the default one, by name. A handler is in the pool that its `config.pool` names; a pool that
   * is not here has one worker.
   */
  pools?: Record<string, UserPool>;
  /**
   * Paths that each new worker is asked for before it gets requests: `["/", "/api/health"]`. An answer of 500 or above, or
   * one that is late, stops the start or the reload. Default: none.
   */
  warmup?: string[];
}

/** A pool of workers. Everything is optional. */
export interface UserPool {
  /** Number of its worker processes. Default: 1. Of the pool `default`, the key `workers` says it. */
  workers?: number;
  /** Most requests that one of its workers has at a time. Default: `workerConcurrency`. */
  concurrency?: number;
  /** As `workerMemoryLimit`, for this pool; also `"off"`. */
  memoryLimit?: Size | false;
}

/** Returns its argument: gives `edgicorn.config.ts` types and completion. */
export function defineConfig(config: UserConfig): UserConfig {
  return config;
}
