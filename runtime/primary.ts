import cluster from "node:cluster";
import { once, setMaxListeners } from "node:events";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExchangeId, WorkerId } from "./channel/messages.ts";
import type { Config } from "./config/config.ts";
import type { GenerationInfo, ReloadReport } from "./control/operations.ts";
import { BlockPool } from "./bodies/block-pool.ts";
import { ByteBudget } from "./bodies/byte-budget.ts";
import { Intakes } from "./bodies/intakes.ts";
import { Spool } from "./bodies/spool.ts";
import type { Engine, Listener } from "./engine/engine.ts";
import { Listeners, type ListenersOptions } from "./engine/listeners.ts";
import { loadUwsEngine } from "./engine/uws/uws-engine.ts";
import { ProxyNotes } from "./engine/proxy-notes.ts";
import { HandedFiles } from "./files/handed-files.ts";
import { PublicFolders } from "./files/public-folders.ts";
import { isHandlerProblem } from "./handlers/handler-problem.ts";
import type { LiveGeneration } from "./handlers/live-generation.ts";
import { Admission } from "./http/admission.ts";
import { RequestsPerAddress } from "./http/requests-per-address.ts";
import { toTrust } from "./http/trusted-proxies.ts";
import { RuntimeError } from "./lib/errors.ts";
import { settledWithin } from "./lib/settled-within.ts";
import { LimitStates } from "./limits/limit-states.ts";
import { TurnClock } from "./lib/turn-clock.ts";
import type { Logger } from "./log/log.ts";
import type { Traffic } from "./observe/counters.ts";
import { RequestLog, type RequestLogOptions } from "./observe/request-log.ts";
import { hasAccessLog } from "./observe/site-access.ts";
import { LiveHandlers } from "./reload/live-handlers.ts";
import type { Part } from "./reload/part.ts";
import { Reloader, type ReloaderOptions } from "./reload/reloader.ts";
import { haveSameCertificates, type Setup } from "./reload/setup.ts";
import { StoredGenerations } from "./reload/stored-generations.ts";
import { Guards } from "./rules/guards.ts";
import { createSites, listSiteSettings } from "./site/create-sites.ts";
import { Development } from "./site/development.ts";
import { LiveSites } from "./site/live-sites.ts";
import type { LoadedCertificates, ServerCertificate } from "./tls/tls.ts";
import { prepareForks } from "./supervise/fork-worker.ts";
import { OomKills } from "./supervise/oom-kills.ts";

export interface PrimaryOptions
  extends Setup, Pick<ReloaderOptions, "loadSetup">, Pick<RequestLogOptions, "createAccessLog"> {
  log: Logger;
  /** Returns the most bodies that may be on disk at the same time under a config. Each needs a file descriptor. */
  maxSpoolFiles: (config: Config) => number;
  /**
   * Ports of the process that this one replaces. The new server may share them. If its port is 0, it takes the
   * inherited one.
   */
  inherited?: readonly { scheme: "http" | "https"; port: number }[];
}

/** Share of the grace period in which a server that leaves waits for its connections. */
const LEAVING_SHARE = 0.9;

/** Memory for all request bodies that are being gathered. Beyond it, the answer to a new one is 503. */
const BODY_BUDGET_BYTES = 256 * 1024 * 1024;

/**
 * The half of the server that corresponds to Nginx: owns all client sockets, static files and queues, and runs no user
 * code.
 *
 *     listeners ──client──▶ site by host: stages ──▶ files, or a route of the handlers ──▶ reply
 *
 * A reload changes its parts in one synchronous step, when `Reloader` has prepared all of them (`#parts`).
 */
export class Primary {
  readonly files: PublicFolders;
  readonly handlers: LiveHandlers;
  /** The generations on disk. */
  readonly stored: StoredGenerations;
  readonly #options: PrimaryOptions;
  readonly #log: Logger;
  readonly #proxyNotes = new ProxyNotes((fields, message) => this.#log.warn(fields, message));
  readonly #requestLog: RequestLog;
  readonly #listeners: Listeners;
  readonly #clock = new TurnClock();
  readonly #spool: Spool;
  readonly #admission: Admission;
  readonly #guards: Guards;
  readonly #reloader: Reloader;
  /** `null` in production. */
  readonly #development: Development | null;
  #setup: Setup;
  readonly #sites: LiveSites;
  readonly #perAddress = new RequestsPerAddress();
  /** `null` until it is loaded. */
  #engine: Engine | null = null;
  #challengeTokens: ReadonlyMap<string, string> = new Map();
  #lastExchangeId = 0;
  #lastWorkerId = 0;
  /** Aborts running builds and boots. */
  readonly #stop = new AbortController();
  #closing: Promise<void> | null = null;

