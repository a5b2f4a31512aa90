import type { Env } from "../api.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import { describeError } from "./describe-error.ts";
import { locateError, type SourcePosition, toPlace } from "./error-location.ts";

/** Functions that a module runs before the first request and after the last one. */
export interface ModuleHooks {
  /** For messages: `handlers/_middleware.ts`. */
  source: string;
  init: ((env: Env) => unknown) | null;
  dispose: (() => unknown) | null;
}

/** A hook that is part of the default export is called as its method. */
export function readHooks(
  source: string,
  exports: Readonly<Record<string, unknown>>,
): ModuleHooks | null {
  const init = findHook(exports, "init");
  const dispose = findHook(exports, "dispose");
  if (init === null && dispose === null) return null;
  return { source, init, dispose };
}

type Hook = (...parameters: unknown[]) => unknown;

function findHook(exports: Readonly<Record<string, unknown>>, name: string): Hook | null {
  const own = exports[name];
  // Its parameters are not known; it gets the environment, or nothing.
  if (typeof own === "function") return own as Hook;
  const owner = exports["default"];
  // An instance of a class, or an app of a framework, may have a method of this name for another purpose.
  if (typeof owner !== "object" || owner === null) return null;
  if (Object.getPrototypeOf(owner) !== Object.prototype || !Object.hasOwn(owner, name)) return null;
  const member: unknown = Reflect.get(owner, name);
  if (typeof member !== "function") return null;
  return (...parameters) => Reflect.apply(member, owner, parameters) as unknown;
}

/**
 * Runs `init` of all modules, one after the other, before the worker is ready; and `dispose` in the reverse order once it
 * has drained. A function that several modules export runs once, at the place of the first.
 *
 *     created ──start()──▶ started ──dispose()──▶ disposed
 *                 └── an init fails ──dispose()──────▲   (of those whose init has ended)
 */
export class Lifecycle {
  readonly #hooks: readonly ModuleHooks[];
  readonly #started: ModuleHooks[] = [];

  /** @param hooks In the order in which they start: middleware from the outside in, then handlers. */
  constructor(hooks: readonly ModuleHooks[]) {
    const seen = new Set<unknown>();
    const once = <T>(hook: T | null): T | null => {
      if (hook === null || seen.has(hook)) return null;
      seen.add(hook);
      return hook;
    };
    this.#hooks = hooks.map(({ source, init, dispose }) => ({
      source,
      init: once(init),
      dispose: once(dispose),
    }));
  }

  /**
   * Runs each `init`, and waits for it.
   *
   * @param options.onInit Called before each, with the name of the file.
   * @throws RuntimeError `ERR_HANDLER_LOAD` that names the file, for the first `init` that fails or takes too long.
   */
  async start(
    env: Env,
    options: {
      timeout: { ms: number; limit: string };
      onInit: (source: string) => void;
    },
  ): Promise<void> {
    const deadlineMs = performance.now() + options.timeout.ms;
    for (const hooks of this.#hooks) {
      const { source, init } = hooks;
      if (init !== null) {
        options.onInit(source);
        let failure: string | null;
        let position: SourcePosition | null = null;
        try {
          const isInTime = await endsWithin(init(env), deadlineMs - performance.now());
          const expected = "expected its promise to settle";
          failure = isInTime
            ? null
            : `init() has not ended within ${options.timeout.limit}, ${expected}`;
        } catch (error) {
          failure = `init() failed: ${describeError(error)}`;
          position = locateError(error);
        }
        if (failure !== null) {
          const place = position === null ? source : toPlace(position);
          const elsewhere = place.startsWith(source) ? "" : ` (init() of ${source})`;
          const message = `Cannot load handlers:\n${place}: ${failure}${elsewhere}`;
          throw new RuntimeError("ERR_HANDLER_LOAD", message);
        }
      }
      this.#started.push(hooks);
    }
  }

  /** Runs each `dispose` until the grace ends. Logs each failure, and the first that does not end in time. Never rejects. */
  async dispose({
    graceMs,
    log,
    onDispose,
  }: {
    graceMs: number;
    log: Logger;
    /** Called before each, with the name of the file. */
    onDispose: (source: string) => void;
  }): Promise<void> {
    const deadlineMs = performance.now() + graceMs - Math.min(LAST_WORDS_MS, graceMs / 4);
    const waiting = this.#started.splice(0).toReversed();
    for (let hooks = waiting.shift(); hooks !== undefined; hooks = waiting.shift()) {
      const { source: handler, dispose } = hooks;
      if (dispose === null) continue;
      onDispose(handler);
      try {
        if (await endsWithin(dispose(), deadlineMs - performance.now())) continue;
      } catch (error) {
        log.error({ err: error, handler }, `dispose() of ${handler} failed`);
        continue;
      }
      const rest = waiting.filter((each) => each.dispose !== null);
      const notRun = rest.map(({ source }) => source);
      const text = `dispose() of ${handler} has not ended within the grace: the worker exits without it`;
      log.error({ handler, graceMs, notRun }, text);
      return;
    }
  }
}

/** Time before the end of the grace at which the worker gives up, so that it can still log that. */
const LAST_WORDS_MS = 250;

/** @throws The reason with which the promise is rejected. */
async function endsWithin(result: unknown, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, Math.max(0, ms), false);
  });
  try {
    return await Promise.race([Promise.resolve(result).then(() => true), timeout]);
  } finally {
    clearTimeout(timer);
  }
}
