import type { Config } from "../config/config.ts";

/** TLS settings that hold for all certificates. */
export type TlsSettings = Pick<Config, "tlsCiphers" | "tlsMinVersion">;

/** A suite for a key that both sides share. Edgicorn has none: with this suite alone no TLS 1.2 connection succeeds. */
const NO_SUITE = "ECDHE-PSK-CHACHA20-POLY1305";

/**
 * Returns the cipher suites for uWebSockets.js. It has no option for versions: TLS 1.2 is forbidden by leaving it without
 * a suite that works.
 */
export function toSuites({ tlsCiphers, tlsMinVersion }: TlsSettings): string {
  return tlsMinVersion === "1.3" ? NO_SUITE : tlsCiphers;
}
