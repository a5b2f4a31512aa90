/** Reasons of the codes that a connection to an upstream may end with. */
const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "the upstream refused the connection",
  ECONNRESET: "the upstream reset the connection",
  EPIPE: "the upstream closed the connection",
  ETIMEDOUT: "the upstream did not acknowledge the bytes that were sent",
  EHOSTUNREACH: "the upstream's host is unreachable",
  ENETUNREACH: "the upstream's network is unreachable",
  EADDRNOTAVAIL: "no local address or port is free for a connection to the upstream",
  EMFILE: "this process has too many open files for a connection to the upstream",
  ENFILE: "the system has too many open files for a connection to the upstream",
  ENOENT: "the upstream's socket file does not exist",
  ENOTSOCK: "the upstream's socket file is not a socket",
  EACCES: "the permissions of the upstream's socket file forbid a connection",
  EAGAIN: "the upstream's queue of new connections is full",
  ENOTFOUND: "the upstream's name does not exist",
  EAI_AGAIN: "the upstream's name could not be resolved",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the upstream's certificate is signed by itself",
  SELF_SIGNED_CERT_IN_CHAIN: "the upstream's certificate is from an authority that is not trusted",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "the upstream's certificate is from an authority that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "the upstream's certificate is from an authority that is not trusted",
  CERT_HAS_EXPIRED: "the upstream's certificate has expired",
  CERT_NOT_YET_VALID: "the upstream's certificate is not valid yet",
  ERR_TLS_CERT_ALTNAME_INVALID: "the upstream's certificate has another name",
};

/** Reason within a message of OpenSSL: `...:SSL routines:FUNCTION:REASON:FILE:LINE`. */
const OPENSSL_REASON = /:SSL routines:[^:]*:([^:]+):/;

/** Reasons of OpenSSL for bytes that are no record of TLS. */
const NO_RECORD = new Set(["wrong version number", "packet length too long", "http request"]);

/** Returns the reason of a failed connection for the log, with its code. */
export function toReason(error: Error): string {
  const code = codeOf(error);
  if (code === null) return `the connection to the upstream failed: ${error.message}`;
  const refused = OPENSSL_REASON.exec(error.message)?.[1];
  if (refused !== undefined) {
    const isPlain = NO_RECORD.has(refused);
    return `${isPlain ? "the upstream does not speak TLS" : "TLS with the upstream failed"}: ${refused} (${code})`;
  }
  const reason = REASONS[code];
  return reason === undefined
    ? `the connection to the upstream failed: ${error.message} (${code})`
    : `${reason} (${code})`;
}

/** Returns the code of an error of the system or of TLS; `null`: it has none. */
export function codeOf(error: Error): string | null {
  return "code" in error && typeof error.code === "string" ? error.code : null;
}
