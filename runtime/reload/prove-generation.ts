import type { ExchangeId } from "../channel/messages.ts";
import type { LiveGeneration } from "../handlers/live-generation.ts";
import type { HandlerPool } from "../handlers/handler-pool.ts";
import type { Logger } from "../log/log.ts";
import { parseTarget } from "../http/target-path.ts";
import { InternalClient } from "./internal-client.ts";
import { probe } from "./probe.ts";
import type { RecentRequest } from "../observe/recent-requests.ts";
import { warmUp, type WarmUpStep } from "./warm-up.ts";

const LOCAL_ORIGIN = "http://localhost";

export interface ProveOptions {
  /** Tells whether a pool was started for this generation. Pools that already serve need no proof. */
  isNew: (pool: HandlerPool) => boolean;
  /** Recent requests to the earlier pools. */
  recent: readonly RecentRequest[];
  nextId: () => ExchangeId;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Sends internal requests to the new pools of a generation before it serves. First each worker gets the operator's
 * warm-up. Then recent requests are repeated, if the operator asks for that.
 *
 * @throws RuntimeError `ERR_HANDLER_LOAD` naming the request that failed; the signal's reason.
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
    // A handler may have no timeout, but this request needs one.
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
      if (place === null) throw new TypeError("the route was found a moment ago");
      const { pool, route, params, path, timeoutMs, buffering } = place;
      const url = client.head.origin + path;
      // Reserved, so that no limit of a busy server refuses it. A refusal would look like a failure of the handlers.
      const reserved = true;
      const to = { route, params, url, bodyLimitBytes: 0, timeoutMs, buffering, reserved };
      pool.dispatcher.admit(client, to);
    },
    signal,
  });
  for (const warning of warnings) log.warn(warning);
}
