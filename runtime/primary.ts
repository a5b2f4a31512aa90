import { randomBytes } from "node:crypto";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExchangeId, WorkerId } from "./channel/messages.ts";
import type { Config } from "./config.ts";
import { ByteBudget } from "./dispatch/byte-budget.ts";
import { Spool } from "./dispatch/spool.ts";
import { answerHealth } from "./front/answer-health.ts";
import { HEADER_SLACK_BYTES, type HeadSetting } from "./front/head-limits.ts";
import { Listener, type RefusedHead, type ServedCertificate } from "./front/listener.ts";
import { RequestsPerAddress } from "./front/requests-per-address.ts";
import { serveStatic } from "./front/serve-static.ts";
import type { TransferSetting } from "./front/transfer-limits.ts";
import type { UwsClientSide } from "./front/uws-client-side.ts";
import { loadUws } from "./front/uws.ts";
import { RuntimeError } from "./errors.ts";
import { BuildError } from "./generation/build-error.ts";
import { buildInChild } from "./generation/build-process.ts";
import type { Manifest } from "./generation/manifest.ts";
import { LiveGeneration } from "./live-generation.ts";
import type { Logger } from "./log.ts";
import type { AccessLog } from "./log/access-log.ts";
import { Counters, type Traffic } from "./observe/counters.ts";
import { parseTarget } from "./route/target-path.ts";
import { FileIndex } from "./static/file-index.ts";
import { settledWithin } from "./settled-within.ts";
import { prepareForks } from "./supervise/fork-worker.ts";
import { OneAtATime } from "./one-at-a-time.ts";
import { TurnClock } from "./turn-clock.ts";

/**
 * Most generations that still answer what they had when others took their place. Streams end when they like: without a
 * bound each reload would leave its workers behind.
 */
const MAX_RETIRING = 4;

/** Who works on handlers reloads with every change, and has a page open that reads a stream. */
const MAX_RETIRING_IN_DEVELOPMENT = 1;

export interface PrimaryOptions {
  config: Config;
  log: Logger;
  /** `null`: requests are not logged. */
  accessLog: AccessLog | null;
  /** Default first; `null` when there is no TLS listener. */
  certificates: readonly [ServedCertificate, ...ServedCertificate[]] | null;
  /** Most bodies that wait on disk at a time, each with a file descriptor. */
  maxSpoolFiles: number;
  /** Ports that the server whose place this one takes listens on: they may be shared, and one stands for "any free". */
  inherited?: readonly { scheme: "http" | "https"; port: number }[];
}

/** Of the grace, how much a server that leaves its place waits for its connections. */
const LEAVING_SHARE = 0.9;

/** What all request bodies that are being gathered may take together: above it new ones are answered 503. */
const BODY_BUDGET_BYTES = 256 * 1024 * 1024;

/** The Nginx half: owns every client socket, the static files and the queue, and runs no user code. */
export class Primary {
  readonly #options: PrimaryOptions;
  readonly #log: Logger;
  /** Goes before an exchange's id, in base 36, to make its request id: two primaries never make the same. */
  readonly #requestIdPrefix = `${randomBytes(5).toString("hex")}-`;
  readonly #listeners: Listener[] = [];
  #files: FileIndex | null = null;
  readonly #clock = new TurnClock();
  readonly #counters = new Counters();
  readonly #bodyBudget = new ByteBudget(BODY_BUDGET_BYTES);
  readonly #spool: Spool;
  #lastExchangeId = 0;
  #lastWorkerId = 0;
  /** What new requests go to. */
  #generation: LiveGeneration | null = null;
  /** Those before it that still answer what they had, oldest first. */
  readonly #retiring = new Set<LiveGeneration>();
  #sources: readonly string[] = [];
  readonly #reloads = new OneAtATime(() => this.#reload());
  /** Ends what builds and boots. */
  readonly #stop = new AbortController();
  #closing: Promise<void> | null = null;

  private constructor(options: PrimaryOptions) {
    this.#options = options;
    this.#log = options.log;
    const { config, log, maxSpoolFiles: maxFiles } = options;
    const { stateDir, spoolLimitBytes: limitBytes } = config;
    this.#spool = new Spool({ dir: join(stateDir, "spool"), limitBytes, maxFiles, log });
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
    for (const { load } of this.#generations()) {
      queued += load.queued;
      inFlight += load.inFlight;
    }
    return this.#counters.snapshot({ queued, inFlight });
  }

  /** The local files of which the handlers were built last, even when that failed. Absolute. */
  get sources(): readonly string[] {
    return this.#sources;
  }

