import { setMaxListeners } from "node:events";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExchangeId, WorkerId } from "./channel/messages.ts";
import type { Config } from "./config/config.ts";
import type { GenerationInfo, ReloadReport } from "./control/operations.ts";
import { BlockPool } from "./bodies/block-pool.ts";
import { ByteBudget } from "./bodies/byte-budget.ts";
import { Spool } from "./bodies/spool.ts";
import { RuntimeError } from "./lib/errors.ts";
import {
  answerChanges,
  answerHandlerProblem,
  isNavigation,
  STALE_FIELD,
} from "./site/answer-handler-problem.ts";
import { answerNotFound } from "./site/answer-not-found.ts";
import { answerHealth } from "./site/answer-health.ts";
import { HEADER_SLACK_BYTES } from "./http/head-limits.ts";
import type { Listener, ListenerChanges } from "./engine/uws/listener.ts";
import { Listeners } from "./engine/listeners.ts";
import { ProxyNotes } from "./engine/proxy-notes.ts";
import { RequestsPerAddress } from "./http/requests-per-address.ts";
import { serveStatic } from "./files/serve-files.ts";
import type { Client } from "./http/client.ts";
import { addField } from "./site/filters/add-field.ts";
import { loadUws, type Uws } from "./engine/uws/uws.ts";
import { toDisplayPath } from "./lib/display-path.ts";
import {
  describeHandlerProblem,
  isHandlerProblem,
  refusesSaves,
} from "./handlers/handler-problem.ts";
import type { HandlerProblem } from "./lib/developer-page.ts";
import { CHANGES_PATH } from "./lib/html-page.ts";
import { LiveGeneration } from "./handlers/live-generation.ts";
import type { HandlerPool } from "./handlers/handler-pool.ts";
import type { Logger } from "./log/log.ts";
import { Reloader, type ReloaderOptions, type Proven } from "./reload/reloader.ts";
import type { Traffic } from "./observe/counters.ts";
import { DEFAULT_POOL } from "./lib/pool-name.ts";
import { RetiringPools } from "./reload/retiring-pools.ts";
import { StoredGenerations } from "./reload/stored-generations.ts";
import { RequestLog, type RequestLogOptions } from "./observe/request-log.ts";
import { type ParsedTarget, parseTarget } from "./http/target-path.ts";
import { settledWithin } from "./lib/settled-within.ts";
import type { Setup } from "./reload/setup.ts";
import { FileIndex } from "./files/file-index.ts";
import { prepareForks } from "./supervise/fork-worker.ts";
import { OomKills } from "./supervise/oom-kills.ts";
import { TurnClock } from "./lib/turn-clock.ts";

export interface PrimaryOptions
  extends Setup, Pick<ReloaderOptions, "loadSetup">, Pick<RequestLogOptions, "createAccessLog"> {
  log: Logger;
  /** Most bodies that wait on disk at a time under a config, each with a file descriptor. */
  maxSpoolFiles: (config: Config) => number;
  /** Ports that the server whose place this one takes listens on: they may be shared, and one stands for "any free". */
  inherited?: readonly { scheme: "http" | "https"; port: number }[];
}

/** Of the grace, how much a server that leaves its place waits for its connections. */
const LEAVING_SHARE = 0.9;

/** Memory for all request bodies that are being gathered. Above it new ones are answered 503. */
const BODY_BUDGET_BYTES = 256 * 1024 * 1024;

/**
 * The Nginx half: owns every client socket, the static files and the queues, and runs no user code.
 *
 * The parts that new requests meet change in one synchronous step (`#switchTo`), when `Reloader` has all of them ready.
 */
