import { join } from "node:path";
import { type BodyStore, createBodyStore } from "./bodies/body-store.ts";
import { IdSource } from "./channel/id-source.ts";
import { ResponseCache } from "./cache/response-cache.ts";
import type { CacheStore } from "./cache/store.ts";
import { TieredStore } from "./cache/tiered-store.ts";
import { availableMemoryBytes } from "./config/available-memory.ts";
import type { Config } from "./config/config.ts";
import { HandlerCalls } from "./handlers/calls.ts";
import { Listeners } from "./engine/listeners.ts";
import { HandedFiles } from "./files/handed-files.ts";
import { PublicFolders } from "./files/public-folders.ts";
import { Admission } from "./http/admission.ts";
import { RequestsPerAddress } from "./http/requests-per-address.ts";
import { TurnClock } from "./lib/turn-clock.ts";
import { KeptStates } from "./lib/kept-states.ts";
import { WAITING_SHARE } from "./lib/waiting-bytes.ts";
import type { Logger } from "./log/log.ts";
import { RequestLog, type RequestLogOptions } from "./observe/request-log.ts";
import { Proxies } from "./proxy/proxies.ts";
import { LiveHandlers } from "./reload/live-handlers.ts";
import { StoredGenerations } from "./reload/stored-generations.ts";
import { FolderRuleFiles } from "./rules/folder-rule-files.ts";
import { Gates } from "./rules/gates.ts";
import { Development } from "./site/development.ts";
import { JoinedServers } from "./relay/joined-servers.ts";
import { HandlerSockets } from "./sockets/handler-sockets.ts";
import { SharedTakings } from "./limits/shared-takings.ts";
import { LiveSites } from "./site/live-sites.ts";
import { Tracer } from "./trace/tracer.ts";
import { OomKills } from "./supervise/oom-kills.ts";

export interface PartsOptions extends Pick<RequestLogOptions, "createAccessLog"> {
  config: Config;
  log: Logger;
  /** Returns the most bodies that may be on disk at the same time under a config. Each needs a file descriptor. */
  maxSpoolFiles: (config: Config) => number;
  /**
   * Ports of the process that this one replaces. The new server may share them. If its port is 0, it takes the
   * inherited one.
   */
  inherited?: readonly { scheme: "http" | "https"; port: number; descriptor?: number }[];
}

/** The parts of a primary, in the order in which a request meets them. They outlive every reload. */
export interface PrimaryParts {
  readonly listeners: Listeners;
  readonly perAddress: RequestsPerAddress;
  readonly clock: TurnClock;
  readonly ids: IdSource;
  readonly sites: LiveSites;
  readonly gates: Gates;
  readonly files: PublicFolders;
  readonly ruleFiles: FolderRuleFiles;
  /** `null` in production. */
  readonly development: Development | null;
  readonly admission: Admission;
  readonly cache: ResponseCache;
  readonly bodies: BodyStore;
  readonly handlers: LiveHandlers;
  /** The calls of handlers to other handlers and to files. */
  readonly calls: HandlerCalls;
  /** The WebSockets of handlers. */
  readonly sockets: HandlerSockets;
  /** The other servers, which share topics and purges with this one. */
  readonly joined: JoinedServers;
  readonly proxies: Proxies;
  /** The generations on disk. */
  readonly stored: StoredGenerations;
  readonly requestLog: RequestLog;
  readonly tracer: Tracer;
  readonly log: Logger;
  /** See `PartsOptions`. */
  readonly maxSpoolFiles: (config: Config) => number;
}

