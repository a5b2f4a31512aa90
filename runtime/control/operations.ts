import type { ProfileEvent, ProfileRequest } from "./profiling.ts";
import type { ShadowEvent, ShadowRequest } from "./shadowing.ts";
import type { EffectiveConfig } from "../config/list-effective.ts";
import type { CacheResult } from "../http/cache-result.ts";
import type { LiveReader } from "../live/live-feed.ts";
import type { LiveSnapshot } from "../live/snapshot.ts";
import type { Explanation, Question } from "./explanation.ts";
import type { Traffic } from "../observe/counters.ts";

/** The changes of a reload or a rollback. */
export interface ReloadReport {
  /** Id of the generation that serves now. */
  generation: string;
  /** Id of the generation before it; `null`: there was none. */
  previous: string | null;
  /** Time from the command to the switch. */
  durationMs: number;
  pools: PoolChange[];
  /** Names of the settings that changed. */
  settings: string[];
  /** Warnings for the operator, one line each: a certificate that expires, a file that is ignored. */
  warnings: string[];
  /** The move to another folder, if the link of the server's folder leads to another one by now; else `null`. */
  moved: Moved | null;
}

/** A move of the server to the folder to which a link leads by now: another process serves there. */
export interface Moved {
  /** The folder as the operator named it at the start: `/srv/current`. */
  link: string;
  /** Absolute, without links. */
  from: string;
  to: string;
  /** Process id of the server that serves now. */
  pid: number;
}

/** The result of the replacement of a worker, which has begun. */
export interface RecycleReport {
  worker: number;
  pool: string;
}

/** Whether the server asks load balancers to send it nothing. */
export interface DrainReport {
  draining: boolean;
}

/** The result of a purge. */
export interface PurgeReport {
  /** Number of stored answers that were removed, with all variants. */
  purged: number;
}

/** Facts about a server, which it also sends while it starts. */
export interface Greeting {
  pid: number;
  version: string;
  /** The folder in which it was started, as the operator named it: links are kept. */
  folder: string;
  /** The same folder at the start, without links. */
  startedIn: string;
  /** The folder whose handlers a reload builds. Absolute. */
  handlersDir: string;
  /** Addresses for a browser; empty while it starts. */
  addresses: readonly string[];
}

export interface PoolChange {
  name: string;
  change: "kept" | "replaced" | "added" | "removed";
  /** Reasons for the change, for a person: `changed: handlers/api/users.ts`. */
  reasons: string[];
  /** Number of its workers after the change. */
  workers: number;
}

export interface GenerationInfo {
  id: string;
  /** RFC 3339. */
  createdAt: string;
  /** `development`: `edgicorn dev` built it, and a production server does not roll back to it. */
  mode: "production" | "development";
  routes: number;
  /** Hash of its code. Two builds of the same handlers and packages have the same. */
  code: string;
  /**
   * `shared`: the serving generation has kept pools of it, which run its code. `retiring`: it still answers requests
   * from before its replacement. `stored`: on disk only.
   */
  state: "serving" | "shared" | "retiring" | "stored";
  /** Whether a rollback without an id moves to this generation. */
  rollback: boolean;
  /** Number of requests that it has admitted since this server started. */
  requests: number;
  /** Number of these requests that ended with a status of 500 or above. */
  errors: number;
}

/** A route, or a fallback for paths without one. */
export interface RouteInfo {
  /** Name of its site. */
  site: string;
  /** `fallback`: the `_404` of a folder. */
  use: "route" | "fallback";
  /** Empty: any. */
  methods: readonly string[];
  pattern: string;
  /** Relative to the folder of the site's handlers; for a Python application its name. */
  file: string;
  pool: string;
  /** Settings in the handler's own `config`. */
  settings: readonly { name: string; value: string }[];
}

/** A handler that runs at times, with one of its times. Times are in RFC 3339; `null`: none. */
export interface CronJobInfo {
  /** Name of its site. */
  site: string;
  /** Its path, without that of the site's mount. */
  route: string;
  /** Relative to the folder of the site's handlers. */
  file: string;
  pool: string;
  cron: string;
  timeZone: string;
  next: string | null;
  /** Number of runs in flight. */
  running: number;
  /** Number of runs that wait for one in flight. */
  waiting: number;
  /** When the last run that has ended began, also before a restart. */
  last: string | null;
  /** Its result: `done`, `failed`, `timed out`, `worker lost`, `refused`, `interrupted`, `elsewhere` or `left out`. */
  result: string | null;
  durationMs: number | null;
  /** When the last run that succeeded ended. */
  lastSuccess: string | null;
  /** Number of runs since the start, by result. */
  runs: Readonly<Record<string, number>>;
  /** Runs since the start that were left out, since the run before had not ended. */
  skipped: number;
  /** Runs since the start that did not begin in time, such as those while no server ran. */
  missed: number;
}

