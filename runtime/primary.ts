import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExchangeId, WorkerId } from "./channel/messages.ts";
import type { Config } from "./config.ts";
import { type ChangedSetting, findChangedSettings } from "./config/reload-effect.ts";
import type { GenerationInfo, ReloadReport } from "./control/operations.ts";
import { ByteBudget } from "./dispatch/byte-budget.ts";
import { Spool } from "./dispatch/spool.ts";
import { answerHealth } from "./front/answer-health.ts";
import { HEADER_SLACK_BYTES, type HeadSetting } from "./front/head-limits.ts";
import {
  type CertificateSwap,
  Listener,
  type ListenerChanges,
  type RefusedHead,
} from "./front/listener.ts";
import { RequestsPerAddress } from "./front/requests-per-address.ts";
import { serveStatic } from "./front/serve-static.ts";
import type { ServerCertificate } from "./front/tls.ts";
import type { TransferSetting } from "./front/transfer-limits.ts";
import type { UwsClientSide } from "./front/uws-client-side.ts";
import { loadUws } from "./front/uws.ts";
import { RuntimeError } from "./errors.ts";
import { BuildError } from "./generation/build-error.ts";
import { buildInChild } from "./generation/build-process.ts";
import {
  listGenerations,
  pruneGenerations,
  removeGeneration,
  toGenerationDir,
} from "./generation/generation-store.ts";
import { loadManifest, type Manifest } from "./generation/manifest.ts";
import { LiveGeneration } from "./live-generation.ts";
import type { LivePool, PoolSurroundings } from "./live-pool.ts";
import type { Logger } from "./log.ts";
import type { AccessLog } from "./log/access-log.ts";
import { Counters, type Traffic } from "./observe/counters.ts";
import { GenerationLeases } from "./reload/generation-leases.ts";
import { InTurn } from "./reload/in-turn.ts";
import { findUnusedPools, planPools } from "./reload/pool-plan.ts";
import { proveGeneration } from "./reload/prove-generation.ts";
import { RecentRequests } from "./reload/recent-requests.ts";
import { RetiringPools } from "./reload/retiring-pools.ts";
import { ServedCounts } from "./reload/served-counts.ts";
import { parseTarget } from "./route/target-path.ts";
import { FileIndex } from "./static/file-index.ts";
import { DEFAULT_POOL } from "./pool-name.ts";
import { settledWithin } from "./settled-within.ts";
import { prepareForks } from "./supervise/fork-worker.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { TurnClock } from "./turn-clock.ts";

/** What the operator has set up, read and checked. Plain data. */
export interface Site {
  config: Config;
  /** Default first; `null` when there is no TLS listener. */
  certificates: readonly [ServerCertificate, ...ServerCertificate[]] | null;
}

export interface PrimaryOptions extends Site {
  log: Logger;
  /** Opens the access log, where the config wants one. */
  createAccessLog: () => AccessLog;
  /**
   * Reads the site anew, for a reload.
   *
   * @throws RuntimeError for what cannot be used; the reload is then refused.
   */
  loadSite: (options: { signal: AbortSignal }) => Promise<Site>;
  /** Most bodies that wait on disk at a time, each with a file descriptor. */
  maxSpoolFiles: number;
  /** Ports that the server whose place this one takes listens on: they may be shared, and one stands for "any free". */
  inherited?: readonly { scheme: "http" | "https"; port: number }[];
}

/** Of the grace, how much a server that leaves its place waits for its connections. */
const LEAVING_SHARE = 0.9;

/** What all request bodies that are being gathered may take together: above it new ones are answered 503. */
const BODY_BUDGET_BYTES = 256 * 1024 * 1024;

/** What a move to another generation is made of. Nothing of it is seen before the switch. */
interface Move {
  site: Site;
  /** Of a generation that is leased, and held. */
  manifest: Manifest;
  changed: readonly ChangedSetting[];
  /** Why all pools get new workers; `null`: only those that differ. */
  renewAll: string | null;
}

/** All that opens before the switch. */
interface Proven {
  generation: LiveGeneration;
  files: FileIndex | null;
  swaps: readonly CertificateSwap[];
}

