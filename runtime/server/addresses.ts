import type { Config } from "../config/config.ts";
import type { ListenerInfo } from "../control/operations.ts";
import type { Primary } from "../primary.ts";
import type { PassedSocket, SharedPort } from "./takeover.ts";

/** Returns the ports on which a server listens, as plain data. */
export function toListeners({ listeners }: Primary): ListenerInfo[] {
  return listeners.map(({ scheme, port }) => ({ scheme, port }));
}

/** Returns the same with the descriptors that a successor may inherit. They have a meaning in this process only. */
export function toSharedPorts({ listeners }: Primary): SharedPort[] {
  return listeners.map(({ scheme, port, descriptor }) => ({
    scheme,
    port,
    ...(descriptor === null ? {} : { descriptor }),
  }));
}

/** Returns the sockets that listen, for a process that does not inherit them. */
export function toPassedSockets({ listeners }: Primary): PassedSocket[] {
  return listeners.flatMap(({ scheme, port, handle }) =>
    handle === null ? [] : [{ scheme, port, handle }],
  );
}

/** Returns the addresses for a browser: the configured host, or `localhost`. */
export function toAddresses({ listeners, config }: Primary): string[] {
  return listeners.map(({ scheme, port }) => `${scheme}://${toHostName(config)}:${port}`);
}

function toHostName({ host }: Config): string {
  if (host === null || host === "0.0.0.0" || host === "::") return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}
