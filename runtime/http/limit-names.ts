/**
 * Reasons for which a request is refused or cut off, each named after its setting. Three are no settings: `malformed`
 * is a head or target that is not HTTP. `bodyRoom` means that bodies fill the memory for them, or all of `spoolLimit`.
 * `bodyDisk` is a full or failing disk.
 */
export const LIMIT_NAMES = [
  "malformed",
  "maxConnections",
  "maxRequests",
  "maxRequestsPerAddress",
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
] as const;

export type LimitName = (typeof LIMIT_NAMES)[number];