/**
 * The Nginx half: owns every client socket, the static files and the queues, and runs no user code.
 *
 * A reload or rollback, one at a time:
 *
 *     reading ──▶ building ──▶ booting ──▶ proving ──▶ switch ──▶ the old pools retire
 *        └───────────┴────────────┴───────────┴──fails──▶ what it had opened is closed, and all is as before
 *
 * The switch is one synchronous step that cannot fail: config, certificates, static files and handlers change together.
 */
export class Primary {
  readonly #options: PrimaryOptions;
  readonly #log: Logger;
  /** Goes before an exchange's id, in base 36, to make its request id: two primaries never make the same. */
  readonly #requestIdPrefix = `${randomBytes(5).toString("hex")}-`;
  readonly #listeners: Listener[] = [];
  readonly #clock = new TurnClock();
  readonly #counters = new Counters();
  readonly #bodyBudget = new ByteBudget(BODY_BUDGET_BYTES);
  readonly #spool: Spool;
  readonly #leases: GenerationLeases;
  readonly #retiring: RetiringPools;
  readonly #served = new ServedCounts();
  #site: Site;
  #files: FileIndex | null = null;
  /** Indexes of earlier public folders, of which files are still being sent. */
  readonly #oldFiles = new Set<FileIndex>();
  #accessLog: AccessLog | null = null;
  /** `null`: a client may have any number. */
  #perAddress: RequestsPerAddress | null = null;
  /** `null`: nothing is tried with them. */
  #recent: RecentRequests | null = null;
  #lastExchangeId = 0;
  #lastWorkerId = 0;
  /** What new requests go to. */
  #generation: LiveGeneration | null = null;
  /** Whether its lease is held for it, beside those of its pools. */
  #holdsGeneration = true;
  #sources: readonly string[] = [];
  readonly #moves = new InTurn();
  readonly #reloads = new OneAtATime(() => this.#moves.run(() => this.#reload()));
  /** Ends what builds and boots. */
  readonly #stop = new AbortController();
  #closing: Promise<void> | null = null;

