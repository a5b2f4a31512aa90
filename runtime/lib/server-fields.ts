/** Fields about one connection, which no other one gets (RFC 9110 section 7.6.1). In lower case. */
export const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Fields of replies that only the server writes: framing, connection and time (RFC 9110 sections 6.6.1, 7.6.1; RFC 9112
 * section 6). In lower case.
 */
export const SERVER_FIELDS: ReadonlySet<string> = new Set([
  ...CONNECTION_FIELDS,
  "content-length",
  "date",
]);
