import type { Config } from "../config/config.ts";
import { toTrust } from "../http/trusted-proxies.ts";
import { hasAccessLog } from "../observe/site-access.ts";
import type { ListenerChanges } from "./engine.ts";

/** Returns the options of listeners that follow from the config. A reload may change them. */
export function toListenerSettings(config: Config): Required<ListenerChanges> {
  const { maxConnections } = config;
  const countsBytes = hasAccessLog(config);
  return {
    maxConnections,
    limits: config,
    timeouts: config,
    countsBytes,
    trust: toTrust(config),
  };
}
