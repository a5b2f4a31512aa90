import { AsyncLocalStorage } from "node:async_hooks";
import { Socket } from "node:net";
import { Channel } from "../channel/channel.ts";
import type { Environment, HandlerConfig } from "../api.ts";
import type {
  ModuleStep,
  RouteLimits,
  RouteNumber,
  RouteReport,
  ToPrimary,
  ToWorker,
  WorkerSettings,
} from "../channel/messages.ts";
import { CHANNEL_FD, Kind, MAX_FRAME_BYTES, PROTOCOL_VERSION } from "../channel/messages.ts";
import { parseToWorker } from "../channel/parse-to-worker.ts";
import { toHandlerLimits } from "../config/handler-settings.ts";
import { toOwnRate } from "./handler-config.ts";
import { assertNever, EXIT, RuntimeError } from "../lib/errors.ts";
import {
  createLogger,
  JSON_LOOK,
  type Logger,
  openLog,
  pickLogLook,
  reportLosses,
} from "../log/log.ts";
import {
  guardStandardStreams,
  type StandardStreams,
  tellLostOutput,
} from "../log/standard-streams.ts";
import { GlobalEvents } from "../platform/global-events.ts";
import { installGlobals } from "../platform/install-globals.ts";
import { provideWorkersPlatform } from "../platform/workers-platform.ts";
import { installWebObjects } from "../web/install.ts";
import { BackgroundWork } from "./background-work.ts";
import { BootNotes, IGNORED_SIGNALS } from "./boot-notes.ts";
import { BootWatch } from "./boot-watch.ts";
import { WorkerCaches } from "./caches.ts";
import type { OpenBindings, WorkerValues } from "../bindings/open-bindings.ts";
import { toEnv, type WorkerScope } from "./context.ts";
import { Departures } from "./departures.ts";
import { type EndingParts, endInOrder } from "./end-in-order.ts";
import { Exchanges } from "./exchanges.ts";
import { FailureReports } from "./failure-reports.ts";
import { findCallers } from "./find-callers.ts";
import { Grace } from "./grace.ts";
import { guardInspector } from "./inspector-door.ts";
import { Lifecycle } from "./lifecycle.ts";
import {
  loadGeneration,
  type LoadedGeneration,
  type LoadTimeout,
  type RouteReport as LoadedRouteReport,
  toReport,
} from "./load-handlers.ts";
import { PassedRequests } from "./passed-requests.ts";
import { Purges } from "./purges.ts";
import type { Running } from "./running.ts";
import type { ServiceCalls } from "./service-calls.ts";
import { WorkerSockets } from "./sockets.ts";
import type { TraceScope } from "./trace-scope.ts";
import { VitalsMeter } from "./vitals.ts";

/** Runs this process as a worker: it lives as long as its channel to the primary. */
export function runWorker(): void {
  const streams = guardStandardStreams();
  // Signals of the terminal or of a process group are meant for the primary, which then drains its workers. SIGUSR2
  // would kill.
  for (const signal of IGNORED_SIGNALS) process.on(signal, () => {});
  Worker.start(guardInspector(), streams);
}

