import type { ExchangeId } from "../channel/messages.ts";
import type { LiveGeneration } from "../live-generation.ts";
import type { HandlerPool } from "../handler-pool.ts";
import type { Logger } from "../log.ts";
import { parseTarget } from "../route/target-path.ts";
import { InternalClient } from "./internal-client.ts";
import { probe } from "./probe.ts";
import type { RecentRequest } from "./recent-requests.ts";
import { warmUp, type WarmUpStep } from "./warm-up.ts";

const LOCAL_ORIGIN = "http://localhost";

export interface ProveOptions {
  /** Whether a pool has just been started: the others have proven themselves. */
  isNew: (pool: HandlerPool) => boolean;
  /** What the pools before were asked of late. */
  recent: readonly RecentRequest[];
  nextId: () => ExchangeId;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Sends requests of ours to the new pools of a generation that does not serve yet: the operator's warm-up to each worker,
 * then what the old workers were asked of late, where the operator wants that.
 *
 * @throws RuntimeError `ERR_HANDLER_LOAD` that says which request failed; the signal's reason.
 */
export async function proveGeneration(
  generation: LiveGeneration,
  { isNew, recent, nextId, log, signal }: ProveOptions,
): Promise<void> {
  const { warmup, bootTimeoutMs } = generation.config;
  const findPlace = (target: string) => {
    const parsed = parseTarget(target);
    const place = parsed.ok ? generation.placeOf(parsed) : null;
    if (!parsed.ok || place === null) return null;
    // A handler may have all the time it wants; this has not.
    const timeoutMs = Math.min(place.rules.timeoutMs || bootTimeoutMs, bootTimeoutMs);
    const { buffering } = place.rules;
    return { ...place, path: parsed.pathname + parsed.search, timeoutMs, buffering };
  };

  await warmUp({
    paths: warmup,
    stepsFor(target) {
      const place = findPlace(target);
      if (place === null) log.warn({ path: target }, "no handler answers this path of the warm-up");
      if (place === null || !isNew(place.pool)) return [];
      const { pool, route, params, path, timeoutMs, buffering } = place;
      return pool.lanes.map((lane): WarmUpStep => ({
        workerId: lane.workerId,
        path: target,
        send(client) {
          const url = client.head.origin + path;
          pool.dispatcher.admitTo(lane, client, { route, params, url, timeoutMs, buffering });
        },
      }));
    },
    createClient: (target) =>
      new InternalClient({
        id: nextId(),
        target,
        origin: LOCAL_ORIGIN,
        userAgent: "Edgicorn (warm-up)",
      }),
    signal,
  });

  const warnings = await probe({
    requests: recent.filter(({ target }) => {
      const place = findPlace(target);
      return place !== null && isNew(place.pool);
    }),
    createClient: ({ target, origin }) =>
      new InternalClient({ id: nextId(), target, origin, userAgent: "Edgicorn (reload probe)" }),
    send(client) {
      const place = findPlace(client.head.target);
      if (place === null) throw new TypeError("it was found a moment ago");
      const { pool, route, params, path, timeoutMs, buffering } = place;
      const url = client.head.origin + path;
      // Past what limits clients: a server that is busy must not take its own refusal for a failure of the handlers.
      const reserved = true;
      const to = { route, params, url, bodyLimitBytes: 0, timeoutMs, buffering, reserved };
      pool.dispatcher.admit(client, to);
    },
    signal,
  });
  for (const warning of warnings) log.warn(warning);
}
