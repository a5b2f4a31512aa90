/**
 * Reasons why a request is refused or cut off. Each is named after its setting, except three. `malformed`: a head or
 * target that is not valid HTTP. `bodyRoom`: bodies fill the memory that they may use, or all of `spoolLimit`.
 * `bodyDisk`: the disk is full or fails.
 */
export const LIMIT_NAMES = [
  "malformed",
  "maxConnections",
  "maxRequests",
  "maxRequestsPerAddress",
  "rateLimit",
  "concurrencyLimit",
  "headerLimit",
  "headerCountLimit",
  "urlLimit",
  "bodyLimit",
  "bodyRoom",
  "bodyDisk",
  "queueLimit",
  "queueDelay",
  "queueTimeout",
  "requestTimeout",
  "quarantine",
  "bodyTimeout",
  "minBodyRate",
  "sendTimeout",
  "drainGrace",
  "connectTimeout",
  "firstByteTimeout",
  "idleTimeout",
  "maxWebSockets",
  "webSocketMessageLimit",
  "webSocketBuffer",
] as const;

export type LimitName = (typeof LIMIT_NAMES)[number];
