import { setMaxListeners } from "node:events";
import { extname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { CacheByPolicy } from "./cache/by-policy.ts";
import type { ResponseCache } from "./cache/response-cache.ts";
import type { Config } from "./config/config.ts";
import type { Explanation, Question } from "./control/explanation.ts";
import type { ShadowEvent, ShadowRequest } from "./control/shadowing.ts";
import type { CronJobs } from "./cron/cron-jobs.ts";
import type { QueueConsumers } from "./queues/queue-consumers.ts";
import type {
  CacheInfo,
  CronJobInfo,
  CronRunReport,
  GenerationInfo,
  QueueInfo,
  ReloadReport,
  UpstreamGroupInfo,
} from "./control/operations.ts";
import type { Engine, Listener } from "./engine/engine.ts";
import { toHttp2Options, toListenerSettings } from "./engine/listener-settings.ts";
import { recordRequests } from "./engine/record-requests.ts";
import { loadEngine } from "./engine/load-engine.ts";
import type { PublicFolders } from "./files/public-folders.ts";
import { STORES_FOLDER } from "./handlers/pool-plan.ts";
import type { LiveGeneration } from "./handlers/live-generation.ts";
import type { Client, ExchangeId } from "./http/client.ts";
import { parseTarget } from "./http/target-path.ts";
import type { RedisStoreSetting } from "./lib/binding-settings.ts";
import { RuntimeError } from "./lib/errors.ts";
import { settledWithin } from "./lib/settled-within.ts";
import type { Counters, Traffic } from "./observe/counters.ts";
import { isReady, type Readiness } from "./observe/readiness.ts";
import { toDestination } from "./proxy/destination.ts";
import { listGenerations } from "./reload/list-generations.ts";
import type { LiveHandlers } from "./reload/live-handlers.ts";
import { createParts, type PartsOptions, type PrimaryParts, useSettings } from "./primary-parts.ts";
import type { Part } from "./reload/part.ts";
import { Reloader, type ReloaderOptions } from "./reload/reloader.ts";
import { haveSameCertificates, type Setup } from "./reload/setup.ts";
import type { StoredGenerations } from "./reload/stored-generations.ts";
import { DEFAULT_SITE, listPublicDirs } from "./config/sites.ts";
import { createSites, listSiteSettings } from "./site/create-sites.ts";
import { SiteAssets } from "./site/site-assets.ts";
import type { LoadedCertificates, ServerCertificate } from "./tls/tls.ts";
import type { ExportCounts } from "./trace/exporter.ts";
import { prepareForks, type WorkerOutput } from "./supervise/fork-worker.ts";
import { untilForked } from "./supervise/until-forked.ts";

export interface PrimaryOptions extends Setup, PartsOptions, Pick<ReloaderOptions, "loadSetup"> {
  config: Config;
}

/** Longest time for the last traces, after the grace period: an operator waits for it when the collector is gone. */
const LAST_TRACES_MS = 2_000;

/** Longest time for the last writes to the disk when all clients are gone. */
const LAST_CLOSE_MS = 5_000;

/** Share of the grace period in which a server that leaves waits for its connections. */
const LEAVING_SHARE = 0.9;

/** Share of the grace period over which the closing of WebSockets is spread. */
const SOCKETS_SHARE = 0.5;

/**
 * The half of the server that corresponds to Nginx: owns all client sockets, static files and queues, and runs no user
 * code.
 *
 *     listeners ──client──▶ site by host: stages ──▶ files, or a route of the handlers ──▶ reply
 *
 * A reload changes its parts in one synchronous step, when `Reloader` has prepared all of them (`#reloadParts`).
 */
export class Primary {
  readonly #parts: PrimaryParts;
  readonly #reloader: Reloader;
  #setup: Setup;
  /** `null` until it is loaded. */
  #engine: Engine | null = null;
  #challengeTokens: ReadonlyMap<string, string> = new Map();
  /** Aborts running builds and boots. */
  readonly #stop = new AbortController();
  #closing: Promise<void> | null = null;
  /** A command reads samples of the traffic. */
  #isShadowed = false;
  /** An operator has taken the server out of rotation. */
  #isOutOfRotation = false;
  /** `waiting`: another process serves, or this one is not ready. `off`: it begins no more runs. */
  #cronPhase: "waiting" | "on" | "off" = "waiting";
  /** `null`: no handler has had times so far. */
  #cron: Promise<CronJobs> | null = null;
  #cronJobs: CronJobs | null = null;
  /** `null`: no handler has received a queue so far. */
  #queues: Promise<QueueConsumers> | null = null;
  #queueConsumers: QueueConsumers | null = null;

  private constructor(options: PrimaryOptions) {
    const { config, certificates, warnings, loadSetup } = options;
    this.#setup = { config, certificates, warnings };
    // Each worker that is warmed up adds a listener. Node would report so many as a leak.
    setMaxListeners(0, this.#stop.signal);
    this.#parts = createParts(options);
    this.#reloader = new Reloader({
      ...this.#parts,
      parts: this.#reloadParts(),
      loadSetup,
      setup: () => this.#setup,
      signal: this.#stop.signal,
    });
  }

  /**
   * Builds the handlers, starts the workers and then listens. The first connection finds everything ready.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD`, `ERR_BOOT_LOOP`, `ERR_LISTEN`; `ERR_DRAINING` if the signal aborts. Before
   *   it throws, it closes everything that it opened.
   */
  static async start(
    options: PrimaryOptions,
    { signal, workerOutput }: { signal?: AbortSignal; workerOutput?: WorkerOutput } = {},
  ): Promise<Primary> {
    const primary = new Primary(options);
    const stop = (): void => primary.#stop.abort(stopping());
    if (signal?.aborted === true) stop();
    signal?.addEventListener("abort", stop, { once: true });
    prepareForks(workerEntry(), workerOutput);
    try {
      await primary.#open();
    } catch (error) {
      await primary.destroy();
      throw error;
    } finally {
      signal?.removeEventListener("abort", stop);
    }
    return primary;
  }

  /** The public folders of all sites. */
  get files(): PublicFolders {
    return this.#parts.files;
  }

  /** The groups of upstream servers. */
  get upstreams(): UpstreamGroupInfo[] {
    return this.#parts.proxies.status();
  }

  /** The response cache; `null`: no site, rule or handler has used it since the start. */
  get cacheInfo(): CacheInfo | null {
    const { cache, requestLog } = this.#parts;
    const { stats } = cache;
    return stats === null ? null : { ...stats, results: { ...requestLog.counters.cached } };
  }

  get handlers(): LiveHandlers {
    return this.#parts.handlers;
  }

  /** The generations on disk. */
  get stored(): StoredGenerations {
    return this.#parts.stored;
  }

  /** The package whose binary of uWebSockets.js was loaded: `uws-pack 20.0.8`. */
  get library(): string {
    return this.#engine?.label ?? "";
  }

  /** The same if the operator chose the package; `null`: Edgicorn chose it, or `engineNote` names it. */
  get chosenLibrary(): string | null {
    const engine = this.#engine;
    return engine?.isUsual === false && engine.kind !== "both" ? engine.label : null;
  }

  /** A line for the banner about engines other than uWebSockets.js; `null`: it has all ports. */
  get engineNote(): string | null {
    const engine = this.#engine;
    if (engine === null || engine.kind === "uws") return null;
    if (engine.kind === "both") return `uWebSockets.js from ${engine.label}`;
    return engine.isInstead === undefined
      ? engine.label
      : `${engine.label}: no binary of uWebSockets.js loads here, which would be faster (the log has the reason)`;
  }

  get listeners(): readonly Listener[] {
    return this.#parts.listeners.all;
  }

  /** The present config. */
  get config(): Config {
    return this.#setup.config;
  }

  get generation(): LiveGeneration {
    return this.handlers.generation;
  }

  /** Bodies that wait on disk. */
  get spoolUsage(): { files: number; heldBytes: number } {
    return this.#parts.bodies.spool.usage;
  }

  /** All that was counted since the start. */
  get counters(): Counters {
    return this.#parts.requestLog.counters;
  }

  /** Numbers of traced requests by their outcome, and of spans that the collector has rejected. */
  get traceCounts(): Readonly<ExportCounts> {
    return this.#parts.tracer.counts;
  }

  /** The traffic since the start, and the present requests. */
  get traffic(): Traffic {
    return this.#parts.requestLog.counters.snapshot(this.handlers.load);
  }

  /**
   * Reads config and certificates again, builds the handlers, and starts workers for the pools that changed, beside the
   * old ones. Once all new workers are ready and tested, switches everything in one step. The old workers finish their
   * requests. If nothing changed, the operator wants fresh workers, and all are replaced.
   *
   * One reload runs at a time. All calls during it share the next one.
   *
   * @throws RuntimeError with the reason for a refusal; nothing has changed then. `ERR_DRAINING` when the server stops.
   */
  reload(): Promise<ReloadReport> {
    const reload = async (): Promise<ReloadReport> =>
      this.#purgeTags(await this.#reloader.reload());
    return this.#parts.development === null ? reload() : this.#parts.development.follow(reload);
  }

  /**
   * Switches to a generation on disk in the same way as a reload, under the present config.
   *
   * @param id Default: the last generation that served with different code.
   * @throws RuntimeError `ERR_HANDLER_LOAD` when there is no such generation or it serves already; otherwise like
   *   `reload`.
   */
  async rollback(id?: string): Promise<ReloadReport> {
    return this.#purgeTags(await this.#reloader.rollback(id));
  }

  /**
   * Explains the answer to a request, and asks no handler and no upstream server.
   *
   * @throws RuntimeError `ERR_CONFIG` for a question that is no request.
   */
  async explain(question: Question): Promise<Explanation> {
    const { explain } = await import("./explain/explain.ts");
    const { sites, listeners, ids } = this.#parts;
    const { config, certificates } = this;
    const nextId = (): ReturnType<typeof ids.nextExchange> => ids.nextExchange();
    return explain(question, { config, sites, certificates, ports: listeners.ports, nextId });
  }

  /**
   * Yields samples of the traffic until the signal aborts. One reader at a time.
   *
   * @throws RuntimeError `ERR_OVERLOADED`, at the first event, when there is another reader.
   */
  async *shadow(request: ShadowRequest, signal: AbortSignal): AsyncGenerator<ShadowEvent> {
    if (this.#isShadowed) {
      const found = 'found another "edgicorn shadow" that reads its samples';
      throw new RuntimeError(
        "ERR_OVERLOADED",
        `Cannot shadow this server: ${found}, expected none`,
      );
    }
    this.#isShadowed = true;
    const { sites, requestLog } = this.#parts;
    try {
      const { Sampler } = await import("./shadow/sampler.ts");
      const sampler = new Sampler({
        ...request,
        random: Math.random,
        routeOf: ({ series = 0 }) => {
          const { site, route } = requestLog.counters.finishedRequests.nameOf(series);
          return site === DEFAULT_SITE ? route : `${site} ${route}`;
        },
      });
      sites.watch((client) => sampler.look(client));
      yield* sampler.events(signal);
    } finally {
      sites.watch(null);
      this.#isShadowed = false;
    }
  }

  /**
   * Gives a request to the route of a site, past all stages: no rule, no authentication and no file of the site counts.
   *
   * @param create Creates the client of the request.
   * @returns Whether a route, or a fallback, has got the request.
   */
  answerByRoute(create: (id: ExchangeId) => Client, site: string): boolean {
    const client = create(this.#parts.ids.nextExchange());
    const target = parseTarget(client.head.target);
    const responder = target.ok ? this.generation.routesOf(site)?.find(target) : undefined;
    if (!target.ok || responder === undefined || responder === null) return false;
    responder.answer(client, target);
    return true;
  }

  /** The handlers that run at times. */
  get cronJobs(): CronJobInfo[] {
    return this.#cronJobs?.info ?? [];
  }

  /** The queues that handlers receive. */
  get queues(): QueueInfo[] {
    return this.#queueConsumers?.info ?? [];
  }

  /** Begins the runs of handlers with times and the batches of queues, now and after each reload. Call once this process serves alone. */
  startCron(): void {
    if (this.#cronPhase !== "waiting") return;
    this.#cronPhase = "on";
    this.#renewCron();
    this.#renewQueues();
  }

  /** Begins no further run and no further batch. Those in flight go on. */
  stopCron(): void {
    this.#cronPhase = "off";
    this.#cronJobs?.stop();
    this.#queueConsumers?.stop();
  }

  /**
   * Runs a handler with times now, and waits for its end.
   *
   * @throws RuntimeError `ERR_CONFIG` when there is none of this name; `ERR_OVERLOADED` when it runs already.
   */
  async runCron(route: string, cron: string | null): Promise<CronRunReport> {
    const jobs = await this.#cron;
    if (jobs !== null) return jobs.run(route, cron);
    const found = this.config.cron ? "no handler with config.schedule" : 'the setting cron "off"';
    throw new RuntimeError("ERR_CONFIG", `Cannot run ${route}: found ${found}`);
  }

  /** The stored answers. */
  get cache(): ResponseCache {
    return this.#parts.cache;
  }

  /** Purges the answers whose tags the setting `cacheReload` names, if other code serves now. */
  #purgeTags(report: ReloadReport): ReloadReport {
    const { cacheReload } = this.config;
    if (typeof cacheReload === "string") return report;
    if (report.pools.every(({ change }) => change === "kept")) return report;
    for (const tag of cacheReload) this.cache.purge({ kind: "tag", tag });
    return report;
  }

  /**
   * Serves other certificates to new connections, and changes nothing else.
   *
   * @param load Loads them; it returns `null` to change nothing.
   * @returns The loaded certificates; `null`: they are the present ones.
   * @throws RuntimeError with the reason for a refusal; nothing has changed then. `ERR_DRAINING` when the server stops.
   */
  replaceCertificates(
    load: () => Promise<LoadedCertificates | null>,
  ): Promise<LoadedCertificates | null> {
    return this.#reloader.between(async () => {
      this.#stop.signal.throwIfAborted();
      const loaded = await load();
      if (loaded === null) return null;
      const { certificates, warnings } = loaded;
      const to = { ...this.#setup, certificates, warnings };
      if (haveSameCertificates(this.#setup, to)) return null;
      const prepared = await this.#parts.listeners.prepareCertificates(certificates);
      prepared.commit();
      this.#adopt(to);
      return loaded;
    });
  }

  /** Replaces the answers of the tokens that certificate authorities ask for. */
  setChallengeTokens(tokens: ReadonlyMap<string, string>): void {
    this.#challengeTokens = tokens;
  }

  /** The facts for readiness probes. */
  get readiness(): Readiness {
    const { generation, config } = this;
    const pools = [...generation.pools].map(([name, { dispatcher }]) => ({
      name,
      readyWorkers: dispatcher.readyWorkers,
      // A pool's name may be `constructor`.
      isOptional: Object.hasOwn(config.pools, name) && config.pools[name]?.optional === true,
    }));
    const phase = this.#takesTraffic ? "serving" : "draining";
    return { phase, canServe: generation.isReady, pools };
  }

  get #takesTraffic(): boolean {
    return this.#closing === null && !this.#isOutOfRotation;
  }

  /** Makes readiness probes fail, or lets them succeed again. The server serves on in both cases. */
  setOutOfRotation(isOut: boolean): void {
    this.#isOutOfRotation = isOut;
  }

  /** The certificates that it serves, the default one first. */
  get certificates(): readonly ServerCertificate[] {
    return this.#setup.certificates ?? [];
  }

  /** Returns the generations on disk, the newest first. */
  generations(): Promise<GenerationInfo[]> {
    const { stored, handlers, requestLog } = this.#parts;
    return listGenerations({ stored, handlers, served: requestLog.served });
  }

  /**
   * Accepts no new connections, answers all requests in flight, then ends everything. Cuts off requests that exceed the
   * grace period.
   *
   * @param options.delayMs How long it serves on before that. Health checks fail from the call on.
   */
  close(graceMs: number, { delayMs = 0 }: { delayMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(graceMs, delayMs);
    return this.#closing;
  }

  /**
   * Closes like `close`, but first answers further requests of open connections. Each connection ends with its next
   * response, or when it is idle. For a server whose ports another process took over: no client may find its connection
   * closed after it has sent a request.
   */
  async leave(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    this.#parts.listeners.stopAccepting();
    // The last part of the grace period is for requests that are still in flight.
    await settledWithin(this.#parts.listeners.disconnected(), graceMs * LEAVING_SHARE);
    await this.close(Math.max(0, deadlineMs - performance.now()));
  }

  /** Ends everything now. */
  async destroy(): Promise<void> {
    this.stopCron();
    this.#stop.abort(stopping());
    this.#parts.listeners.close();
    const { cache, gates, joined, proxies, sockets, tracer } = this.#parts;
    proxies.destroy();
    sockets.destroy();
    const traced = tracer.close(0);
    const parts = [
      traced,
      this.handlers.destroy(),
      this.files.destroy(),
      gates.close(),
      cache.close(),
      joined.close(),
    ];
    await Promise.all([this.#reloader.settled(), ...parts]);
    await this.#releaseGenerations();
  }

  async #open(): Promise<void> {
    const { config, certificates } = this.#setup;
    const { listeners, perAddress, clock, ids, sites, gates, files, proxies } = this.#parts;
    const { bodies, ruleFiles, requestLog, log } = this.#parts;
    useSettings(this.#parts, config);
    const starting = this.#startHandlers();
    // Loading the engine's binary blocks this process for 20 ms, so the workers must run by then.
    const loading = untilForked(starting).then(() => this.#loadEngine());
    const opening: Promise<unknown>[] = [
      loading,
      // The first check of the ports, before the start waits for workers. `open` checks them again.
      listeners.probe(config),
      starting,
      files.prepare(listSiteSettings(config)).then((prepared) => prepared?.commit()),
      ruleFiles.prepare(listPublicDirs(config)).then((prepared) => prepared.commit()),
      gates.prepare(listSiteSettings(config)).then((prepared) => prepared?.commit()),
      proxies.prepare(config).then((prepared) => prepared?.commit()),
    ];
    bodies.spool
      .clean()
      .catch((error: unknown) => log.warn({ err: error }, "cannot remove old spool files"));
    // The first failure aborts the others. It is thrown once they have ended, so that everything they opened has an
    // owner.
    for (const part of opening) part.catch((error: unknown) => this.#stop.abort(error));
    await Promise.allSettled(opening);
    this.#stop.signal.throwIfAborted();
    this.#adopt(this.#setup);
    this.#renewSites();
    await listeners.open(await loading, config, {
      ...recordRequests(requestLog, {
        log,
        maxConnections: () => this.config.maxConnections,
      }),
      ...toListenerSettings(config),
      http2: toHttp2Options(config),
      compressesWebSockets: config.webSocketCompression,
      certificates,
      tls: config,
      clock,
      perAddress,
      nextId: () => ids.nextExchange(),
      onRequest: (client, certificate, origin) => sites.serve(client, certificate, origin),
    });
  }

  async #loadEngine(): Promise<Engine> {
    const engine = await loadEngine(this.config, (message) => this.#parts.log.warn(message));
    this.#engine = engine;
    return engine;
  }

  /**
   * Starts the first generation. In development, the server keeps running when handlers do not compile, so that the
   * developer can fix them.
   */
  #startHandlers(): Promise<void> {
    const starting = this.#reloader.startFirst(this.#setup);
    if (this.#parts.development === null) return starting;
    return this.#parts.development.followStart(starting, {
      log: this.#parts.log,
      signal: this.#stop.signal,
    });
  }

  /** Creates all sites again, for the present config and generation. */
  #renewSites(): void {
    const { generation } = this;
    const { sites, gates, ids, proxies, cache, requestLog } = this.#parts;
    const nextGates = gates.begin();
    const { tracer } = this.#parts;
    const next = createSites({
      ...this.#parts,
      trace: this.config.otlp === null ? null : (client) => tracer.begin(client),
      gates: nextGates,
      config: this.config,
      seriesOf: (site, place) => requestLog.counters.finishedRequests.idOf(site, place),
      routesOf: (site) => generation.routesOf(site),
      proxiesOf: (settings) => {
        const proxyOf = proxies.forSite(settings);
        const { cache: policy } = settings;
        return (setting) => {
          const destination = toDestination(setting);
          return new CacheByPolicy(proxyOf(setting), { cache, policy, destination });
        };
      },
      canServe: () => this.#takesTraffic && generation.isReady,
      isReady: () => isReady(this.readiness),
      challengeTokens: () => this.#challengeTokens,
      ports: () => this.#parts.listeners.ports,
      nextId: () => ids.nextExchange(),
    });
    nextGates.commit();
    sites.useSites(next);
    const assets = new SiteAssets({ ...this.#parts, config: this.config });
    this.#parts.calls.use({
      routesOf: (site) => generation.routesOf(site),
      assetsOf: (site) => assets.of(site),
    });
  }

  /** Returns the parts that a reload may change. The last one covers the primary's own settings and the site. */
  #reloadParts(): Part[] {
    return [
      ({ from, to }) => {
        const { certificates } = to;
        const isSame = from !== null && haveSameCertificates(from, to);
        return certificates === null || isSame
          ? null
          : this.#parts.listeners.prepareCertificates(certificates);
      },
      ({ to }) => this.files.prepare(listSiteSettings(to.config)),
      ({ to }) => this.#parts.ruleFiles.prepare(listPublicDirs(to.config)),
      ({ to }) => this.#parts.gates.prepare(listSiteSettings(to.config)),
      ({ to }) => this.#parts.proxies.prepare(to.config),
      (change, options) => this.handlers.prepare(change, options),
      ({ to }) => ({
        commit: () => this.#switchTo(to),
        discard: () => Promise.resolve(),
      }),
    ];
  }

  /** Makes this the present setup. Its certificates serve already. */
  #adopt(setup: Setup): void {
    this.#setup = setup;
    this.#parts.sites.useCertificates(setup.certificates ?? []);
  }

  #switchTo(setup: Setup): void {
    this.#adopt(setup);
    useSettings(this.#parts, setup.config);
    this.#parts.development?.solved();
    this.#renewSites();
    this.#parts.listeners.change(toListenerSettings(setup.config));
    this.#renewCron();
    this.#renewQueues();
  }

  /** Gives the handlers with times of the present generation to the part that runs them, which is loaded on demand. */
  #renewCron(): void {
    if (this.#cronPhase !== "on") return;
    const handlers = this.config.cron ? this.generation.listScheduled() : [];
    if (handlers.length === 0 && this.#cron === null) return;
    this.#cron ??= this.#loadCron();
    const { log } = this.#parts;
    this.#cron
      .then((jobs) => jobs.use(handlers, this.#cronStore))
      .catch((error: unknown) => log.error({ err: error }, "cannot run handlers at their times"));
  }

  /** Gives the handlers with queues of the present generation to the part that receives, which is loaded on demand. */
  #renewQueues(): void {
    if (this.#cronPhase !== "on") return;
    const handlers = this.config.queues ? this.generation.listQueues() : [];
    if (handlers.length === 0 && this.#queues === null) return;
    this.#queues ??= this.#loadQueues();
    const { log } = this.#parts;
    const { bindings, stores } = this.config;
    this.#queues
      .then((consumers) => consumers.use(handlers, { bindings, stores }))
      .catch((error: unknown) => log.error({ err: error }, "cannot receive from queues"));
  }

  async #loadQueues(): Promise<QueueConsumers> {
    const { QueueConsumers } = await import("./queues/queue-consumers.ts");
    const { log, ids, requestLog } = this.#parts;
    const consumers = new QueueConsumers({
      log,
      storesDir: join(this.config.stateDir, STORES_FOLDER),
      nextId: () => ids.nextExchange(),
      onFailure: (client, status) => requestLog.noteFailure(client, status),
    });
    this.#queueConsumers = consumers;
    // The server may have been stopped meanwhile.
    if (this.#cronPhase === "off") consumers.stop();
    return consumers;
  }

  /** The store that decides which of several servers does a run; `null`: this one does all. */
  get #cronStore(): RedisStoreSetting | null {
    const { cronStore, stores } = this.config;
    const found = stores.find(({ name }) => name === cronStore);
    return found?.kind === "redis" ? found : null;
  }

  async #loadCron(): Promise<CronJobs> {
    const { CronJobs } = await import("./cron/cron-jobs.ts");
    const { log, ids, requestLog } = this.#parts;
    const { stateDir } = this.config;
    const jobs = new CronJobs({
      log,
      stateDir,
      nextId: () => ids.nextExchange(),
      onFailure: (client, status) => requestLog.noteFailure(client, status),
    });
    this.#cronJobs = jobs;
    // The server may have been stopped meanwhile.
    if (this.#cronPhase === "off") jobs.stop();
    return jobs;
  }

  async #close(graceMs: number, delayMs: number): Promise<void> {
    this.stopCron();
    if (delayMs > 0) await delay(delayMs, null, { ref: false });
    const deadlineMs = performance.now() + graceMs;
    this.#parts.listeners.stopAccepting();
    this.#stop.abort(stopping());
    const { sockets } = this.#parts;
    const socketsMs = graceMs * SOCKETS_SHARE;
    await Promise.all([
      settledWithin(this.#parts.gates.untilPassed(), graceMs),
      settledWithin(sockets.close(socketsMs), socketsMs),
    ]);
    // The handlers' answers come first, then the clients that still read theirs.
    const leftMs = Math.max(0, deadlineMs - performance.now());
    await Promise.all([
      settledWithin(this.#reloader.settled(), leftMs),
      this.handlers.close(leftMs),
    ]);
    await settledWithin(this.#parts.listeners.idle(), Math.max(0, deadlineMs - performance.now()));
    const clients = this.#parts.listeners.close({ graceIsOver: true });
    if (clients > 0) {
      const fields = { clients, setting: "drainGrace", graceMs: this.config.drainGraceMs };
      this.#parts.log.warn(fields, "clients cut off: they took longer than the grace");
    }
    const { cache, gates, joined, proxies, tracer } = this.#parts;
    proxies.destroy();
    const traced = tracer.close(LAST_TRACES_MS);
    const { files } = this;
    const cron = this.#cronJobs?.close();
    const queues = this.#queueConsumers?.close();
    // A disk that hangs must not keep the process.
    const closed = Promise.all([
      files.destroy(),
      gates.close(),
      cache.close(),
      traced,
      cron,
      queues,
      joined.close(),
    ]);
    await Promise.race([closed, delay(LAST_CLOSE_MS, null, { ref: false })]);
    await this.#releaseGenerations();
  }

  /** Releases all leases. Must be called when no generation serves any more. */
  async #releaseGenerations(): Promise<void> {
    await this.handlers.release();
    await this.stored.releaseSpares();
  }
}

function stopping(): RuntimeError {
  return new RuntimeError("ERR_DRAINING", "Cannot start handlers: the server stops");
}

/**
 * Returns the path of the module for both kinds of process. From source it is beside this file; compiled, both are in
 * one program that finds out its role itself.
 */
function workerEntry(): string {
  return fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));
}
