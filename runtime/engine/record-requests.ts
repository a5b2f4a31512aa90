import type { RequestLog } from "../observe/request-log.ts";
import type { ListenerOptions } from "./engine.ts";
import { ProxyNotes } from "./proxy-notes.ts";

type Records = Required<
  Pick<
    ListenerOptions,
    | "counters"
    | "onFinished"
    | "onCut"
    | "onLimited"
    | "onConnectionRefused"
    | "onHeadRefused"
    | "onNewField"
    | "onForwardingDropped"
    | "onError"
  >
>;

interface ListenerLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/**
 * Returns the callbacks of listeners that record requests, refusals and mistakes in the configuration of proxies.
 *
 * @param options.maxConnections Returns the present setting.
 */
export function recordRequests(
  requestLog: RequestLog,
  { log, maxConnections }: { log: ListenerLog; maxConnections: () => number },
): Records {
  const proxyNotes = new ProxyNotes((fields, message) => log.warn(fields, message));
  return {
    counters: requestLog.counters,
    onFinished: (client, status, bytes) => requestLog.finished(client, status, bytes),
    onCut: (client, setting, value) => requestLog.cut(client, { setting, value }),
    onLimited: (client, setting) => requestLog.limited(client, setting),
    onConnectionRefused: () => requestLog.connectionRefused(maxConnections()),
    onHeadRefused: (refused) => requestLog.headRefused(refused),
    onNewField: (name) => proxyNotes.sawField(name),
    onForwardingDropped: (field, peer) => proxyNotes.dropped(field, peer),
    onError: (error) => log.error({ err: error }, "request failed in the primary"),
  };
}