/** The other end of the primary's `WorkerProcess`. */
class Worker {
  readonly #channel: Channel<ToWorker, ToPrimary>;
  readonly #background = new BackgroundWork();
  readonly #departures = new Departures();
  readonly #purges: Purges;
  readonly #passed: PassedRequests;
  readonly #caches: WorkerCaches;
  readonly #failures = new FailureReports((failure) => this.#channel.send([Kind.failed, failure]));
  readonly #sockets: WorkerSockets;
  readonly #events = new GlobalEvents({
    onReport: (err) => this.#log?.error({ err }, "error reported in a handler"),
  });
  readonly #vitals = new VitalsMeter(this.#background);
  readonly #closeInspector: () => void;
  readonly #streams: StandardStreams;
  #exchanges: Exchanges | null = null;
  #lifecycle: Lifecycle | null = null;
  #bindings: OpenBindings | null = null;
  /** `null`: no binding calls handlers or asks for files. */
  #calls: ServiceCalls | null = null;
  #log: Logger | null = null;
  /** `null`: the worker does not drain. */
  #grace: Grace | null = null;

  /** The channel keeps it alive. */
  static start(closeInspector: () => void, streams: StandardStreams): Worker {
    return new Worker(closeInspector, streams);
  }

  private constructor(closeInspector: () => void, streams: StandardStreams) {
    this.#streams = streams;
    this.#closeInspector = closeInspector;
    this.#channel = new Channel(new Socket({ fd: CHANNEL_FD }), {
      maxFrameBytes: MAX_FRAME_BYTES,
      parse: parseToWorker,
      onMessage: (message) => this.#receive(message),
      // The primary has closed the channel or is gone: there is nothing left to answer.
      onClose: (error) => {
        process.exit(error === null ? (process.exitCode ?? EXIT.drained) : EXIT.failed);
      },
    });
    this.#purges = new Purges(this.#channel);
    this.#passed = new PassedRequests(this.#channel);
    this.#caches = new WorkerCaches(this.#channel);
    this.#sockets = new WorkerSockets(this.#channel);
    this.#channel.send([Kind.workerHello, PROTOCOL_VERSION]);
  }

  #receive(message: ToWorker): void {
    switch (message[0]) {
      case Kind.request:
        this.#ready().run(message);
        return;
      case Kind.abort:
        this.#ready().abort(message[1], message[2]);
        return;
      case Kind.probe:
        this.#channel.send([Kind.probed, message[1]]);
        return;
      case Kind.hello:
        void this.#boot(message[2]);
        return;
      case Kind.drain:
        void this.#drain(message[1]);
        return;
      case Kind.requestChunk:
        this.#ready().requestChunk(message[1], message[2]);
        return;
      case Kind.requestEnd:
        this.#ready().requestEnd(message[1]);
        return;
      case Kind.responseCredit:
        this.#ready().responseCredit(message[1], message[2]);
        return;
      case Kind.fileTaken:
        // For workers that hand files over by descriptor. This one names them by path.
        return;
      case Kind.passedOn:
        this.#ready().passedOn(message[1], message[2]);
        this.#passed.settle(message[1], message[2]);
        return;
      case Kind.purged:
        this.#purges.settle(message);
        return;
      case Kind.cacheAnswer:
      case Kind.cacheChunk:
      case Kind.cacheBroken:
      case Kind.cacheDone:
      case Kind.cacheCredit:
        this.#caches.receive(message);
        return;
      case Kind.callAnswer:
      case Kind.callChunk:
      case Kind.callEnd:
      case Kind.callCredit:
        this.#calls?.receive(message);
        return;
      case Kind.socketAdopt:
      case Kind.socketMessage:
      case Kind.socketClosed:
      case Kind.socketForget:
      case Kind.socketBuffered:
      case Kind.socketOpened:
      case Kind.socketFlushed:
        this.#sockets.receive(message);
        return;
      case Kind.ping:
        this.#channel.send([Kind.pong, message[1], this.#vitals.read()]);
        this.#closeInspector();
        return;
      default:
        assertNever(message);
    }
  }

  #ready(): Exchanges {
    if (this.#exchanges !== null) return this.#exchanges;
    throw new RuntimeError("ERR_PROTOCOL", "Cannot run an exchange: the worker is not ready");
  }

  async #boot(settings: WorkerSettings): Promise<void> {
    const { generationDir, pool, mode, bodyBufferBytes } = settings;
    installWebObjects();
    this.#caches.install();
    this.#sockets.install();
    installGlobals(this.#events, (message) => this.#log?.warn(message));
    const watch = new BootWatch((message) => {
      // Sent within this turn: the process ends with it.
      this.#channel.sendLent([Kind.bootFailed, { code: "ERR_HANDLER_LOAD", message }], 0);
    });
    const notes = new BootNotes();
    const onRun = (source: string, step: "import" | "init"): void => {
      watch.load(source);
      notes.load(source);
      this.#tellStep(source, step);
    };
    try {
      const log = await openWorkerLog(settings);
      this.#log = log;
      tellLostOutput(log, this.#streams);
      process.on("unhandledRejection", (reason, promise) => {
        if (this.#exchanges === null) notes.onRejection(reason);
        else if (this.#departures.explain(reason, log)) return;
        else if (!this.#events.onRejection(reason, promise)) tellRejection(reason, log);
      });
      process.on("uncaughtException", (error) => {
        if (this.#departures.explain(error, log)) return;
        // No listener can prevent the end of this process.
        this.#events.onError(error);
        if (this.#exchanges === null) watch.fail(error);
        this.#fail(error, log);
      });
      this.#calls = await this.#openCalls(settings);
      const bindings = await openWorkerBindings(settings, this.#calls);
      this.#bindings = bindings;
      let ownEnv: Environment | null = null;
      provideWorkersPlatform({
        get env() {
          return ownEnv ?? bindings?.envOf(null) ?? toEnv();
        },
        waitUntil: (promise) =>
          this.#background.add(promise, {
            route: "",
            onFailure: (err) => log.error({ err }, "waitUntil() promise was rejected"),
          }),
      });
      const generation = await loadGeneration(generationDir, {
        mode,
        pool,
        timeout: toTimeout(settings),
        onImport: (source) => onRun(source, "import"),
        onFailure: (failure) => this.#failures.note(failure, performance.now()),
      });
      const env = bindings === null ? toEnv() : bindings.envOf(null);
      ownEnv = env;
      this.#lifecycle = new Lifecycle(generation.hooks);
      await this.#lifecycle.start(env, {
        timeout: toTimeout(settings),
        onInit: (source) => onRun(source, "init"),
      });
      await notes.settle();
      watch.close();
      const callers = await findCallers(generation.sites, {
        generationDir,
        isUsed: this.#caches.isUsed,
      });
      this.#caches.serve(callers, log);
      const calls = this.#calls;
      const running = callers.running ?? (calls === null ? null : new AsyncLocalStorage<Running>());
      if (running !== null) {
        calls?.serve({ running, siteOf: (route) => generation.siteOf(route) });
      }
      const scope: WorkerScope = {
        env,
        log,
        requestIdPrefix: settings.requestIdPrefix,
        trustsRequestIds: settings.trustsRequestIds,
        background: this.#background,
        purges: this.#purges,
        passed: this.#passed,
        sockets: this.#sockets,
      };
      const scopeOf =
        bindings !== null && hasSiteBindings(settings)
          ? toScopes(scope, { bindings, generation })
          : null;
      this.#sockets.serve(generation, scopeOf ?? (() => scope), running);
      this.#exchanges = new Exchanges({
        channel: this.#channel,
        generation,
        scope,
        scopeOf,
        responseCreditBytes: settings.responseCreditBytes,
        departures: this.#departures,
        compression: settings.compression,
        running,
        measures: settings.measures,
        traces: settings.traces ? await loadTraceScope(log) : null,
      });
      const routes = toReport(generation).map((route) => route && toRouteReport(route));
      // A request body up to this size travels whole, with others around it.
      const buffers = routes.flatMap((route) => (route === null ? [] : bodyBuffersOf(route)));
      this.#channel.maxFrameBytes = MAX_FRAME_BYTES + Math.max(bodyBufferBytes, ...buffers);
      const warnings = [...generation.warnings, ...notes.warnings];
      this.#channel.send([Kind.ready, { pid: process.pid, routes, warnings, threads: null }]);
    } catch (error) {
      watch.close();
      const code = error instanceof RuntimeError ? error.code : "ERR_HANDLER_LOAD";
      const text = error instanceof RuntimeError ? error.message : String(error);
      process.exitCode = EXIT.failed;
      // The primary then ends the channel, and with it this process.
      this.#channel.send([Kind.bootFailed, { code, message: text }]);
    }
  }

  /** Creates the part for bindings that call handlers or ask for files. Without any, the worker loads no code for them. */
  async #openCalls({ bindings }: WorkerSettings): Promise<ServiceCalls | null> {
    const isNeeded = bindings?.bindings.some(
      ({ value: { kind } }) => kind === "service" || kind === "assets",
    );
    if (isNeeded !== true) return null;
    const module = await import("./service-calls.ts");
    return new module.ServiceCalls(this.#channel);
  }

  /**
   * An exception outside of any promise leaves unknown state behind: this process ends. Earlier answers are still sent,
   * and the log is written by its own exit hook.
   */
  #fail(error: unknown, log: Logger): never {
    log.fatal({ err: error }, "uncaught exception in a handler, the worker exits");
    process.exitCode = EXIT.failed;
    this.#channel.close();
    process.exit(EXIT.failed);
  }

  async #drain(graceMs: number): Promise<void> {
    if (this.#grace !== null) {
      this.#grace.shorten(graceMs);
      return;
    }
    this.#grace = new Grace(graceMs);
    // Without its log the worker has run no code yet.
    if (this.#log !== null) {
      const parts: EndingParts = {
        exchanges: this.#exchanges,
        sockets: this.#sockets,
        background: this.#background,
        lifecycle: this.#lifecycle,
        bindings: this.#bindings,
        log: this.#log,
        onDispose: (source) => this.#tellStep(source, "dispose"),
      };
      await endInOrder(parts, this.#grace);
    }
    this.#channel.send([Kind.drained]);
  }

  /** Sends it before the code runs, which may never end. */
  #tellStep(source: string, step: ModuleStep): void {
    this.#channel.sendLent([Kind.loading, source, step], 0);
  }
}

