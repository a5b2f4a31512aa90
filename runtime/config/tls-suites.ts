/**
 * The suites of TLS 1.2 that have forward secrecy and an authenticated cipher. By default, uWebSockets.js offers 3DES and
 * static RSA as well. The suites of TLS 1.3 are fixed, and all of them are good.
 */
export const MODERN_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20";

/** Returns why a list of suites cannot be used; `null`: OpenSSL accepts it. */
export async function findSuitesProblem(suites: string): Promise<string | null> {
  if (suites === MODERN_SUITES) return null;
  // Node accepts a list with a suite of TLS 1.3, uWebSockets.js does not.
  const named = suites.split(/[:, ]/).find((name) => name.startsWith("TLS_"));
  if (named !== undefined) return `${named} is a suite of TLS 1.3, which are always offered`;
  const { createSecureContext } = await import("node:tls");
  try {
    createSecureContext({ ciphers: suites });
    return null;
  } catch {
    return "OpenSSL knows no such suite";
  }
}
