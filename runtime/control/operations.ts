import type { Traffic } from "../observe/counters.ts";

/** The changes of a reload or a rollback. */
export interface ReloadReport {
  /** Id of the generation that serves now. */
  generation: string;
  /** Id of the one before it; `null`: there was none. */
  previous: string | null;
  /** From the order to the switch. */
  durationMs: number;
  pools: PoolChange[];
  /** Names of the settings that changed. */
  settings: string[];
  /** Warnings for the operator, one line each: a certificate that expires, a file that is ignored. */
  warnings: string[];
  /** Set when the link in whose folder the server was started leads elsewhere by now: another process serves there. */
  moved: Moved | null;
}

/** A move to the folder that a link leads to by now. */
export interface Moved {
  /** The folder as it was named at the start: `/srv/current`. */
  link: string;
  /** Absolute, without links. */
  from: string;
  to: string;
  /** Process id of the server that serves now. */
  pid: number;
}

/** A server's facts about itself, for every process that may ask, also while it starts. */
export interface Greeting {
  pid: number;
  version: string;
  /** The folder in which it was started, as the operator named it: links are kept. */
  folder: string;
  /** The same folder at the start, without links. */
  startedIn: string;
  /** The folder whose handlers a reload builds. Absolute. */
  handlersDir: string;
  /** Where it can be opened; empty while it starts. */
  addresses: readonly string[];
}

export interface PoolChange {
  name: string;
  change: "kept" | "replaced" | "added" | "removed";
  /** Why, for a person: `changed: handlers/api/users.ts`. */
  reasons: string[];
  /** How many it has now. */
  workers: number;
}

export interface GenerationInfo {
  id: string;
  /** RFC 3339. */
  createdAt: string;
  /** `development`: `edgicorn dev` built it, and a production server does not roll back to it. */
  mode: "production" | "development";
  routes: number;
  /** Hash of its code: equal for two that were built of the same handlers and packages. */
  code: string;
  /**
   * `shared`: the serving generation has kept pools of it, which run its code. `retiring`: it still answers requests
   * from before its replacement. `stored`: on disk only.
   */
  state: "serving" | "shared" | "retiring" | "stored";
  /** Where a rollback goes that names none. */
  rollback: boolean;
  /** That it has taken on since this server started. */
  requests: number;
  /** Of these, those that ended with a status of 500 or above. */
  errors: number;
}

/** How the server is at this moment. */
export interface Status {
  pid: number;
  version: string;
  /** The package whose binary of uWebSockets.js serves: `uws-pack 20.0.8`. */
  library: string;
  mode: "production" | "development";
  /** RFC 3339. */
  startedAt: string;
  /** Id of the generation that new requests go to. */
  generation: string;
  routes: number;
  /** The last built generation, if a rollback has replaced it, until the next reload or start; else `null`. */
  rolledBackFrom: string | null;
  listeners: ListenerInfo[];
  pools: PoolInfo[];
  /** Replaced pools that still answer their requests. Oldest first. */
  retiring: RetiringPoolInfo[];
  traffic: Traffic;
  /** Lines of its logs that nothing took since it started: a full disk, a reader that stopped. */
  lostLogLines: number;
}

export interface ListenerInfo {
  scheme: "http" | "https";
  port: number;
}

export interface PoolInfo {
  name: string;
  workers: WorkerInfo[];
}

export interface RetiringPoolInfo extends PoolInfo {
  /** Id of the generation that it serves. */
  generation: string;
}

export interface WorkerInfo {
  id: number;
  pid: number;
  /** `silent`: it has not said anything for a second, since a handler blocks it, and is given nothing new. */
  state: "starting" | "ready" | "silent" | "draining" | "exited";
}

/** A setting that has changed since the server started, and that a reload cannot change. Plain data. */
export interface RestartNeed {
  /** As the config file calls it. */
  name: string;
  before: unknown;
  after: unknown;
}

/** The commands of an operator to a running server. */
export interface Operations {
  /**
   * Builds and loads the handlers again, and switches when all is ready. All calls during a reload share the next one.
   *
   * @throws RuntimeError when it is refused, with the reason, file and line: the old generation serves on.
   */
  reload(): Promise<ReloadReport>;
  /**
   * Moves back to a generation that is on disk: the last that served with other code, unless told which.
   *
   * @throws RuntimeError when there is none, or it cannot be loaded.
   */
  rollback(id?: string): Promise<ReloadReport>;
  /** Newest first. */
  generations(): Promise<GenerationInfo[]>;
  /**
   * Reads the settings anew, as a reload does, with the flags and the environment of the server, and says for which of
   * them a reload would be refused.
   *
   * @throws RuntimeError `ERR_CONFIG` when they are wrong.
   */
  restarts(): Promise<RestartNeed[]>;
  /** One worker more or less, at least one. Returns how many there shall be now. */
  resize(change: 1 | -1): number;
  status(): Status;
}
