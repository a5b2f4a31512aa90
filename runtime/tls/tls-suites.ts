import type { Config } from "../config/config.ts";

/** TLS settings that hold for all certificates. */
export type TlsSettings = Pick<Config, "tlsCiphers" | "tlsMinVersion">;

/** Needs a key that both sides share, and here is none: with it alone no connection of TLS 1.2 comes about. */
const NO_SUITE = "ECDHE-PSK-CHACHA20-POLY1305";

/** The library's option for these settings. It has none for versions: to forbid TLS 1.2 is to leave it without a suite. */
export function toSuites({ tlsCiphers, tlsMinVersion }: TlsSettings): string {
  return tlsMinVersion === "1.3" ? NO_SUITE : tlsCiphers;
}