/** Loaded only where requests are traced. */
async function loadTraceScope(log: Logger): Promise<TraceScope | null> {
  const module = await import("./trace-scope.ts");
  return module.TraceScope.load(log);
}

/** Ends before the primary ends this process, which then could not say why. */
function toTimeout({ bootTimeoutMs }: WorkerSettings): LoadTimeout {
  const marginMs = Math.min(LAST_WORDS_MS, bootTimeoutMs / 5);
  const ms = Math.max(0, bootTimeoutMs - marginMs - performance.now());
  return { ms, limit: `bootTimeout (${bootTimeoutMs} ms)` };
}

const LAST_WORDS_MS = 2_000;

/** Opens the bindings of the worker. Without any, it loads no code for them. */
async function openWorkerBindings(
  { bindings }: WorkerSettings,
  calls: ServiceCalls | null,
): Promise<OpenBindings | null> {
  if (bindings === null) return null;
  const { openBindings } = await import("../bindings/open-bindings.ts");
  try {
    const createFetcher: WorkerValues["createFetcher"] = (binding) => {
      if (calls === null) throw new TypeError("no part for calls");
      return calls.createFetcher(binding);
    };
    return await openBindings(bindings, { variables: process.env, worker: { createFetcher } });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RuntimeError("ERR_HANDLER_LOAD", `Cannot open the bindings: ${reason}`, {
      cause: error,
    });
  }
}

