import type { RouteLimits, RouteReport } from "../channel/messages.ts";

/** What happens with bodies that are larger than memory shall hold. */
export interface Buffering {
  /** A request body up to this size is gathered in memory before a worker is involved. */
  readonly bodyBufferBytes: number;
  /** A larger one goes to a worker while it comes, or to disk until it is complete. */
  readonly bodyOverflow: "stream" | "spool";
  /** A response that is ahead of its client holds its worker back, or goes to disk. */
  readonly responseOverflow: "wait" | "spool";
}

export interface BufferedLimits extends RouteLimits {
  readonly buffering: Buffering;
}

export interface BufferedReport extends RouteReport {
  limits: BufferedLimits;
  methodLimits: Record<string, BufferedLimits>;
}

/** A route's report, with what its limits come to where they leave something to the server. Once, not per request. */
export function toBuffered(report: RouteReport, site: Buffering): BufferedReport {
  const methods = Object.entries(report.methodLimits);
  return {
    ...report,
    limits: resolve(report.limits, site),
    methodLimits: Object.fromEntries(methods.map(([name, own]) => [name, resolve(own, site)])),
  };
}

function resolve(own: RouteLimits, site: Buffering): BufferedLimits {
  const buffering = {
    bodyBufferBytes: own.bodyBufferBytes ?? site.bodyBufferBytes,
    bodyOverflow: own.overflow ?? site.bodyOverflow,
    responseOverflow: own.responseOverflow ?? site.responseOverflow,
  };
  return { ...own, buffering };
}