  private constructor(options: PrimaryOptions) {
    this.#options = options;
    this.#log = options.log;
    // One for each worker that is warmed up: Node would take so many for a leak.
    setMaxListeners(0, this.#stop.signal);
    this.#site = { config: options.config, certificates: options.certificates };
    const { config, log, maxSpoolFiles: maxFiles } = options;
    const { stateDir, spoolLimitBytes: limitBytes } = config;
    this.#spool = new Spool({ dir: join(stateDir, "spool"), limitBytes, maxFiles, log });
    this.#leases = new GenerationLeases(stateDir);
    this.#retiring = new RetiringPools(options.log, options.config.mode);
  }

  /**
   * Builds the handlers, starts the workers and then listens: the first connection finds everything ready.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD`, `ERR_BOOT_LOOP`, `ERR_LISTEN`; `ERR_DRAINING` if the signal aborts. All that
   *   was opened is closed by then.
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

  get listeners(): readonly Listener[] {
    return this.#listeners;
  }

  /** What counts now. */
  get config(): Config {
    return this.#site.config;
  }

  get generation(): LiveGeneration {
    if (this.#generation === null) throw new TypeError("the primary has not started");
    return this.#generation;
  }

  get files(): FileIndex | null {
    return this.#files;
  }

  /** What has gone through since the start, and what is in it now. */
  get traffic(): Traffic {
    let queued = 0;
    let inFlight = 0;
    for (const { dispatcher } of this.#pools()) {
      queued += dispatcher.load.queued;
      inFlight += dispatcher.load.inFlight;
    }
    return this.#counters.snapshot({ queued, inFlight });
  }

  /** The local files of which the handlers were built last, even when that failed. Absolute. */
  get sources(): readonly string[] {
    return this.#sources;
  }

  /**
   * Reads config and certificates again, builds the handlers anew and starts workers for what has changed, beside the old
   * ones; once all are ready and proven, all of it counts from one moment on, and the old workers finish what they have.
   * Where nothing at all has changed, who asks for it wants fresh workers, and all are replaced.
   *
   * One at a time; all who ask meanwhile share the next one.
   *
   * @throws RuntimeError that says why it was refused; all is then as if nothing had happened. `ERR_DRAINING` when the
   *   server stops.
   */
  reload(): Promise<ReloadReport> {
    return this.#reloads.run();
  }

  /**
   * Moves to a generation that is on disk, in the way a reload does, under the config that counts now.
   *
   * @param id The one that served before, unless told.
   * @throws RuntimeError `ERR_HANDLER_LOAD` when there is no such generation or it serves already; else as `reload`.
   */
  rollback(id?: string): Promise<ReloadReport> {
    return this.#moves.run(() => this.#rollback(id));
  }

  /** The generations on disk, newest first. */
  async generations(): Promise<GenerationInfo[]> {
    const stored = await listGenerations(this.config.stateDir);
    const retiring = new Set(this.#retiring.all.map(({ manifest }) => manifest.id));
    const serving = this.#generation?.manifest.id;
    return stored.map((generation) => {
      const isServing = generation.id === serving;
      const state = isServing ? "serving" : retiring.has(generation.id) ? "retiring" : "stored";
      return { ...generation, state, ...this.#served.of(generation.id) };
    });
  }

  /**
   * One worker more or less for the default pool, or where there is none for the first one; at least one. It counts until
   * the pool is replaced, or the server starts anew.
   *
   * @returns How many there shall be now.
   */
  resize(change: 1 | -1): number {
    const { pools } = this.generation;
    const [first] = pools.values();
    const pool = pools.get(DEFAULT_POOL) ?? first;
    return pool?.resize(change) ?? 0;
  }

  /** Accepts no more, answers what is in flight, then ends everything. What takes longer than the grace is cut off. */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  /**
   * As `close`, but first answers whatever its connections ask until they are gone, each with its next response or when
   * it has been idle: for a server whose ports another one has taken over, where a client that finds its connection closed
   * has lost nothing only if it asked for nothing.
   */
  async leave(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    for (const listener of this.#listeners) listener.stopAccepting();
    const disconnected = Promise.all(this.#listeners.map((listener) => listener.disconnected()));
    // The last part of the grace is for ending what is left by then.
    await settledWithin(disconnected, graceMs * LEAVING_SHARE);
    await this.close(Math.max(0, deadlineMs - performance.now()));
  }

  /** Ends everything now. */
  async destroy(): Promise<void> {
    this.#stop.abort(stopping());
    for (const listener of this.#listeners) listener.close();
    await Promise.all([
      this.#movesSettled(),
      ...this.#pools().map((pool) => pool.destroy()),
      ...this.#allFiles().map((files) => files.destroy()),
    ]);
    await this.#releaseGeneration();
  }

  async #open(): Promise<void> {
    const { config, certificates } = this.#site;
    const { publicDir, headerLimitBytes, host, httpPort, httpsPort } = config;
    this.#useSettings(config);
    const loading = loadUws({ headerLimitBytes: headerLimitBytes + HEADER_SLACK_BYTES });
    const opening: Promise<unknown>[] = [loading, this.#startFirst()];
    this.#spool
      .clean()
      .catch((error: unknown) => this.#log.warn({ err: error }, "cannot look for old spool files"));
    if (publicDir !== null) {
      const indexing = FileIndex.open(publicDir, { log: this.#log });
      opening.push(indexing.then((files) => (this.#files = files)));
    }
    // What fails first stops the others, and is thrown once they have ended: what they opened has an owner then.
    for (const part of opening) part.catch((error: unknown) => this.#stop.abort(error));
    await Promise.allSettled(opening);
    this.#stop.signal.throwIfAborted();
    const uws = await loading;
    const shared = {
      host,
      counters: this.#counters,
      clock: this.#clock,
      nextId: () => this.#nextExchangeId(),
      onRequest: (client: UwsClientSide) => this.#onRequest(client),
      onFinished: (client: UwsClientSide, status: number, bytes: number) =>
        this.#onFinished(client, status, bytes),
      onCut: (client: UwsClientSide, setting: TransferSetting, value: number) =>
        this.#onCut(client, { setting, value }),
      onLimited: (client: UwsClientSide, setting: HeadSetting | "maxRequestsPerAddress") =>
        this.#log.debug({ requestId: this.#requestIdOf(client), setting }, "request refused"),
      onHeadRefused: (refused: RefusedHead) => this.#onHeadRefused(refused),
      onError: (error: unknown) => this.#log.error({ err: error }, "request failed in the primary"),
      ...this.#listenerSettings(),
    };
    if (httpPort !== null) {
      const place = this.#place("http", httpPort);
      this.#listeners.push(await Listener.open(uws, { ...shared, ...place, certificates: null }));
    }
    if (httpsPort !== null && certificates !== null) {
      const place = this.#place("https", httpsPort);
      this.#listeners.push(await Listener.open(uws, { ...shared, ...place, certificates }));
    }
  }

  /** Where to listen for what was asked for. */
  #place(scheme: "http" | "https", wanted: number): { port: number; isShared: boolean } {
    const inherited = this.#options.inherited?.filter((listener) => listener.scheme === scheme);
    const found = inherited?.find(({ port }) => wanted === 0 || port === wanted);
    return { port: found?.port ?? wanted, isShared: found !== undefined };
  }

  async #startFirst(): Promise<void> {
    const site = this.#site;
    const manifest = await this.#build(site.config);
    const move = { site, manifest, changed: [], renewAll: null };
    const generation = await this.#orDiscard(manifest, () => this.#startGeneration(move));
    this.#useGeneration(generation);
  }

  async #reload(): Promise<ReloadReport> {
    const startedAtMs = performance.now();
    const { signal } = this.#stop;
    signal.throwIfAborted();
    const site = await this.#loadSite();
    const changed = findChangedSettings(this.config, site.config);
    refuseRestarts(changed);
    const manifest = await this.#build(site.config);
    const isSame = changed.length === 0 && !this.#isOther(site.certificates);
    const renewAll =
      isSame && this.#keepsAllPools(manifest, site.config)
        ? "asked for: nothing has changed"
        : null;
    const move = { site, manifest, changed, renewAll };
    return this.#orDiscard(manifest, () => this.#move(move, startedAtMs));
  }

  async #loadSite(): Promise<Site> {
    const { signal } = this.#stop;
    try {
      return await this.#options.loadSite({ signal });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }

  async #rollback(wanted?: string): Promise<ReloadReport> {
    const startedAtMs = performance.now();
    this.#stop.signal.throwIfAborted();
    const { stateDir } = this.config;
    const current = this.generation.manifest.id;
    const id = wanted ?? (await this.#findPrevious());
    if (id === current) {
      throw new RuntimeError("ERR_HANDLER_LOAD", `Cannot roll back to ${id}: it serves already`);
    }
    const stored = await listGenerations(stateDir);
    if (id === null || stored.every((generation) => generation.id !== id)) {
      const found = stored.map((generation) => generation.id).join(", ");
      throw new RuntimeError(
        "ERR_HANDLER_LOAD",
        `Cannot roll back to ${id ?? "the generation before"}: found none, expected one of ${found}`,
      );
    }
    // Leased first: after that nobody prunes it any more, and if somebody did before, it cannot be loaded.
    await this.#leases.take(id);
    try {
      const manifest = await loadManifest(toGenerationDir(stateDir, id));
      return await this.#move(
        { site: this.#site, manifest, changed: [], renewAll: null },
        startedAtMs,
      );
    } catch (error) {
      await this.#leases.release(id);
      throw error;
    }
  }

  /** The generation that served before this one; after a start, the one that was built before it. */
  async #findPrevious(): Promise<string | null> {
    const stored = await listGenerations(this.config.stateDir);
    const isStored = (id: string | null): boolean => stored.some((each) => each.id === id);
    const { previousId } = this.#served;
    if (isStored(previousId)) return previousId;
    const current = this.generation.manifest.id;
    return stored.find(({ id }) => id < current)?.id ?? null;
  }

  /** Builds a generation, and holds its lease. */
  async #build(config: Config): Promise<Manifest> {
    const { handlersDir, stateDir, mode, keepGenerations } = config;
    const { signal } = this.#stop;
    try {
      const manifest = await buildInChild({
        handlersDir,
        stateDir,
        mode,
        leaseTo: process.pid,
        // Until it has proven itself it takes nobody's place.
        keepLast: keepGenerations + 1,
        signal,
      });
      this.#leases.hold(manifest.id);
      this.#sources = manifest.inputs;
      for (const warning of manifest.warnings) this.#log.warn(warning);
      return manifest;
    } catch (error) {
      if (error instanceof BuildError) this.#sources = error.inputs;
      throw error;
    }
  }

  /** A generation that was just built and does not come to serve leaves nothing on disk: nobody may go back to it. */
  async #orDiscard<T>(manifest: Manifest, task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      await this.#leases.release(manifest.id);
      const { stateDir } = this.config;
      await removeGeneration(stateDir, manifest.id).catch((failure: unknown) =>
        this.#log.warn({ err: failure }, "cannot remove a generation that was refused"),
      );
      throw error;
    }
  }

  async #move(move: Move, startedAtMs: number): Promise<ReloadReport> {
    const proven = await this.#prove(move);
    // From here to the switch nothing waits.
    if (this.#stop.signal.aborted) await this.#giveUp(proven);
    this.#stop.signal.throwIfAborted();
    const previous = this.generation;
    this.#switch(move, proven);
    const settings = new Set(move.changed.map(({ name }) => name));
    if (proven.swaps.length > 0) settings.add("certs");
    const report: ReloadReport = {
      generation: move.manifest.id,
      previous: previous.manifest.id,
      durationMs: Math.round(performance.now() - startedAtMs),
      pools: [...proven.generation.changes],
      settings: [...settings],
    };
    await this.#tidyUp(previous.manifest.id);
    return report;
  }

  /** Opens all that the switch needs, and sees whether it works; or opens nothing. */
  async #prove({ site, manifest, renewAll }: Move): Promise<Proven> {
    const { publicDir } = site.config;
    // First what is quick to fail.
    const swaps = this.#prepareCertificates(site);
    let files = this.#files;
    try {
      if (publicDir !== this.config.publicDir) {
        files = publicDir === null ? null : await FileIndex.open(publicDir, { log: this.#log });
      }
      const generation = await this.#startGeneration({ site, manifest, renewAll });
      return { generation, files, swaps };
    } catch (error) {
      await this.#giveUp({ generation: null, files, swaps });
      throw error;
    }
  }

  /** Closes what was opened for a move that will not be. */
  async #giveUp({
    generation,
    files,
    swaps,
  }: Omit<Proven, "generation"> & { generation: LiveGeneration | null }): Promise<void> {
    for (const swap of swaps) swap.discard();
    if (files !== this.#files) await files?.destroy();
    await generation?.destroyNew(this.#generation);
  }

  /** Starts the pools that the one before does not have, and tries them. */
  async #startGeneration({
    site: { config },
    manifest,
    renewAll,
  }: Pick<Move, "site" | "manifest" | "renewAll">): Promise<LiveGeneration> {
    const { signal } = this.#stop;
    const previous = this.#generation;
    const generation = await LiveGeneration.start(
      { ...this.#surroundings(), config, manifest, previous, renewAll },
      { signal },
    );
    const unused = findUnusedPools(planPools(manifest, config), config);
    if (unused.length > 0) this.#log.warn({ pools: unused }, "pools that no handler is in");
    try {
      await proveGeneration(generation, {
        isNew: (pool) => previous?.pools.get(pool.plan.name) !== pool,
        recent: this.#recent?.all ?? [],
        nextId: () => this.#nextExchangeId(),
        log: this.#log,
        signal,
      });
    } catch (error) {
      await generation.destroyNew(previous);
      throw error;
    }
    return generation;
  }

  #surroundings(): PoolSurroundings {
    return {
      log: this.#log,
      clock: this.#clock,
      bodyBudget: this.#bodyBudget,
      spool: this.#spool,
      counters: this.#counters,
      requestIdPrefix: this.#requestIdPrefix,
      leases: this.#leases,
      // The only place that makes one.
      nextWorkerId: () => ++this.#lastWorkerId as WorkerId,
    };
  }

  #prepareCertificates({ certificates }: Site): CertificateSwap[] {
    if (certificates === null || !this.#isOther(certificates)) return [];
    const swaps: CertificateSwap[] = [];
    try {
      for (const listener of this.#listeners) {
        if (listener.scheme === "https") swaps.push(listener.prepareCertificates(certificates));
      }
    } catch (error) {
      for (const swap of swaps) swap.discard();
      throw error;
    }
    return swaps;
  }

  #isOther(certificates: Site["certificates"]): boolean {
    const describe = (all: Site["certificates"]): string =>
      JSON.stringify(all?.map(({ certPath, names, digest }) => [certPath, names, digest]) ?? null);
    return describe(certificates) !== describe(this.#site.certificates);
  }

  /** Whether the serving pools are just what a generation needs. */
  #keepsAllPools(manifest: Manifest, config: Config): boolean {
    return this.generation.keepsAll(planPools(manifest, config));
  }

  /** The one step. Nothing in it waits, and nothing in it fails. */
  #switch({ site }: Move, { generation, files, swaps }: Proven): void {
    const { drainGraceMs } = site.config;
    const previous = this.generation;
    const oldFiles = this.#files;
    this.#site = site;
    this.#useGeneration(generation);
    this.#files = files;
    for (const swap of swaps) swap.commit();
    this.#useSettings(site.config);
    for (const listener of this.#listeners) listener.change(this.#listenerSettings());

    for (const pool of generation.pools.values()) pool.follow(site.config);
    for (const [name, pool] of previous.pools) {
      if (generation.pools.get(name) !== pool) this.#retiring.add(pool, drainGraceMs);
    }
    if (oldFiles !== null && oldFiles !== files) {
      this.#oldFiles.add(oldFiles);
      void oldFiles.close().finally(() => this.#oldFiles.delete(oldFiles));
    }
  }

  #useGeneration(generation: LiveGeneration): void {
    generation.counts = this.#served.begin(generation.manifest.id, this.#lastExchangeId + 1);
    this.#generation = generation;
  }

  /** Makes what the config asks of the primary itself. */
  #useSettings({ accessLog, logLevel, reloadProbe, maxRequestsPerAddress }: Config): void {
    this.#log.level = logLevel;
    if (maxRequestsPerAddress === null) this.#perAddress = null;
    else if (this.#perAddress === null) {
      this.#perAddress = new RequestsPerAddress(maxRequestsPerAddress);
    } else this.#perAddress.most = maxRequestsPerAddress;
    if (accessLog) this.#accessLog ??= this.#options.createAccessLog();
    else {
      this.#accessLog?.close();
      this.#accessLog = null;
    }
    if (reloadProbe === 0) this.#recent = null;
    else if (this.#recent?.most !== reloadProbe) this.#recent = new RecentRequests(reloadProbe);
  }

  /** After a switch. What fails now is no reason to think that it did not happen. */
  async #tidyUp(previousId: string): Promise<void> {
    const { stateDir, keepGenerations: keepLast } = this.config;
    const keep = this.generation.manifest.id;
    try {
      await this.#leases.release(previousId);
      await pruneGenerations({ stateDir, keepLast, keep });
    } catch (error) {
      this.#log.warn({ err: error }, "cannot remove old generations");
    }
  }

  #pools(): LivePool[] {
    return [...this.#retiring.all, ...(this.#generation?.pools.values() ?? [])];
  }

  #allFiles(): FileIndex[] {
    return this.#files === null ? [...this.#oldFiles] : [...this.#oldFiles, this.#files];
  }

  #listenerSettings(): ListenerChanges {
    const { config } = this;
    const { maxConnections, accessLog } = config;
    const perAddress = this.#perAddress;
    return { maxConnections, limits: config, countsBytes: accessLog, perAddress };
  }

  async #movesSettled(): Promise<void> {
    await this.#reloads.idle();
    await this.#moves.idle();
  }

  /** Nothing serves any more. */
  async #releaseGeneration(): Promise<void> {
    if (this.#generation === null || !this.#holdsGeneration) return;
    this.#holdsGeneration = false;
    await this.#leases.release(this.#generation.manifest.id);
  }

  #nextExchangeId(): ExchangeId {
    // The only place that makes one.
    return ++this.#lastExchangeId as ExchangeId;
  }

  /** A request, in the order in which it is looked at. */
  #onRequest(client: UwsClientSide): void {
    const target = parseTarget(client.head.target);
    if (!target.ok) {
      this.#counters.limits.malformed++;
      client.refuse(400);
      return;
    }
    if (target.pathname === this.#site.config.healthPath) {
      answerHealth(client, this.#closing === null && this.generation.isReady);
      return;
    }
    if (this.#files !== null && target.path !== null) {
      const { path, search } = target;
      if (serveStatic(client, { path, search }, this.#files, this.#onFileError)) return;
    }
    if (!this.generation.admit(client, target)) client.refuse(404);
  }

  #onCut(client: UwsClientSide, cut: { setting: TransferSetting; value: number }): void {
    this.#counters.limits[cut.setting]++;
    this.#log.info({ requestId: this.#requestIdOf(client), ...cut }, "slow client cut off");
  }

  readonly #onFileError = (error: unknown): void => {
    this.#log.error({ err: error }, "cannot send a static file");
  };

  #onFinished(client: UwsClientSide, status: number, bytes: number): void {
    this.#counters.finished(status);
    if (status >= 500) this.#served.failed(client.id);
    if (this.#recent !== null) this.#recent.note(client, status, performance.now());
    if (this.#accessLog === null) return;
    const { id, receivedMs, workerId } = client;
    const { method, target } = client.head;
    this.#logAccess({ id, receivedMs, method, target, status, bytes, workerId });
  }

  #onHeadRefused({ id, receivedMs, method, target, status, reason, bodyBytes }: RefusedHead): void {
    this.#counters.finished(status);
    this.#log.debug({ requestId: this.#requestIdOf({ id }), status, reason }, "request refused");
    this.#logAccess({ id, receivedMs, method, target, status, bytes: bodyBytes, workerId: null });
  }

  #logAccess(entry: {
    id: ExchangeId;
    receivedMs: number;
    method: string;
    target: string;
    status: number;
    bytes: number;
    workerId: WorkerId | null;
  }): void {
    const { method, target, status, bytes, workerId } = entry;
    const query = target.indexOf("?");
    this.#accessLog?.line({
      method,
      path: query === -1 ? target : target.slice(0, query),
      status,
      bytes,
      // Not the turn's clock: what is answered within its turn takes time too.
      durationMs: performance.now() - entry.receivedMs,
      worker: workerId,
      requestId: this.#requestIdOf(entry),
    });
  }

  #requestIdOf({ id }: { id: ExchangeId }): string {
    return this.#requestIdPrefix + id.toString(36);
  }

  async #close(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    for (const listener of this.#listeners) listener.stopAccepting();
    this.#stop.abort(stopping());
    // First the handlers' answers, then the clients that are still reading theirs.
    await Promise.all([
      settledWithin(this.#movesSettled(), graceMs),
      ...this.#pools().map((pool) => pool.close(graceMs)),
    ]);
    const idle = Promise.all(this.#listeners.map((listener) => listener.idle()));
    await settledWithin(idle, Math.max(0, deadlineMs - performance.now()));
    for (const listener of this.#listeners) listener.close();
    await Promise.all(this.#allFiles().map((files) => files.destroy()));
    await this.#releaseGeneration();
  }
}

function stopping(): RuntimeError {
  return new RuntimeError("ERR_DRAINING", "Cannot start handlers: the server stops");
}

function refuseRestarts(changed: readonly ChangedSetting[]): void {
  const lines = changed
    .filter(({ effect }) => effect === "restart")
    .map(
      ({ name, before, after }) =>
        `Cannot change ${name} while the server runs: found ${JSON.stringify(after)}, expected ${JSON.stringify(before)} until it is restarted`,
    );
  if (lines.length > 0) throw new RuntimeError("ERR_CONFIG", lines.join("\n"));
}

/** From source, the worker's module is beside this one; compiled, both are one program that asks what it is. */
function workerEntry(): string {
  return fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));
}
