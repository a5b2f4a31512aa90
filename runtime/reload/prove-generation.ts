import type { ExchangeId } from "../channel/messages.ts";
import { DEFAULT_SITE, listSites, type SiteConfig } from "../config/sites.ts";
import type { LiveGeneration } from "../handlers/live-generation.ts";
import type { HandlerPool } from "../handlers/handler-pool.ts";
import type { RouteResponder } from "../handlers/route-responder.ts";
import type { Logger } from "../log/log.ts";
import { HostTable } from "../http/host-table.ts";
import { parseTarget } from "../http/target-path.ts";
import { InternalClient } from "./internal-client.ts";
import { probe } from "./probe.ts";
import type { RecentRequest } from "../observe/recent-requests.ts";
import { warmUp, type WarmUpRequest, type WarmUpStep } from "./warm-up.ts";

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
  const { config } = generation;
  const { bootTimeoutMs } = config;
  const sites = listSites(config);
  const siteOf = new HostTable({
    entries: sites.map(({ hosts, name: value }) => ({ hosts, value })),
    otherwise: DEFAULT_SITE,
  });
  const findRoute = (site: string, target: string) => {
    const parsed = parseTarget(target);
    const responder = parsed.ok ? (generation.routesOf(site)?.find(parsed) ?? null) : null;
    return parsed.ok && responder !== null ? { parsed, responder } : null;
  };
  const findRecent = ({ origin, target }: Pick<RecentRequest, "origin" | "target">) =>
    findRoute(siteOf.find(origin), target);
  // A handler may have no timeout, but an internal request needs one.
  const timeoutOf = (responder: RouteResponder): number => {
    const { requestTimeoutMs } = responder.rulesOf("GET");
    return Math.min(requestTimeoutMs || bootTimeoutMs, bootTimeoutMs);
  };

  await warmUp({
    requests: [
      ...config.warmup.map((target) => ({ site: DEFAULT_SITE, origin: LOCAL_ORIGIN, target })),
      ...sites.flatMap(toWarmUp),
    ],
    stepsFor(request) {
      const { site, target } = request;
      const route = findRoute(site, target);
      if (route === null) {
        const ofSite = site === DEFAULT_SITE ? {} : { site };
        log.warn({ ...ofSite, path: target }, "no handler answers this path of the warm-up");
      }
      if (route === null || !isNew(route.responder.pool)) return [];
      const { parsed, responder } = route;
      const timeoutMs = timeoutOf(responder);
      return responder.pool.lanes.map((lane): WarmUpStep => ({
        workerId: lane.workerId,
        request,
        send: (client) => responder.answerInternal(client, parsed, { timeoutMs, lane }),
      }));
    },
    createClient: ({ origin, target }) =>
      new InternalClient({ id: nextId(), target, origin, userAgent: "Edgicorn (warm-up)" }),
    signal,
  });

  const warnings = await probe({
    requests: recent.filter((request) => {
      const route = findRecent(request);
      return route !== null && isNew(route.responder.pool);
    }),
    createClient: ({ target, origin }) =>
      new InternalClient({ id: nextId(), target, origin, userAgent: "Edgicorn (reload probe)" }),
    send(client) {
      const route = findRecent(client.head);
      if (route === null) throw new TypeError("the route was found a moment ago");
      const { parsed, responder } = route;
      // A refusal by a limit of a busy server would look like a failure of the handlers.
      responder.answerInternal(client, parsed, { timeoutMs: timeoutOf(responder), lane: null });
    },
    signal,
  });
  for (const warning of warnings) log.warn(warning);
}

/** Returns the warm-up of a site, at its first host. A host with `*` stands for any name. */
function toWarmUp({ name, hosts: [host], warmup }: SiteConfig): WarmUpRequest[] {
  const origin = host === undefined ? LOCAL_ORIGIN : `http://${host.replace("*", "any")}`;
  return warmup.map((target) => ({ site: name, origin, target }));
}