export class Primary {
  readonly #options: PrimaryOptions;
  readonly #log: Logger;
  readonly #proxyNotes = new ProxyNotes((fields, message) => this.#log.warn(fields, message));
  readonly #requestLog: RequestLog;
  readonly #listeners: Listeners;
  readonly #clock = new TurnClock();
  readonly #blocks = new BlockPool();
  readonly #spool: Spool;
  readonly #stored: StoredGenerations;
  readonly #reloader: Reloader;
  readonly #retiring: RetiringPools;
  #setup: Setup;
  #files: FileIndex | null = null;
  /** Indexes of earlier public folders, of which files are still being sent. */
  readonly #oldFiles = new Set<FileIndex>();
  /** `null`: a client may have any number. */
  #perAddress: RequestsPerAddress | null = null;
  /** Its name is empty until it is loaded. */
  #library = { label: "", isUsual: true };
  #lastExchangeId = 0;
  #lastWorkerId = 0;
  /** The generation that gets new requests. */
  #generation: LiveGeneration | null = null;
  /** Why handlers and settings as they are on disk do not serve; `null`: they do. In development only. */
  #problem: HandlerProblem | null = null;
  /** Counts reloads, also those that were refused: a page of a developer loads itself anew with each. */
  #buildCount = 0;
  /** Whether its lease is held for it, beside those of its pools. */
  #holdsGeneration = true;
  /** Ends builds and boots that are running. */
  readonly #stop = new AbortController();
  #closing: Promise<void> | null = null;

