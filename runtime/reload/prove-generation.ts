import type { ExchangeId } from "../channel/messages.ts";
import type { LiveGeneration } from "../handlers/live-generation.ts";
import type { HandlerPool } from "../handlers/handler-pool.ts";
import type { RouteResponder } from "../handlers/route-responder.ts";
import type { Logger } from "../log/log.ts";
import { parseTarget } from "../http/target-path.ts";
import { InternalClient } from "./internal-client.ts";
import { probe } from "./probe.ts";
import type { RecentRequest } from "../observe/recent-requests.ts";
import { warmUp, type WarmUpStep } from "./warm-up.ts";

const LOCAL_ORIGIN = "http://localhost";

export interface ProveOptions {
  /** Tells whether a pool was started for this generation. Pools that already serve are not tested. */
  isNew: (pool: HandlerPool) => boolean;
  /** Recent requests to the earlier pools. */
  recent: readonly RecentRequest[];
  nextId: () => ExchangeId;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Tests the new pools of a generation with internal requests before it serves. First, each worker gets the operator's
 * warm-up requests. Then recent requests are repeated, if the operator asks for that.
 *
 * @throws RuntimeError `ERR_HANDLER_LOAD` naming the request that failed; the signal's reason.
 */
export async function proveGeneration(
  generation: LiveGeneration,
  { isNew, recent, nextId, log, signal }: ProveOptions,
): Promise<void> {
  const { warmup, bootTimeoutMs } = generation.config;
  const findRoute = (target: string) => {
    const parsed = parseTarget(target);
    const responder = parsed.ok ? generation.find(parsed) : null;
    return parsed.ok && responder !== null ? { parsed, responder } : null;
  };
  // A handler may have no timeout, but an internal request needs one.
  const timeoutOf = (responder: RouteResponder): number => {
    const { requestTimeoutMs } = responder.rulesOf("GET");
    return Math.min(requestTimeoutMs || bootTimeoutMs, bootTimeoutMs);
  };

  await warmUp({
    paths: warmup,
    stepsFor(target) {
      const route = findRoute(target);
      if (route === null) log.warn({ path: target }, "no handler answers this path of the warm-up");
      if (route === null || !isNew(route.responder.pool)) return [];
      const { parsed, responder } = route;
      const timeoutMs = timeoutOf(responder);
      return responder.pool.lanes.map((lane): WarmUpStep => ({
        workerId: lane.workerId,
        path: target,
        send: (client) => responder.answerInternal(client, parsed, { timeoutMs, lane }),
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
      const route = findRoute(target);
      return route !== null && isNew(route.responder.pool);
    }),
    createClient: ({ target, origin }) =>
      new InternalClient({ id: nextId(), target, origin, userAgent: "Edgicorn (reload probe)" }),
    send(client) {
      const route = findRoute(client.head.target);
      if (route === null) throw new TypeError("the route was found a moment ago");
      const { parsed, responder } = route;
      // A refusal by a limit of a busy server would look like a failure of the handlers.
      responder.answerInternal(client, parsed, { timeoutMs: timeoutOf(responder), lane: null });
    },
    signal,
  });
  for (const warning of warnings) log.warn(warning);
}