/** A queue that a handler receives. Numbers of messages are counted every few seconds, over all servers. */
export interface QueueInfo {
  /** Name of the queue. */
  queue: string;
  /** Name of its store. */
  store: string;
  /** Name of the site of its handler. */
  site: string;
  route: string;
  /** Relative to the folder of the site's handlers. */
  file: string;
  pool: string;
  /** Messages that are due. */
  waiting: number;
  /** Messages that are not due yet. */
  delayed: number;
  /** Messages that a server has taken. */
  inWork: number;
  /** Messages in the dead-letter queue. */
  dead: number;
  /** Batches in work on this server. */
  batches: number;
  /** Batches of this server since its start, by result: `done`, `failed`, `timed out`, `lost`, `refused`. */
  results: Readonly<Record<string, number>>;
  /** Messages that this server has acknowledged since its start. */
  acknowledged: number;
  /** Attempts of this server after which a message waits for the next one. */
  retried: number;
  /** Messages that this server has moved to the dead-letter queue. */
  buried: number;
  /** Messages that this server has dropped. */
  dropped: number;
  /** Messages whose lease this server has lost. */
  lost: number;
}

/** The result of a run for an operator. */
export interface CronRunReport {
  route: string;
  cron: string;
  result: string;
  durationMs: number;
}

/** A group of upstream servers. */
export interface UpstreamGroupInfo {
  name: string;
  servers: readonly UpstreamServerInfo[];
  /** Requests that wait for a server. */
  queued: number;
  /** Names that have no address yet, or could not be resolved the last time. */
  unresolved: readonly string[];
}

/** The response cache. */
export interface CacheInfo {
  /** Stored answers, in memory or on disk. */
  entries: number;
  /** Memory of the answers and of the index of those on disk. */
  memoryBytes: number;
  memoryLimitBytes: number;
  diskEntries: number;
  diskBytes: number;
  /** 0: the answers are in memory only. */
  diskLimitBytes: number;
  /** Answers that were removed to make room, since the start. */
  evictions: number;
  /** Answers that were not stored for lack of room, or because the disk failed or was slow, since the start. */
  rejections: number;
  /** The folder is still being read after the start. */
  isScanning: boolean;
  /** The disk refused a write a short time ago. */
  isDiskFailing: boolean;
  /** Number of finished requests since the start, by the result of the cache. */
  results: Record<CacheResult, number>;
}

/** One upstream server. */
export interface UpstreamServerInfo {
  /** The address. */
  name: string;
  /**
   * `slow start`: it gets few requests at first. `out`: it gets none. `probing`: it gets probes only. `trial`: it gets one request
   * at a time, until one succeeds. `draining`: it finishes its requests, and the config or the DNS has removed it.
   */
  state: "up" | "slow start" | "out" | "probing" | "trial" | "draining";
  /** How long it has not been up; `null`: it is up. */
  outMs: number | null;
  backup: boolean;
  weight: number;
  inFlight: number;
  requests: number;
  failures: number;
  /** The last failure, for a person; `null`: there was none. */
  lastReason: string | null;
}

/** The present state of a server. */
export interface Status {
  pid: number;
  version: string;
  /** The package whose binary of uWebSockets.js serves: `uws-pack 20.0.8`. */
  library: string;
  mode: "production" | "development";
  /** RFC 3339. */
  startedAt: string;
  /** Id of the generation that gets new requests. */
  generation: string;
  routes: number;
  /** The sites beside the default one; absent: none. */
  sites?: SiteInfo[] | undefined;
  /** The last built generation, if a rollback has replaced it, until the next reload or start; else `null`. */
  rolledBackFrom: string | null;
  listeners: ListenerInfo[];
  pools: PoolInfo[];
  /** Replaced pools that still answer their requests. Oldest first. */
  retiring: RetiringPoolInfo[];
  traffic: Traffic;
  /** The groups of upstream servers; absent: none. */
  upstreams?: readonly UpstreamGroupInfo[] | undefined;
  /** The response cache; absent: no site, rule or handler has used it. */
  cache?: CacheInfo | undefined;
  /** Handlers that run at times; absent: none. */
  cron?: readonly CronJobInfo[] | undefined;
  /** Queues that handlers receive; absent: none. */
  queues?: readonly QueueInfo[] | undefined;
  /** The certificates that it serves, the default one first. */
  certificates: CertificateInfo[];
  /** Number of log lines that were lost since it started, by a full disk or a reader that stopped. */
  lostLogLines: number;
  /** The same moment as the status page shows it, without rates; absent: the server does not tell. */
  live?: LiveSnapshot | undefined;
}