/** Creates the parts of a primary. None of them opens anything before the primary starts. */
export function createParts(options: PartsOptions): PrimaryParts {
  const { config, log, maxSpoolFiles } = options;
  const { mode, stateDir } = config;
  const requestLog = new RequestLog(options);
  const { counters } = requestLog;
  const clock = new TurnClock();
  const ids = new IdSource();
  const nextId = (): ReturnType<IdSource["nextExchange"]> => ids.nextExchange();
  const bodies = createBodyStore({ ...config, maxFiles: maxSpoolFiles(config), log });
  const { blocks, spool } = bodies;
  const admission = new Admission({
    counters,
    onRefused: (limit) => requestLog.requestRefused(limit),
  });
  const { requestIdPrefix } = requestLog;
  const limitStates = new KeptStates();
  const takings: SharedTakings = new SharedTakings({
    send: (all) => joined.send({ kind: "taken", takings: all }),
    find: (limit) => gates.findState(limit) ?? limitStates.find(limit),
    now: () => clock.now(),
  });
  const gates: Gates = new Gates({ log, counters, spool, blocks, nextId, takings });
  const tracer = new Tracer({ log, requestIdPrefix, env: process.env });
  requestLog.onTraced = (client, end) => tracer.finish(client, end);
  const ruleFiles = new FolderRuleFiles(log);
  const stored = new StoredGenerations(stateDir, log, mode);
  const { leases } = stored;
  const cache = new ResponseCache({ openStore: () => openStore(options), nextId });
  const sockets = new HandlerSockets({
    log,
    counters,
    now: () => clock.now(),
    mostWaitingBytes: availableMemoryBytes() * WAITING_SHARE,
    compresses: config.webSocketCompression,
    settingsOf: (request) => handlers.socketSettings(request),
    locate: (socket) => handlers.locateSocket(socket),
    onPublished: (message) => joined.send({ kind: "topic", ...message }),
  });
  const calls = new HandlerCalls(nextId);
  const joined = new JoinedServers({ log, cache, sockets, takings });
  cache.onPurged = (entries, site) => joined.send({ kind: "purge", entries, site });
  const handlers: LiveHandlers = new LiveHandlers({
    config,
    leases,
    shared: {
      ...bodies,
      log,
      clock,
      admission,
      cache,
      counters,
      files: new HandedFiles(log),
      limitStates,
      takings,
      requestIdPrefix,
      oomKills: new OomKills(),
      leases,
      nextWorkerId: () => ids.nextWorker(),
      sockets,
      calls,
    },
    untilPassed: () => gates.untilPassed(),
    nextId,
    recent: () => requestLog.recent,
    beginCounts: (id) => requestLog.served.begin(id, ids.upcomingExchange),
  });
  return {
    listeners: new Listeners(options.inherited),
    perAddress: new RequestsPerAddress(),
    clock,
    ids,
    sites: new LiveSites((client) => counters.limit("malformed", client)),
    gates,
    files: new PublicFolders(log, { stateDir, onChange: (dir) => ruleFiles.refresh(dir) }),
    ruleFiles,
    development: mode === "development" ? new Development() : null,
    admission,
    cache,
    bodies,
    handlers,
    calls,
    sockets,
    joined,
    proxies: new Proxies({ ...bodies, log, clock, admission, counters, requestIdPrefix }),
    stored,
    requestLog,
    tracer,
    log,
    maxSpoolFiles,
  };
}

/** Applies the settings for the primary itself. */
export function useSettings(parts: PrimaryParts, config: Config): void {
  const {
    log,
    admission,
    perAddress,
    cache,
    bodies,
    maxSpoolFiles,
    requestLog,
    sockets,
    joined,
    tracer,
  } = parts;
  log.level = config.logLevel;
  admission.limit = config.maxRequests;
  sockets.limit = config.maxWebSockets;
  perAddress.most = config.maxRequestsPerAddress;
  cache.waitMs = config.cacheWaitMs;
  bodies.spool.maxFiles = maxSpoolFiles(config);
  requestLog.useSettings(config);
  tracer.useSettings(config);
  joined.use(config);
}

function openStore({ config, log }: PartsOptions): CacheStore {
  const { stateDir, cacheDir, cacheMemoryBytes: memoryBytes, cacheDiskBytes: limitBytes } = config;
  const dir = cacheDir ?? join(stateDir, "cache");
  return new TieredStore({
    memoryBytes,
    disk: limitBytes === 0 ? null : { dir, limitBytes },
    onProblem: (error) => log.warn({ err: error }, "answers are not stored on disk"),
  });
}
