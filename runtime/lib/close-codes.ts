/**
 * Tells whether a close frame may have this code (RFC 6455 section 7.4): 1004 to 1006 and 1015 never travel, and codes
 * above 1014 are not registered before 3000.
 */
export function isSendableCloseCode(code: number): boolean {
  if (!Number.isInteger(code)) return false;
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
}

/** Close codes that describe a fault of the protocol or of the client. Only an implementation sends them. */
const OF_IMPLEMENTATIONS: ReadonlySet<number> = new Set([1002, 1003, 1010]);

/** Tells whether an application may close a WebSocket with this code. */
export function isOwnCloseCode(code: number): boolean {
  return isSendableCloseCode(code) && !OF_IMPLEMENTATIONS.has(code);
}
