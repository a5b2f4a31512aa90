/** A value of `env` that the config declares. Plain data: the primary sends it to the workers. */
export interface BindingSetting {
  /** Its name in `env`. */
  readonly name: string;
  /** The pools whose workers have it; `null`: all. */
  readonly pools: readonly string[] | null;
  /** The sites whose handlers have it; `null`: all. */
  readonly sites: readonly string[] | null;
  readonly value: BindingValue;
}

export type BindingValue =
  | { readonly kind: "var"; readonly text: string }
  /** A value of JSON. */
  | { readonly kind: "json"; readonly data: unknown }
  /** `secret` is the content of the file: never logged. */
  | { readonly kind: "secret"; readonly file: string; readonly secret: string }
  /** The handlers of a site. */
  | { readonly kind: "service"; readonly site: string }
  /** The public folder of a site; `null`: of the site whose handler runs. */
  | { readonly kind: "assets"; readonly site: string | null }
  | { readonly kind: "kv"; readonly space: string; readonly store: string }
  | { readonly kind: "counter"; readonly space: string; readonly store: string }
  | { readonly kind: "lock"; readonly space: string; readonly store: string }
  | {
      readonly kind: "queue";
      readonly space: string;
      readonly store: string;
      /** Most messages in the queue. */
      readonly limit: number;
    }
  | {
      readonly kind: "rateLimit";
      readonly space: string;
      readonly store: string;
      readonly limit: number;
      readonly periodMs: number;
    };

/** A place that keeps the data of bindings. */
export type StoreSetting = EmbeddedStoreSetting | RedisStoreSetting;

/** Files in the state folder, which all workers of the machine share. */
export interface EmbeddedStoreSetting {
  readonly kind: "embedded";
  readonly name: string;
  /** An acknowledged write outlives a crash of all processes, or also one of the machine. */
  readonly durability: "process" | "disk";
}

/** A server of Redis or Valkey, which several machines share. */
export interface RedisStoreSetting {
  readonly kind: "redis";
  readonly name: string;
  /** `redis://user:password@host:6379/0`, `rediss://...`, `unix:/run/redis.sock`. */
  readonly url: string;
  /** Goes before all names in Redis. */
  readonly prefix: string;
  /** Longest time for a connection, and for the answer to a command. */
  readonly timeoutMs: number;
}

/** The bindings of the workers of one pool, and the stores that they use. */
export interface WorkerBindings {
  readonly bindings: readonly BindingSetting[];
  readonly stores: readonly StoreSetting[];
  /** Absolute path of the folder of the embedded stores. */
  readonly dir: string;
  /** Names of environment variables that `env` has, with `*` at the end for all that begin so; `null`: all. */
  readonly variables: readonly string[] | null;
}
