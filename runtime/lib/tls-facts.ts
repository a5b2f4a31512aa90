/** Version and cipher of a TLS connection, in the words of Workers. */
export interface TlsFacts {
  readonly version: string;
  /** `undefined`: a suite that the table does not have. */
  readonly cipher: string | undefined;
}

/** Suites of TLS 1.3 in the words of OpenSSL and of Workers. */
const SUITES_OF_1_3 = [
  ["TLS_AES_128_GCM_SHA256", "AEAD-AES128-GCM-SHA256"],
  ["TLS_AES_256_GCM_SHA384", "AEAD-AES256-GCM-SHA384"],
  ["TLS_CHACHA20_POLY1305_SHA256", "AEAD-CHACHA20-POLY1305-SHA256"],
] as const;

/** Suites of TLS 1.2, which have the same name in OpenSSL and in Workers. */
const SUITES_OF_1_2 = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
  "ECDHE-ECDSA-AES128-SHA256",
  "ECDHE-RSA-AES128-SHA256",
  "ECDHE-ECDSA-AES256-SHA384",
  "ECDHE-RSA-AES256-SHA384",
  "ECDHE-ECDSA-AES128-SHA",
  "ECDHE-RSA-AES128-SHA",
  "ECDHE-ECDSA-AES256-SHA",
  "ECDHE-RSA-AES256-SHA",
  "AES128-GCM-SHA256",
  "AES256-GCM-SHA384",
] as const;

/**
 * All facts that a request can tell. Their place is the number that travels with a request: one byte, where the names would
 * be thirty. Place 0 stands for a connection of which the server knows nothing.
 */
const FACTS: readonly (TlsFacts | null)[] = [
  null,
  { version: "TLSv1.2", cipher: undefined },
  { version: "TLSv1.3", cipher: undefined },
  ...SUITES_OF_1_3.map(([, cipher]) => ({ version: "TLSv1.3", cipher })),
  ...SUITES_OF_1_2.map((cipher) => ({ version: "TLSv1.2", cipher })),
];

/** Returns the number of a connection's facts; 0: the version is none of the table. */
export function toTlsNumber(version: string | null, suite: string): number {
  const cipher = SUITES_OF_1_3.find(([name]) => name === suite)?.[1] ?? suite;
  const exact = FACTS.findIndex((each) => each?.version === version && each?.cipher === cipher);
  if (exact !== -1) return exact;
  return Math.max(
    0,
    FACTS.findIndex((each) => each?.version === version),
  );
}

/** Returns the facts of a number; `null`: it stands for none. */
export function fromTlsNumber(number: number): TlsFacts | null {
  return FACTS[number] ?? null;
}
