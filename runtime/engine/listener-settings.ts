import type { Config } from "../config/config.ts";
import { toTrust } from "../http/trusted-proxies.ts";
import { hasAccessLog } from "../observe/site-access.ts";
import type { Http2Options, Listener, ListenerChanges } from "./engine.ts";

/** Returns the options of listeners that follow from the config. A reload may change them. */
export function toListenerSettings(config: Config): Required<ListenerChanges> {
  const { maxConnections } = config;
  const countsBytes = hasAccessLog(config) || config.admin !== null;
  return {
    maxConnections,
    limits: config,
    timeouts: config,
    countsBytes,
    trust: toTrust(config),
  };
}

/** Returns the options of HTTP/2 for each scheme; `null`: only HTTP/1. */
export function toHttp2Options({
  http2,
  h2c,
  maxConcurrentStreams,
}: Pick<Config, "http2" | "h2c" | "maxConcurrentStreams">): Record<
  Listener["scheme"],
  Http2Options | null
> {
  const options = { maxConcurrentStreams };
  return { http: h2c ? options : null, https: http2 ? options : null };
}
