import { setMaxListeners } from "node:events";
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
import { PublicFolder } from "./files/public-folder.ts";
import { isHandlerProblem } from "./handlers/handler-problem.ts";
import type { LiveGeneration } from "./handlers/live-generation.ts";
import { Admission } from "./http/admission.ts";
import type { Client } from "./http/client.ts";
import { RequestsPerAddress } from "./http/requests-per-address.ts";
import { parseTarget } from "./http/target-path.ts";
import { RuntimeError } from "./lib/errors.ts";
import { settledWithin } from "./lib/settled-within.ts";
import { TurnClock } from "./lib/turn-clock.ts";
import type { Logger } from "./log/log.ts";
import type { Traffic } from "./observe/counters.ts";
import { RequestLog, type RequestLogOptions } from "./observe/request-log.ts";
import { LiveHandlers } from "./reload/live-handlers.ts";
import type { Part } from "./reload/part.ts";
import { Reloader, type ReloaderOptions } from "./reload/reloader.ts";
import { haveSameCertificates, type Setup } from "./reload/setup.ts";
import { StoredGenerations } from "./reload/stored-generations.ts";
import { createDefaultSite } from "./site/default-site.ts";
import { Development } from "./site/development.ts";
import { serve, type Site } from "./site/site.ts";
import { prepareForks } from "./supervise/fork-worker.ts";
import { OomKills } from "./supervise/oom-kills.ts";

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
 *     listeners ──client──▶ site: stages ──▶ files, or a route of the handlers ──▶ reply
 *
 * A reload changes its parts in one synchronous step, when `Reloader` has all of them ready (`#parts`).
 */
export class Primary {
  readonly files: PublicFolder;
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
  readonly #reloader: Reloader;
  /** `null` in production. */
  readonly #development: Development | null;
  #setup: Setup;
  #site: Site = { hosts: [], stages: [] };
  readonly #perAddress = new RequestsPerAddress();
  /** `null` until it is loaded. */
  #engine: Engine | null = null;
  #lastExchangeId = 0;
  #lastWorkerId = 0;
  /** Ends builds and boots that are running. */
  readonly #stop = new AbortController();
  #closing: Promise<void> | null = null;

  private constructor(options: PrimaryOptions) {
    const { config, certificates, warnings, log } = options;
    const { mode, stateDir } = config;
    this.#options = options;
    this.#log = log;
    this.#setup = { config, certificates, warnings };
    // One for each worker that is warmed up: Node would take so many for a leak.
    setMaxListeners(0, this.#stop.signal);
    this.#listeners = new Listeners(options.inherited);
    this.#requestLog = new RequestLog(options);
    this.#development = mode === "development" ? new Development() : null;
    this.files = new PublicFolder(log);
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
    return this.#engine?.label ?? "";
  }

  /** The same where an operator chose it; `null`: Edgicorn did. */
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

  /** The traffic since the start, and the requests now. */
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
      await this.#development?.refused(error);
      throw error;
    } finally {
      this.#development?.built();
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
    const stored = await this.stored.list();
    const before = this.stored.findBefore(stored, this.generation.manifest);
    const { served } = this.#requestLog;
    return stored.map((generation) => {
      const { id } = generation;
      const state = this.handlers.stateOf(id);
      return { ...generation, state, rollback: id === before, ...served.of(id) };
    });
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
    await Promise.all([this.#reloader.settled(), this.handlers.destroy(), this.files.destroy()]);
    await this.#releaseGenerations();
  }

  async #open(): Promise<void> {
    const { config, certificates } = this.#setup;
    this.#useSettings(config);
    const loading = this.#loadEngine();
    const opening: Promise<unknown>[] = [
      loading,
      // Before anybody waits for workers; once more when they are ready.
      this.#listeners.probe(config),
      this.#startHandlers(),
      this.files.prepare(config).then((files) => files?.commit()),
    ];
    this.#spool
      .clean()
      .catch((error: unknown) => this.#log.warn({ err: error }, "cannot look for old spool files"));
    // The first failure stops the others. It is thrown once they have ended, so that everything they opened has an
    // owner.
    for (const part of opening) part.catch((error: unknown) => this.#stop.abort(error));
    await Promise.allSettled(opening);
    this.#stop.signal.throwIfAborted();
    this.#site = this.#createSite();
    const options = { ...this.#listenerOptions(), certificates };
    await this.#listeners.open(await loading, config, options);
  }

  async #loadEngine(): Promise<Engine> {
    const engine = await loadUwsEngine(this.config, (message) => this.#log.warn(message));
    this.#engine = engine;
    return engine;
  }

  /** In development, the server stays up when handlers do not compile, so that the developer can fix them. */
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
      onRequest: (client) => this.#onRequest(client),
      onFinished: (client, status, bytes) => requestLog.finished(client, status, bytes),
      onCut: (client, setting, value) => requestLog.cut(client, { setting, value }),
      onLimited: (client, setting) => requestLog.limited(client, setting),
      onConnectionRefused: () => requestLog.connectionRefused(this.config.maxConnections),
      onHeadRefused: (refused) => requestLog.headRefused(refused),
      onNewField: (name) => this.#proxyNotes.sawField(name),
      onError: (error) => this.#log.error({ err: error }, "request failed in the primary"),
      perAddress: this.#perAddress,
      ...this.#listenerSettings(),
    };
  }

  /** Those options that a reload may change. */
  #listenerSettings(): Parameters<Listeners["change"]>[0] {
    const { config } = this;
    const { maxConnections, accessLog } = config;
    return { maxConnections, limits: config, countsBytes: accessLog !== false };
  }

  #nextExchangeId(): ExchangeId {
    // The only place that makes one.
    return ++this.#lastExchangeId as ExchangeId;
  }