  private constructor(options: PrimaryOptions) {
    const { config, certificates, log } = options;
    const maxFiles = options.maxSpoolFiles(config);
    const { stateDir, spoolLimitBytes: limitBytes } = config;
    this.#options = options;
    this.#log = log;
    this.#listeners = new Listeners(options.inherited);
    // One for each worker that is warmed up: Node would take so many for a leak.
    setMaxListeners(0, this.#stop.signal);
    this.#setup = { config, certificates, warnings: options.warnings };
    this.#requestLog = new RequestLog(options);
    this.#spool = new Spool({
      dir: join(stateDir, "spool"),
      limitBytes,
      maxFiles,
      blocks: this.#blocks,
      log,
    });
    this.#stored = new StoredGenerations(stateDir, log, config.mode);
    this.#retiring = new RetiringPools(log, config.mode);
    this.#reloader = this.#createReloader();
  }

  /**
   * Builds the handlers, starts the workers and then listens: the first connection finds everything ready.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD`, `ERR_BOOT_LOOP`, `ERR_LISTEN`; `ERR_DRAINING` if the signal aborts. All
   *   that was opened is closed by then.
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
    return this.#library.label;
  }

  /** The same where an operator chose it; `null`: Edgicorn did. */
  get chosenLibrary(): string | null {
    return this.#library.isUsual ? null : this.#library.label;
  }

  get listeners(): readonly Listener[] {
    return this.#listeners.all;
  }

  /** The present config. */
  get config(): Config {
    return this.#setup.config;
  }

  get generation(): LiveGeneration {
    if (this.#generation === null) throw new TypeError("the primary has not started");
    return this.#generation;
  }

  get files(): FileIndex | null {
    return this.#files;
  }

  /** The traffic since the start, and the requests now. */
  get traffic(): Traffic {
    let queued = 0;
    let inFlight = 0;
    for (const { dispatcher } of this.#pools()) {
      queued += dispatcher.load.queued;
      inFlight += dispatcher.load.inFlight;
    }
    return this.#requestLog.counters.snapshot({ queued, inFlight });
  }

  /** The local files of which the handlers were built last, even when that failed. Absolute. */
  get sources(): readonly string[] {
    return this.#stored.sources;
  }

  /**
   * Reads config and certificates again, builds the handlers and starts workers for the pools that have changed, beside
   * the old ones. Once all are ready and proven, everything switches in one step, and the old workers finish their
   * requests. If nothing at all has changed, the operator wants fresh workers, and all are replaced.
   *
   * One reload runs at a time. All calls during it share the next one.
   *
   * @throws RuntimeError with the reason for a refusal; nothing has changed then. `ERR_DRAINING` when the server stops.
   */
  async reload(): Promise<ReloadReport> {
    try {
      return await this.#reloader.reload();
    } catch (error) {
      if (this.config.mode === "development" && refusesSaves(error)) {
        const serving = this.#generation;
        const problem = await describeHandlerProblem(error, process.cwd());
        // Otherwise a later reload has gone well meanwhile.
        if (this.#generation === serving) this.#problem = problem;
      }
      throw error;
    } finally {
      this.#buildCount++;
    }
  }

  /**
   * Moves to a generation that is on disk, in the way a reload does, under the config that counts now.
   *
   * @param id The last that served with other code, unless told.
   * @throws RuntimeError `ERR_HANDLER_LOAD` when there is no such generation or it serves already; else as `reload`.
   */
  rollback(id?: string): Promise<ReloadReport> {
    return this.#reloader.rollback(id);
  }

  /** The generations on disk, newest first. */
  async generations(): Promise<GenerationInfo[]> {
    const stored = await this.#stored.list();
    const before = this.#stored.findBefore(stored, this.generation.manifest);
    const served = this.#requestLog.served;
    return stored.map((generation) => {
      const { id } = generation;
      const rollback = id === before;
      return { ...generation, state: this.#stateOf(id), rollback, ...served.of(id) };
    });
  }

  /** Replaced pools that still answer their requests. Oldest first. */
  get retiring(): readonly HandlerPool[] {
    return this.#retiring.all;
  }

  /** The last built generation, if a rollback has replaced it; `null`: the last built one serves. */
  get rolledBackFrom(): string | null {
    return this.#stored.rolledBackFrom;
  }

  /**
   * One worker more or less for the default pool, or where there is none for the first one; at least one. It counts
   * until the pool is replaced, or the server starts anew.
   *
   * @returns How many there shall be now.
   */
  resize(change: 1 | -1): number {
    const { pools } = this.generation;
    const [first] = pools.values();
    const pool = pools.get(DEFAULT_POOL) ?? first;
    return pool?.resize(change) ?? 0;
  }

  /** Accepts no more, answers all requests in flight, then ends everything. Cuts off requests that exceed the grace. */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  /**
   * Closes, but first answers further requests of open connections. Each connection ends with its next response, or
   * when it is idle. For a server whose ports another one has taken over: a client must not find its connection closed
   * after it has sent a request.
   */
  async leave(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    this.#listeners.stopAccepting();
    // The last part of the grace is for ending the rest.
    await settledWithin(this.#listeners.disconnected(), graceMs * LEAVING_SHARE);
    await this.close(Math.max(0, deadlineMs - performance.now()));
  }

  /** Ends everything now. */
  async destroy(): Promise<void> {
    this.#stop.abort(stopping());
    this.#listeners.close();
    await Promise.all([
      this.#reloader.settled(),
      ...this.#pools().map((pool) => pool.destroy()),
      ...this.#allFiles().map((files) => files.destroy()),
    ]);
    await this.#releaseGeneration();
  }

  async #open(): Promise<void> {
    const { config, certificates } = this.#setup;
    const { publicDir } = config;
    this.#useSettings(config);
    const loading = this.#loadLibrary(config);
    const starting = this.#startFirst();
    const opening: Promise<unknown>[] = [
      loading,
      // Before anybody waits for workers; once more when they are ready.
      this.#listeners.probe(config),
      starting.then((generation) => this.#useGeneration(generation)),
    ];
    this.#spool
      .clean()
      .catch((error: unknown) => this.#log.warn({ err: error }, "cannot look for old spool files"));
    if (publicDir !== null) {
      const indexing = FileIndex.open(publicDir, {
        log: this.#log,
        links: config.publicLinks,
      });
      opening.push(indexing.then((files) => (this.#files = files)));
    }
    // The first failure stops the others. It is thrown once they have ended, so that everything they opened has an
    // owner.
    for (const part of opening) part.catch((error: unknown) => this.#stop.abort(error));
    await Promise.allSettled(opening);
    this.#stop.signal.throwIfAborted();
    await this.#listeners.open(await loading, config, { ...this.#listenerOptions(), certificates });
  }

  async #loadLibrary({ headerLimitBytes, uws: choice }: Config): Promise<Uws> {
    const limits = { headerLimitBytes: headerLimitBytes + HEADER_SLACK_BYTES };
    const { uws, label, isUsual, failed } = await loadUws({ ...limits, choice });
    this.#library = { label, isUsual };
    for (const { label: other, reason, isOwn } of failed) {
      // That a newer package of ours does not load is no surprise on an older system.
      if (isOwn) this.#log.warn(`cannot use the package ${other}, which ${reason}: using ${label}`);
    }
    return uws;
  }

  /** In development, the server stays up when handlers do not compile, so that the developer can fix them. */
  async #startFirst(): Promise<LiveGeneration> {
    const { config } = this.#setup;
    try {
      return await this.#reloader.startFirst(this.#setup);
    } catch (error) {
      if (config.mode !== "development" || !isHandlerProblem(error)) throw error;
      this.#stop.signal.throwIfAborted();
      this.#log.error(
        { code: error.code },
        `waiting for a change of the handlers: ${error.message}`,
      );
      this.#problem = await describeHandlerProblem(error, process.cwd());
      return LiveGeneration.empty({ config });
    }
  }

  #listenerOptions(): Omit<Parameters<Listeners["open"]>[2], "certificates"> {
    const requestLog = this.#requestLog;
    return {
      counters: requestLog.counters,
      tls: this.config,
      clock: this.#clock,
      nextId: () => this.#nextExchangeId(),
      onRequest: (client) => this.#onRequest(client),
      onFinished: (client, status, bytes) => requestLog.finished(client, status, bytes),
      onCut: (client, setting, value) => requestLog.cut(client, { setting, value }),
      onLimited: (client, setting) => requestLog.limited(client, setting),
      onConnectionRefused: () => requestLog.connectionRefused(this.config.maxConnections),
      onHeadRefused: (refused) => requestLog.headRefused(refused),
      onNewField: (name) => this.#proxyNotes.sawField(name),
      onError: (error) => this.#log.error({ err: error }, "request failed in the primary"),
      ...this.#listenerSettings(),
    };
  }

  /** Those options that a reload may change. */
  #listenerSettings(): ListenerChanges {
    const { config } = this;
    const { maxConnections, accessLog } = config;
    const perAddress = this.#perAddress;
    return { maxConnections, limits: config, countsBytes: accessLog !== false, perAddress };
  }

  #nextExchangeId(): ExchangeId {
    // The only place that makes one.
    return ++this.#lastExchangeId as ExchangeId;
  }

  /** A request, in the order in which it is looked at. */
  #onRequest(client: Client): void {
    const target = parseTarget(client.head.target);
    if (!target.ok) {
      this.#requestLog.counters.limit("malformed", client);
      client.refuse(400);
      return;
    }
    if (target.pathname === CHANGES_PATH && this.config.mode === "development") {
      answerChanges(client, this.#buildCount);
      return;
    }
    if (target.pathname === this.#setup.config.healthPath) {
      answerHealth(client, this.#closing === null && this.generation.isReady);
      return;
    }
    if (this.#files !== null && target.path !== null) {
      const { path, search } = target;
      if (serveStatic(client, { path, search }, this.#servingFiles, this.#onFileError)) return;
    }
    if (this.#problem !== null && this.#answerProblem(client, target, this.#problem)) return;
    if (this.generation.admit(client, target)) return;
    if (this.config.mode === "development") this.#explainNotFound(client, target.pathname);
    else client.refuse(404);
  }

  #explainNotFound(client: Client, pathname: string): void {
    const { handlersDir, publicDir } = this.config;
    answerNotFound(client, pathname, {
      routes: this.generation.describeRoutes(),
      files: this.#files?.paths ?? [],
      handlersDir: toDisplayPath(handlersDir),
      publicDir: publicDir === null ? null : toDisplayPath(publicDir),
    });
  }

  /**
   * While a generation serves, programs and open pages still use its routes. For a path without a route, every client
   * gets the problem, also where a `_404` would answer: the newest files may have that route.
   *
   * @returns Whether it answered. Otherwise it marked the answer as stale.
   */
  #answerProblem(client: Client, target: ParsedTarget, problem: HandlerProblem): boolean {
    if (isNavigation(client.head) || !this.generation.hasRoute(target)) {
      answerHandlerProblem(client, problem);
      return true;
    }
    addField(client, STALE_FIELD, problem.stale);
    return false;
  }

  readonly #servingFiles = (): FileIndex | null => this.#files;

  readonly #onFileError = (error: unknown): void => {
    this.#log.error({ err: error }, "cannot send a static file");
  };

  #createReloader(): Reloader {
    const requestLog = this.#requestLog;
    return new Reloader({
      log: this.#log,
      stored: this.#stored,
      shared: {
        log: this.#log,
        clock: this.#clock,
        bodyBudget: new ByteBudget(BODY_BUDGET_BYTES),
        blocks: this.#blocks,
        spool: this.#spool,
        counters: requestLog.counters,
        requestIdPrefix: requestLog.requestIdPrefix,
        oomKills: new OomKills(),
        leases: this.#stored.leases,
        // The only place that makes one.
        nextWorkerId: () => ++this.#lastWorkerId as WorkerId,
      },
      listeners: this.#listeners,
      loadSetup: this.#options.loadSetup,
      nextId: () => this.#nextExchangeId(),
      recent: () => requestLog.recent,
      serving: () => ({
        setup: this.#setup,
        generation: this.generation,
        files: this.#files,
      }),
      switchTo: (proven) => this.#switchTo(proven),
      signal: this.#stop.signal,
    });
  }

  /** The one step. Nothing in it waits, and nothing in it fails. */
  #switchTo({ setup, generation, files, swaps }: Proven): void {
    const { drainGraceMs } = setup.config;
    const previous = this.generation;
    const oldFiles = this.#files;
    this.#setup = setup;
    this.#useGeneration(generation);
    this.#problem = null;
    this.#files = files;
    for (const swap of swaps) swap.commit();
    this.#useSettings(setup.config);
    this.#listeners.change(this.#listenerSettings());

    for (const pool of generation.pools.values()) pool.adopt(setup.config);
    for (const [name, pool] of previous.pools) {
      if (generation.pools.get(name) !== pool) this.#retiring.add(pool, drainGraceMs);
    }
    if (oldFiles !== null && oldFiles !== files) {
      this.#oldFiles.add(oldFiles);
      void oldFiles.close().finally(() => this.#oldFiles.delete(oldFiles));
    }
  }

  #useGeneration(generation: LiveGeneration): void {
    const { id } = generation.manifest;
    generation.counts = this.#requestLog.served.begin(id, this.#lastExchangeId + 1);
    this.#generation = generation;
  }

  /** Applies the config's settings for the primary itself. */
  #useSettings(config: Config): void {
    const { logLevel, maxRequestsPerAddress } = config;
    this.#log.level = logLevel;
    if (maxRequestsPerAddress === null) this.#perAddress = null;
    else if (this.#perAddress === null) {
      this.#perAddress = new RequestsPerAddress(maxRequestsPerAddress);
    } else {
      this.#perAddress.most = maxRequestsPerAddress;
    }
    this.#spool.maxFiles = this.#options.maxSpoolFiles(config);
    this.#requestLog.useSettings(config);
  }

  #stateOf(id: string): GenerationInfo["state"] {
    const isOf = ({ manifest }: HandlerPool): boolean => manifest.id === id;
    if (this.#generation?.manifest.id === id) return "serving";
    if ([...(this.#generation?.pools.values() ?? [])].some(isOf)) return "shared";
    return this.#retiring.all.some(isOf) ? "retiring" : "stored";
  }

  #pools(): HandlerPool[] {
    return [...this.#retiring.all, ...(this.#generation?.pools.values() ?? [])];
  }

  #allFiles(): FileIndex[] {
    return this.#files === null ? [...this.#oldFiles] : [...this.#oldFiles, this.#files];
  }

  async #close(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    this.#listeners.stopAccepting();
    this.#stop.abort(stopping());
    // First the handlers' answers, then the clients that are still reading theirs.
    await Promise.all([
      settledWithin(this.#reloader.settled(), graceMs),
      ...this.#pools().map((pool) => pool.close(graceMs)),
    ]);
    await settledWithin(this.#listeners.idle(), Math.max(0, deadlineMs - performance.now()));
    const clients = this.#listeners.close({ graceIsOver: true });
    if (clients > 0) {
      const fields = { clients, setting: "drainGrace", graceMs: this.config.drainGraceMs };
      this.#log.warn(fields, "clients cut off: they took longer than the grace");
    }
    await Promise.all(this.#allFiles().map((files) => files.destroy()));
    await this.#releaseGeneration();
  }

  /** Nothing serves any more. */
  async #releaseGeneration(): Promise<void> {
    if (this.#generation === null || !this.#holdsGeneration) return;
    this.#holdsGeneration = false;
    await this.#stored.leases.release(this.#generation.manifest.id);
    await this.#stored.releaseSpares();
  }
}

function stopping(): RuntimeError {
  return new RuntimeError("ERR_DRAINING", "Cannot start handlers: the server stops");
}

/**
 * From source, the worker's module is beside this one. Compiled, both are one program that finds out its role itself.
 */
function workerEntry(): string {
  return fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));
}