export interface SiteInfo {
  name: string;
  /** All its host names. */
  hosts: string[];
  /** Number of its routes. */
  routes: number;
}

export interface CertificateInfo {
  /** Host names that select it. */
  names: string[];
  /** RFC 3339. */
  notAfter: string;
  /** Whether less than a third of its lifetime, or less than 30 days of a long one, are left. */
  isDue: boolean;
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
  /** `silent`: it has not answered for a second, since a handler blocks it, and gets no new requests. */
  state: "starting" | "ready" | "silent" | "draining" | "exited";
}

/** A setting that was changed since the server started, and that needs a restart. Plain data. */
export interface RestartNeed {
  /** Name in the config file. */
  name: string;
  before: unknown;
  after: unknown;
}

/** The commands of an operator to a running server. */
export interface Operations {
  /**
   * Builds and loads the handlers again, and switches when all parts are ready. All calls during a reload share the next one.
   *
   * @throws RuntimeError when it is refused, with the reason, file and line: the old generation serves on.
   */
  reload(): Promise<ReloadReport>;
  /**
   * Moves back to a generation on disk.
   *
   * @param id Default: the last generation that served with other code.
   * @throws RuntimeError when there is no such generation, or it cannot be loaded.
   */
  rollback(id?: string): Promise<ReloadReport>;
  /** Newest first. */
  generations(): Promise<GenerationInfo[]>;
  /**
   * Reads the settings as a reload does, with the flags and the environment of the server, and returns the changed ones for
   * which a reload would be refused.
   *
   * @throws RuntimeError `ERR_CONFIG` when the settings are wrong.
   */
  restarts(): Promise<RestartNeed[]>;
  /**
   * Removes stored answers.
   *
   * @param entries A URL, the beginning of URLs with a `*` at its end, `tag:NAME`, or `all`.
   * @throws RuntimeError `ERR_CONFIG` when the text names none of these.
   */
  purge(entries: string): Promise<PurgeReport>;
  /**
   * Explains the answer to a request without giving it.
   *
   * @throws RuntimeError `ERR_CONFIG` for a question that is no request.
   */
  explain(question: Question): Promise<Explanation>;
  /** The settings that hold. Secrets are masked. */
  config(): EffectiveConfig;
  /** The routes and fallbacks of all sites. */
  routes(): RouteInfo[];
  /**
   * Profiles a process until its events end, or the signal aborts.
   *
   * @throws RuntimeError `ERR_CONFIG`, at the first event, when there is no such process, or it cannot be profiled.
   */
  profile(request: ProfileRequest, signal: AbortSignal): AsyncIterable<ProfileEvent>;
  /**
   * Takes samples of the traffic until the signal aborts.
   *
   * @throws RuntimeError `ERR_OVERLOADED`, at the first event, when another reader takes samples.
   */
  shadow(request: ShadowRequest, signal: AbortSignal): AsyncIterable<ShadowEvent>;
  /** The handlers that run at times. */
  cron(): readonly CronJobInfo[];
  /**
   * Runs such a handler now, and waits for its end.
   *
   * @param route Its path, or its file.
   * @param cron Which of its times; `null`: it has only one.
   * @throws RuntimeError `ERR_CONFIG` when there is no such handler; `ERR_OVERLOADED` when it runs already.
   */
  runCron(route: string, cron: string | null): Promise<CronRunReport>;
  /** Adds or removes a worker; one stays at least. Returns the new number. */
  resize(change: 1 | -1): number;
  status(): Status;
  /**
   * Replaces a worker of the serving generation: it drains once a fresh one serves.
   *
   * @throws RuntimeError `ERR_CONFIG` when no ready worker has this number.
   */
  recycle(worker: number): RecycleReport;
  /** Makes readiness probes fail, or lets them succeed again. The server serves on in both cases. */
  drain(isDraining: boolean): DrainReport;
  /** One look at the server, without rates. */
  look(): Promise<LiveSnapshot>;
  /**
   * Sends a snapshot to the reader each second.
   *
   * @returns A function that ends it; `null`: there are too many readers.
   */
  watch(reader: LiveReader): Promise<(() => void) | null>;
}