  #onRequest(client: Client): void {
    const target = parseTarget(client.head.target);
    if (target.ok) {
      serve(client, target, this.#site);
      return;
    }
    this.#requestLog.counters.limit("malformed", client);
    client.refuse(400);
  }

  #createSite(): Site {
    const { generation } = this;
    return createDefaultSite({
      config: this.config,
      files: this.files,
      generation,
      development: this.#development,
      canServe: () => this.#closing === null && generation.isReady,
    });
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
        requestIdPrefix: requestLog.requestIdPrefix,
        oomKills: new OomKills(),
        leases: this.stored.leases,
        // The only place that makes one.
        nextWorkerId: () => ++this.#lastWorkerId as WorkerId,
      },
      nextId: () => this.#nextExchangeId(),
      recent: () => requestLog.recent,
      beginCounts: (id) => requestLog.served.begin(id, this.#lastExchangeId + 1),
    });
  }

  /** The parts that a reload may change. The settings of the primary and the site follow from the others. */
  #parts(): Part[] {
    return [
      ({ from, to }) => {
        const { certificates } = to;
        const isSame = from !== null && haveSameCertificates(from, to);
        return certificates === null || isSame
          ? null
          : this.#listeners.prepareCertificates(certificates);
      },
      ({ to }) => this.files.prepare(to.config),
      (change, options) => this.handlers.prepare(change, options),
      ({ to }) => ({
        commit: () => this.#useSetup(to),
        discard: () => Promise.resolve(),
      }),
    ];
  }

  #useSetup(setup: Setup): void {
    this.#setup = setup;
    this.#useSettings(setup.config);
    this.#development?.solved();
    this.#site = this.#createSite();
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
    // First the handlers' answers, then the clients that are still reading theirs.
    await Promise.all([
      settledWithin(this.#reloader.settled(), graceMs),
      this.handlers.close(graceMs),
    ]);
    await settledWithin(this.#listeners.idle(), Math.max(0, deadlineMs - performance.now()));
    const clients = this.#listeners.close({ graceIsOver: true });
    if (clients > 0) {
      const fields = { clients, setting: "drainGrace", graceMs: this.config.drainGraceMs };
      this.#log.warn(fields, "clients cut off: they took longer than the grace");
    }
    await this.files.destroy();
    await this.#releaseGenerations();
  }

  /** Nothing serves any more. */
  async #releaseGenerations(): Promise<void> {
    await this.handlers.release();
    await this.stored.releaseSpares();
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
