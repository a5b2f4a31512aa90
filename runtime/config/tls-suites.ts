/**
 * The suites of TLS 1.2 that have forward secrecy and an authenticated cipher. Left to itself, uWebSockets.js offers 3DES and
 * static RSA as well. The suites of TLS 1.3 are fixed, and all good.
 */
export const MODERN_SUITES = "ECDHE+AESGCM:ECDHE+CHACHA20";

/** Says why a list of suites cannot be used; `null`: it can, as far as OpenSSL knows. */
export async function findSuitesProblem(suites: string): Promise<string | null> {
  if (suites === MODERN_SUITES) return null;
  // To Node a suite of TLS 1.3 makes a list valid, to uWebSockets.js it is none.
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