  private constructor(options: PrimaryOptions) {
    const { config, certificates, warnings, log } = options;
    const { mode, stateDir } = config;
    this.#options = options;
    this.#log = log;
    this.#setup = { config, certificates, warnings };
    this.#sites = new LiveSites((client) => this.#requestLog.counters.limit("malformed", client));
    // Each worker that is warmed up adds a listener. Node would report so many as a leak.
    setMaxListeners(0, this.#stop.signal);
    this.#listeners = new Listeners(options.inherited);
    this.#requestLog = new RequestLog(options);
    this.#development = mode === "development" ? new Development() : null;
    this.files = new PublicFolders(log, { stateDir });
    this.stored = new StoredGenerations(stateDir, log, mode);
    const blocks = new BlockPool();
    this.#spool = new Spool({
      dir: join(stateDir, "spool"),
      limitBytes: config.spoolLimitBytes,
      maxFiles: options.maxSpoolFiles(config),
      blocks,
      log,
    });
    this.#admission = new Admission({
      counters: this.#requestLog.counters,
      onRefused: (limit) => this.#requestLog.requestRefused(limit),
    });
    this.#guards = new Guards({
      log,
      counters: this.#requestLog.counters,
      spool: this.#spool,
      blocks,
      nextId: () => this.#nextExchangeId(),
    });
    this.handlers = this.#createHandlers(blocks);
    this.#reloader = new Reloader({
      stored: this.stored,
      handlers: this.handlers,
      parts: this.#parts(),
      loadSetup: options.loadSetup,
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
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<Primary> {
    const primary = new Primary(options);
    const stop = (): void => primary.#stop.abort(stopping());
    if (signal?.aborted === true) stop();
    signal?.addEventListener("abort", stop, { once: true });
    prepareForks(workerEntry());
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

  /** The package whose binary of uWebSockets.js was loaded: `uws-pack 20.0.8`. */
  get library(): string {
    return this.#engine?.label ?? "";
  }

  /** The same if the operator chose the package; `null`: Edgicorn chose it. */
  get chosenLibrary(): string | null {
    return this.#engine?.isUsual === false ? this.#engine.label : null;
  }

  get listeners(): readonly Listener[] {
    return this.#listeners.all;
  }

  /** The present config. */
  get config(): Config {
    return this.#setup.config;
  }

  get generation(): LiveGeneration {
    return this.handlers.generation;
  }

  /** The traffic since the start, and the present requests. */
  get traffic(): Traffic {
    let queued = 0;
    let inFlight = 0;
    for (const { dispatcher } of this.handlers.pools) {
      queued += dispatcher.load.queued;
      inFlight += dispatcher.load.inFlight;
    }
    return this.#requestLog.counters.snapshot({ queued, inFlight });
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
  async reload(): Promise<ReloadReport> {
    try {
      return await this.#reloader.reload();
    } catch (error) {
      await this.#development?.refused(error);
      throw error;
    } finally {
      this.#development?.built();
    }
  }

  /**
   * Switches to a generation on disk in the same way as a reload, under the present config.
   *
   * @param id Default: the last generation that served with different code.
   * @throws RuntimeError `ERR_HANDLER_LOAD` when there is no such generation or it serves already; otherwise like
   *   `reload`.
   */
  rollback(id?: string): Promise<ReloadReport> {
    return this.#reloader.rollback(id);
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
      const prepared = await this.#listeners.prepareCertificates(certificates);
      prepared.commit();
      this.#adopt(to);
      return loaded;
    });
  }

  /** Replaces the answers of the tokens that certificate authorities ask for. */
  setChallengeTokens(tokens: ReadonlyMap<string, string>): void {
    this.#challengeTokens = tokens;
  }

  /** The certificates that it serves, the default one first. */
  get certificates(): readonly ServerCertificate[] {
    return this.#setup.certificates ?? [];
  }

  /** Returns the generations on disk, the newest first. */
  async generations(): Promise<GenerationInfo[]> {
    const stored = await this.stored.list();
    const before = this.stored.findBefore(stored, this.generation.manifest);
    const { served } = this.#requestLog;
    return stored.map((generation) => {
      const { id } = generation;
      const state = this.handlers.stateOf(id);
      return { ...generation, state, rollback: id === before, ...served.of(id) };
    });
  }

  /**
   * Accepts no new connections, answers all requests in flight, then ends everything. Cuts off requests that exceed the
   * grace period.
   */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  /**
   * Closes like `close`, but first answers further requests of open connections. Each connection ends with its next
   * response, or when it is idle. For a server whose ports another process took over: no client may find its connection
   * closed after it has sent a request.
   */
  async leave(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    this.#listeners.stopAccepting();
    // The last part of the grace period is for requests that are still in flight.
    await settledWithin(this.#listeners.disconnected(), graceMs * LEAVING_SHARE);
    await this.close(Math.max(0, deadlineMs - performance.now()));
  }

  /** Ends everything now. */
  async destroy(): Promise<void> {
    this.#stop.abort(stopping());
    this.#listeners.close();
    const parts = [this.handlers.destroy(), this.files.destroy(), this.#guards.close()];
    await Promise.all([this.#reloader.settled(), ...parts]);
    await this.#releaseGenerations();
  }

  async #open(): Promise<void> {
    const { config, certificates } = this.#setup;
    this.#useSettings(config);
    const starting = this.#startHandlers();
    // Loading the engine's binary blocks this process for 20 ms, so the workers must run by then.
    const loading = untilForked(starting).then(() => this.#loadEngine());
    const opening: Promise<unknown>[] = [
      loading,
      // The first check of the ports, before the start waits for workers. `open` checks them again.
      this.#listeners.probe(config),
      starting,
      this.files.prepare(listSiteSettings(config)).then((files) => files?.commit()),
      this.#guards.prepare(listSiteSettings(config)).then((guards) => guards?.commit()),
    ];
    this.#spool
      .clean()
      .catch((error: unknown) => this.#log.warn({ err: error }, "cannot remove old spool files"));
    // The first failure aborts the others. It is thrown once they have ended, so that everything they opened has an
    // owner.
    for (const part of opening) part.catch((error: unknown) => this.#stop.abort(error));
    await Promise.allSettled(opening);
    this.#stop.signal.throwIfAborted();
    this.#adopt(this.#setup);
    this.#renewSites();
    const options = { ...this.#listenerOptions(), certificates };
    await this.#listeners.open(await loading, config, options);
  }

  async #loadEngine(): Promise<Engine> {
    const engine = await loadUwsEngine(this.config, (message) => this.#log.warn(message));
    this.#engine = engine;
    return engine;
  }

  /**
   * Starts the first generation. In development, the server keeps running when handlers do not compile, so that the
   * developer can fix them.
   */
  async #startHandlers(): Promise<void> {
    try {
      await this.#reloader.startFirst(this.#setup);
    } catch (error) {
      if (this.#development === null || !isHandlerProblem(error)) throw error;
      this.#stop.signal.throwIfAborted();
      const { code, message } = error;
      this.#log.error({ code }, `waiting for a change of the handlers: ${message}`);
      await this.#development.refused(error);
    }
  }

  #listenerOptions(): Omit<ListenersOptions, "certificates"> {
    const requestLog = this.#requestLog;
    return {
      counters: requestLog.counters,
      tls: this.config,
      clock: this.#clock,
      nextId: () => this.#nextExchangeId(),
      onRequest: (client, certificate, origin) => this.#sites.serve(client, certificate, origin),
      onFinished: (client, status, bytes) => requestLog.finished(client, status, bytes),
      onCut: (client, setting, value) => requestLog.cut(client, { setting, value }),
      onLimited: (client, setting) => requestLog.limited(client, setting),
      onConnectionRefused: () => requestLog.connectionRefused(this.config.maxConnections),
      onHeadRefused: (refused) => requestLog.headRefused(refused),
      onNewField: (name) => this.#proxyNotes.sawField(name),
      onForwardingDropped: (field, peer) => this.#proxyNotes.dropped(field, peer),
      onError: (error) => this.#log.error({ err: error }, "request failed in the primary"),
      perAddress: this.#perAddress,
      ...this.#listenerSettings(),
    };
  }

  /** Returns the options of the listeners that a reload may change. */
  #listenerSettings(): Parameters<Listeners["change"]>[0] {
    const { config } = this;
    const { maxConnections } = config;
    const countsBytes = hasAccessLog(config);
    return { maxConnections, limits: config, countsBytes, trust: toTrust(config) };
  }

  #nextExchangeId(): ExchangeId {
    // The only place that makes one.
    return ++this.#lastExchangeId as ExchangeId;
  }

  /** Creates all sites again, for the present config and generation. */
  #renewSites(): void {
    const { generation } = this;
    const guards = this.#guards.begin();
    const sites = createSites({
      guards,
      config: this.config,
      files: this.files,
      routesOf: (site) => generation.routesOf(site),
      development: this.#development,
      canServe: () => this.#closing === null && generation.isReady,
      log: this.#log,
      challengeTokens: () => this.#challengeTokens,
      ports: () => this.#ports(),
      nextId: () => this.#nextExchangeId(),
    });
    guards.commit();
    this.#sites.useSites(sites);
  }

  #ports(): { http: number | null; https: number | null } {
    const portOf = (scheme: Listener["scheme"]): number | null =>
      this.listeners.find((listener) => listener.scheme === scheme)?.port ?? null;
    return { http: portOf("http"), https: portOf("https") };
  }

  #createHandlers(blocks: BlockPool): LiveHandlers {
    const requestLog = this.#requestLog;
    return new LiveHandlers({
      config: this.config,
      leases: this.stored.leases,
      shared: {
        log: this.#log,
        clock: this.#clock,
        admission: this.#admission,
        intakes: new Intakes({ budget: new ByteBudget(BODY_BUDGET_BYTES), spool: this.#spool }),
        blocks,
        spool: this.#spool,
        counters: requestLog.counters,
        files: new HandedFiles(this.#log),
        limitStates: new LimitStates(),
        requestIdPrefix: requestLog.requestIdPrefix,
        oomKills: new OomKills(),
        leases: this.stored.leases,
        // The only place that makes one.
        nextWorkerId: () => ++this.#lastWorkerId as WorkerId,
      },
      untilPassed: () => this.#guards.untilPassed(),
      nextId: () => this.#nextExchangeId(),
      recent: () => requestLog.recent,
      beginCounts: (id) => requestLog.served.begin(id, this.#lastExchangeId + 1),
    });
  }

  /** Returns the parts that a reload may change. The last one covers the primary's own settings and the site. */
  #parts(): Part[] {
    return [
      ({ from, to }) => {
        const { certificates } = to;
        const isSame = from !== null && haveSameCertificates(from, to);
        return certificates === null || isSame
          ? null
          : this.#listeners.prepareCertificates(certificates);
      },
      ({ to }) => this.files.prepare(listSiteSettings(to.config)),
      ({ to }) => this.#guards.prepare(listSiteSettings(to.config)),
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
    this.#sites.useCertificates(setup.certificates ?? []);
  }

  #switchTo(setup: Setup): void {
    this.#adopt(setup);
    this.#useSettings(setup.config);
    this.#development?.solved();
    this.#renewSites();
    this.#listeners.change(this.#listenerSettings());
  }

  /** Applies the config's settings for the primary itself. */
  #useSettings(config: Config): void {
    const { logLevel, maxRequests, maxRequestsPerAddress } = config;
    this.#log.level = logLevel;
    this.#admission.limit = maxRequests;
    this.#perAddress.most = maxRequestsPerAddress;
    this.#spool.maxFiles = this.#options.maxSpoolFiles(config);
    this.#requestLog.useSettings(config);
  }

  async #close(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    this.#listeners.stopAccepting();
    this.#stop.abort(stopping());
    await settledWithin(this.#guards.untilPassed(), graceMs);
    // The handlers' answers come first, then the clients that still read theirs.
    const leftMs = Math.max(0, deadlineMs - performance.now());
    await Promise.all([
      settledWithin(this.#reloader.settled(), leftMs),
      this.handlers.close(leftMs),
    ]);
    await settledWithin(this.#listeners.idle(), Math.max(0, deadlineMs - performance.now()));
    const clients = this.#listeners.close({ graceIsOver: true });
    if (clients > 0) {
      const fields = { clients, setting: "drainGrace", graceMs: this.config.drainGraceMs };
      this.#log.warn(fields, "clients cut off: they took longer than the grace");
    }
    await Promise.all([this.files.destroy(), this.#guards.close()]);
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

/** Resolves when the first worker is forked, or when the start ends without one. Rejects when the start fails before. */
async function untilForked(starting: Promise<unknown>): Promise<void> {
  const waiting = new AbortController();
  try {
    await Promise.race([once(cluster, "fork", { signal: waiting.signal }), starting]);
  } finally {
    waiting.abort();
  }
}