function hasSiteBindings({ bindings }: WorkerSettings): boolean {
  return bindings?.bindings.some(({ sites }) => sites !== null) === true;
}

/** Returns a function that finds the scope of a route: sites have bindings of their own. */
function toScopes(
  scope: WorkerScope,
  { bindings, generation }: { bindings: OpenBindings; generation: LoadedGeneration },
): (route: RouteNumber) => WorkerScope {
  const scopes = new Map(
    [...generation.sites.keys()].map((site) => [site, { ...scope, env: bindings.envOf(site) }]),
  );
  return (route) => scopes.get(generation.siteOf(route)) ?? scope;
}

async function openWorkerLog(settings: WorkerSettings): Promise<Logger> {
  const { logFile, logFormat, logLevel, redactQuery, workerId } = settings;
  const terminal = { isTTY: process.stderr.isTTY, env: process.env };
  const look = logFile === null ? pickLogLook(logFormat, terminal) : JSON_LOOK;
  const destination = openLog(logFile);
  const log = (await createLogger({ logLevel, redactQuery }, destination, look)).child({
    workerId,
  });
  reportLosses(log, destination);
  return log;
}

function toRouteReport(loaded: LoadedRouteReport): RouteReport {
  const { methods, config, methodConfig, hasSockets, scheduled, queues } = loaded;
  return {
    methods,
    hasSockets,
    ...(scheduled !== undefined && { scheduled }),
    ...(queues !== undefined && { queues }),
    limits: toLimits(config),
    methodLimits: Object.fromEntries(
      Object.entries(methodConfig).map(([method, own]) => [method, toLimits(own)]),
    ),
  };
}

function toLimits(config: HandlerConfig): RouteLimits {
  return {
    ...toHandlerLimits(config),
    reserved: config.reserved ?? null,
    replay: config.replay ?? null,
    rateLimit: toOwnRate(config.rateLimit),
  };
}

function bodyBuffersOf({ limits, methodLimits }: RouteReport): number[] {
  return [limits, ...Object.values(methodLimits)].map((each) => each.bodyBufferBytes ?? 0);
}

/**
 * An unhandled rejection is a bug in one handler, and no reason to lose the exchanges of all others.
 */
function tellRejection(reason: unknown, log: Logger): void {
  log.error({ err: reason }, "unhandled rejection in a handler");
}