  /**
   * Builds the handlers anew and starts workers for them beside the old ones; once all are ready, new requests go to
   * them and the old ones finish what they have. One at a time; all who ask meanwhile share the next one.
   *
   * @throws RuntimeError as `start` does; the old generation then serves on as if nothing had happened. `ERR_DRAINING`
   *   when the server stops.
   */
  reload(): Promise<void> {
    return this.#reloads.run();
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
      this.#reloads.idle(),
      ...this.#generations().map((generation) => generation.destroy()),
      this.#files?.destroy(),
    ]);
  }

  async #open(): Promise<void> {
    const { config, certificates } = this.#options;
    const { publicDir, host, httpPort, httpsPort, maxConnections } = config;
    const loading = loadUws({ headerLimitBytes: config.headerLimitBytes + HEADER_SLACK_BYTES });
    const opening: Promise<unknown>[] = [
      loading,
      this.#startGeneration().then((generation) => (this.#generation = generation)),
    ];
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
      maxConnections,
      counters: this.#counters,
      perAddress:
        config.maxRequestsPerAddress === null
          ? null
          : new RequestsPerAddress(config.maxRequestsPerAddress),
      clock: this.#clock,
      // The only place that makes one.
      nextId: () => ++this.#lastExchangeId as ExchangeId,
      onRequest: (client: UwsClientSide) => this.#onRequest(client),
      onFinished: (client: UwsClientSide, status: number, bytes: number) =>
        this.#onFinished(client, status, bytes),
      limits: config,
      onCut: (client: UwsClientSide, setting: TransferSetting, value: number) =>
        this.#onCut(client, { setting, value }),
      onLimited: (client: UwsClientSide, setting: HeadSetting | "maxRequestsPerAddress") =>
        this.#log.debug({ requestId: this.#requestIdOf(client), setting }, "request refused"),
      onHeadRefused: (refused: RefusedHead) => this.#onHeadRefused(refused),
      countsBytes: this.#options.accessLog !== null,
      onError: (error: unknown) => this.#log.error({ err: error }, "request failed in the primary"),
    };
    if (httpPort !== null) {
      this.#listeners.push(
        await Listener.open(uws, {
          ...shared,
          ...this.#place("http", httpPort),
          certificates: null,
        }),
      );
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

  async #startGeneration(): Promise<LiveGeneration> {
    const { config } = this.#options;
    const { signal } = this.#stop;
    const manifest = await this.#build();
    for (const warning of manifest.warnings) this.#log.warn(warning);
    const options = {
      config,
      log: this.#log,
      clock: this.#clock,
      bodyBudget: this.#bodyBudget,
      spool: this.#spool,
      counters: this.#counters,
      manifest,
      requestIdPrefix: this.#requestIdPrefix,
      // The only place that makes one.
      nextWorkerId: () => ++this.#lastWorkerId as WorkerId,
    };
    return LiveGeneration.start(options, { signal });
  }

  async #build(): Promise<Manifest> {
    const { handlersDir, stateDir, mode } = this.#options.config;
    const { signal } = this.#stop;
    try {
      const order = { handlersDir, stateDir, mode, leaseTo: process.pid };
      const manifest = await buildInChild({ ...order, signal });
      this.#sources = manifest.inputs;
      return manifest;
    } catch (error) {
      if (error instanceof BuildError) this.#sources = error.inputs;
      throw error;
    }
  }

  async #reload(): Promise<void> {
    const { signal } = this.#stop;
    signal.throwIfAborted();
    const next = await this.#startGeneration();
    if (signal.aborted) await next.destroy();
    signal.throwIfAborted();
    const previous = this.#generation;
    this.#generation = next;
    if (previous !== null) this.#retire(previous);
  }

  /** Lets a generation finish what it has. That may take as long as its slowest exchange: nobody waits for it. */
  #retire(generation: LiveGeneration): void {
    const { drainGraceMs, mode } = this.#options.config;
    const report = (error: unknown): void =>
      this.#log.error({ err: error }, "cannot end a previous generation");
    this.#retiring.add(generation);
    void generation
      .retire(drainGraceMs)
      .catch(report)
      .finally(() => this.#retiring.delete(generation));
    const most = mode === "development" ? MAX_RETIRING_IN_DEVELOPMENT : MAX_RETIRING;
    const tooMany = [...this.#retiring].slice(0, Math.max(0, this.#retiring.size - most));
    for (const oldest of tooMany) {
      const { id } = oldest.manifest;
      this.#log.info({ generation: id, drainGraceMs }, "ending an old generation: too many live");
      oldest.close(drainGraceMs).catch(report);
    }
  }

  #generations(): LiveGeneration[] {
    return this.#generation === null ? [...this.#retiring] : [...this.#retiring, this.#generation];
  }

  /** A request, in the order in which it is looked at. */
  #onRequest(client: UwsClientSide): void {
    const target = parseTarget(client.head.target);
    if (!target.ok) {
      this.#counters.limits.malformed++;
      client.refuse(400);
      return;
    }
    if (target.pathname === this.#options.config.healthPath) {
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
    if (this.#options.accessLog === null) return;
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
    this.#options.accessLog?.line({
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
      settledWithin(this.#reloads.idle(), graceMs),
      ...this.#generations().map((generation) => generation.close(graceMs)),
    ]);
    const idle = Promise.all(this.#listeners.map((listener) => listener.idle()));
    await settledWithin(idle, Math.max(0, deadlineMs - performance.now()));
    for (const listener of this.#listeners) listener.close();
    await this.#files?.destroy();
  }
}

function stopping(): RuntimeError {
  return new RuntimeError("ERR_DRAINING", "Cannot start handlers: the server stops");
}

/** From source, the worker's module is beside this one; compiled, both are one program that asks what it is. */
function workerEntry(): string {
  return fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));
}
