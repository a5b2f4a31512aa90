import { randomBytes } from "node:crypto";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExchangeId, WorkerId } from "./channel/messages.ts";
import type { Config } from "./config.ts";
import { Listener, type ServedCertificate } from "./front/listener.ts";
import { serveStatic } from "./front/serve-static.ts";
import type { TransferSetting } from "./front/transfer-limits.ts";
import type { UwsClientSide } from "./front/uws-client-side.ts";
import { loadUws } from "./front/uws.ts";
import { buildInChild } from "./generation/build-process.ts";
import { LiveGeneration } from "./live-generation.ts";
import type { Logger } from "./log.ts";
import type { AccessLog } from "./log/access-log.ts";
import { parseTarget } from "./route/target-path.ts";
import { FileIndex } from "./static/file-index.ts";
import { TurnClock } from "./turn-clock.ts";
import { prepareForks } from "./supervise/worker-process.ts";

export interface PrimaryOptions {
  config: Config;
  log: Logger;
  /** `null`: requests are not logged. */
  accessLog: AccessLog | null;
  /** Default first; `null` when there is no TLS listener. */
  certificates: readonly [ServedCertificate, ...ServedCertificate[]] | null;
}

/** The Nginx half: owns every client socket, the static files and the queue, and runs no user code. */
export class Primary {
  readonly #options: PrimaryOptions;
  readonly #log: Logger;
  /** Goes before an exchange's id, in base 36, to make its request id: two primaries never make the same. */
  readonly #requestIdPrefix = `${randomBytes(5).toString("hex")}-`;
  readonly #listeners: Listener[] = [];
  #files: FileIndex | null = null;
  readonly #clock = new TurnClock();
  #lastExchangeId = 0;
  #lastWorkerId = 0;
  #generation: LiveGeneration | null = null;
  #reloading: Promise<void> = Promise.resolve();
  #closing: Promise<void> | null = null;

  private constructor(options: PrimaryOptions) {
    this.#options = options;
    this.#log = options.log;
  }

  /**
   * Builds the handlers, starts the workers and then listens: the first connection finds everything ready.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD`, `ERR_BOOT_LOOP`, `ERR_LISTEN`. All that was opened is closed by then.
   */
  static async start(options: PrimaryOptions): Promise<Primary> {
    const primary = new Primary(options);
    prepareForks(workerEntry());
    try {
      await primary.#open();
    } catch (error) {
      await primary.destroy();
      throw error;
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

  /**
   * Builds the handlers anew and starts workers for them beside the old ones; once all are ready, new requests go to
   * them and the old ones finish what they have. One at a time.
   *
   * @throws RuntimeError as `start` does; the old generation then serves on as if nothing had happened.
   */
  reload(): Promise<void> {
    const reload = this.#reloading.then(() => this.#reload());
    this.#reloading = reload.catch(() => {});
    return reload;
  }

  /** Accepts no more, answers what is in flight, then ends everything. What takes longer than the grace is cut off. */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  /** Ends everything now. */
  async destroy(): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    await Promise.all([this.#generation?.destroy(), this.#files?.destroy()]);
  }

  async #open(): Promise<void> {
    const { config, certificates } = this.#options;
    const { publicDir, headerLimitBytes, host, httpPort, httpsPort, maxConnections } = config;
    const [uws, generation, files] = await Promise.all([
      loadUws({ headerLimitBytes }),
      this.#startGeneration(),
      publicDir === null ? null : FileIndex.open(publicDir, { log: this.#log }),
    ]);
    this.#generation = generation;
    this.#files = files;
    const shared = {
      host,
      maxConnections,
      clock: this.#clock,
      // The only place that makes one.
      nextId: () => ++this.#lastExchangeId as ExchangeId,
      onRequest: (client: UwsClientSide) => this.#onRequest(client),
      onFinished: (client: UwsClientSide, status: number, bytes: number) =>
        this.#onFinished(client, status, bytes),
      limits: config,
      onCut: (client: UwsClientSide, setting: TransferSetting) =>
        this.#log.info({ requestId: this.#requestIdOf(client), setting }, "slow client cut off"),
      onHeadRefused: ({ status, reason }: { status: number; reason: string }) =>
        this.#log.debug({ status, reason }, "request refused"),
      onError: (error: unknown) => this.#log.error({ err: error }, "request failed in the primary"),
    };
    if (httpPort !== null) {
      this.#listeners.push(
        await Listener.open(uws, { ...shared, port: httpPort, certificates: null }),
      );
    }
    if (httpsPort !== null && certificates !== null) {
      this.#listeners.push(await Listener.open(uws, { ...shared, port: httpsPort, certificates }));
    }
  }

  #startGeneration(): Promise<LiveGeneration> {
    const { config } = this.#options;
    const { handlersDir, stateDir, mode } = config;
    const keep = this.#generation === null ? [] : [this.#generation.manifest.id];
    return buildInChild({ handlersDir, stateDir, mode, keep }).then((manifest) => {
      for (const warning of manifest.warnings) this.#log.warn(warning);
      return LiveGeneration.start({
        config,
        log: this.#log,
        clock: this.#clock,
        manifest,
        requestIdPrefix: this.#requestIdPrefix,
        // The only place that makes one.
        nextWorkerId: () => ++this.#lastWorkerId as WorkerId,
      });
    });
  }

  async #reload(): Promise<void> {
    if (this.#closing !== null) return;
    const next = await this.#startGeneration();
    const previous = this.#generation;
    this.#generation = next;
    // It may take as long as its slowest exchange; nobody waits for it.
    previous?.close(this.#options.config.drainGraceMs).catch((error: unknown) => {
      this.#log.error({ err: error }, "cannot end the previous generation");
    });
  }

  /** A request, in the order in which it is looked at. */
  #onRequest(client: UwsClientSide): void {
    const target = parseTarget(client.head.target);
    if (!target.ok) {
      client.refuse(400);
      return;
    }
    if (this.#files !== null && target.path !== null) {
      const { path, search } = target;
      if (serveStatic(client, { path, search }, this.#files, this.#onFileError)) return;
    }
    if (!this.generation.admit(client, target)) client.refuse(404);
  }

  readonly #onFileError = (error: unknown): void => {
    this.#log.error({ err: error }, "cannot send a static file");
  };

  #onFinished(client: UwsClientSide, status: number, bytes: number): void {
    const { accessLog } = this.#options;
    if (accessLog === null) return;
    const { method, target } = client.head;
    const query = target.indexOf("?");
    accessLog.line({
      method,
      path: query === -1 ? target : target.slice(0, query),
      status,
      bytes,
      durationMs: this.#clock.now() - client.receivedMs,
      worker: client.workerId,
      requestId: this.#requestIdOf(client),
    });
  }

  #requestIdOf(client: UwsClientSide): string {
    return this.#requestIdPrefix + client.id.toString(36);
  }

  async #close(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    for (const listener of this.#listeners) listener.stopAccepting();
    await this.#reloading;
    // First the handlers' answers, then the clients that are still reading theirs.
    await this.#generation?.close(Math.max(0, deadlineMs - performance.now()));
    const idle = Promise.all(this.#listeners.map((listener) => listener.idle()));
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise((resolve) => {
      timer = setTimeout(resolve, Math.max(0, deadlineMs - performance.now()));
    });
    await Promise.race([idle, late]);
    clearTimeout(timer);
    for (const listener of this.#listeners) listener.close();
    await this.#files?.destroy();
  }
}

/** From source, the worker's module is beside this one; compiled, both are one program that asks what it is. */
function workerEntry(): string {
  return fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));
}
