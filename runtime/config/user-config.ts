import type { Duration, Size } from "./quantities.ts";
import type { SettingInput, SettingName, SETTINGS, SiteSettingName } from "./settings.ts";

export type { Duration, Size };

/** Settings that are also a flag (`bodyLimit` is `--body-limit`) and an environment variable (`EDGICORN_BODY_LIMIT`). */
type Settings = {
  -readonly [Name in keyof Pick<typeof SETTINGS, SettingName>]?: SettingInput<Name>;
};

/**
 * The content of `edgicorn.config.ts`. Every member is optional. Paths are relative to the file.
 *
 * A flag wins over the environment, the environment over the file.
 */
export interface UserConfig extends Settings {
  /**
   * Pools of workers beside the default one, by name. A handler runs in the pool that its `config.pool` names. A pool
   * without an entry has one worker.
   */
  pools?: Record<string, UserPool>;
  /**
   * Paths that the server requests of each new worker before clients may: `["/", "/api/health"]`. An answer of 500 or
   * above, or a late one, stops the start or the reload. Default: none.
   */
  warmup?: string[];
  /**
   * Python applications by the path below which they answer: `{ "/api": { app: "api.main:app", threads: 4 } }`. Each has a
   * pool of its own.
   */
  mounts?: Record<string, string | UserMount>;
  /**
   * Sites by host name: `{ "example.com": { aliases: ["www.example.com"], public: "example" }, "*.example.org": { ... } }`. `*` is
   * one label. Everything outside of `sites` is the default site, which answers for all other hosts. A folder
   * `sites/example.com/` with `public/` beside the config file is such an entry, too.
   */
  sites?: Record<string, UserSite>;
}

type SiteSettings = {
  -readonly [Name in keyof Pick<typeof SETTINGS, SiteSettingName>]?: SettingInput<Name>;
};

/** A site. A setting that it does not have is that of the default site. */
export interface UserSite extends SiteSettings {
  /** Further host names. */
  aliases?: string | string[];
  /** Folder of its files, or `"off"`. Default: `sites/NAME/public`, if there is one. */
  public?: string | false;
}

/** A Python application for a part of the paths. */
export interface UserMount {
  /** `"api.main:app"`, `"api:create_app()"`. */
  app: string;
  /** As `appDir`, for this application. */
  dir?: string;
  /** As `python`, for this application. */
  python?: string;
  /** As `appKind`, for this application. */
  kind?: "auto" | "wsgi" | "asgi";
  /** As `threads`, for this application. */
  threads?: number;
  /** Number of its worker processes. Default: `workers`. */
  workers?: number;
}

/** A pool of workers. Every member is optional. */
export interface UserPool {
  /** Number of its worker processes. Default: 1. The pool `default` has the number of the key `workers`. */
  workers?: number;
  /** Most requests that one of its workers has at a time. Default: `workerConcurrency`. */
  concurrency?: number;
  /** Memory above which one of its workers is replaced, or `"off"`. Default: `workerMemoryLimit`. */
  memoryLimit?: Size | false;
}

/** Returns its argument: gives `edgicorn.config.ts` types and completion. */
export function defineConfig(config: UserConfig): UserConfig {
  return config;
}
