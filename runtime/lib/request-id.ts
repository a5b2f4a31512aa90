/** Field in which a trusted proxy names a request. The primary passes on a valid one of a trusted proxy, and no other. */
export const REQUEST_ID_FIELD = "x-request-id";

/** Returns the server's own id of a request. */
export function toRequestId(prefix: string, exchangeId: number): string {
  return prefix + exchangeId.toString(36);
}

/** Returns the request id that a trusted proxy gave, from a field block (see `channel/messages.ts`); `null`: it gave none. */
export function findGivenRequestId(fields: string): string | null {
  if (!fields.includes(REQUEST_ID_FIELD)) return null;
  const parts = fields.split("\n");
  const at = parts.findIndex((part, index) => index % 2 === 0 && part === REQUEST_ID_FIELD);
  return at === -1 ? null : (parts[at + 1] ?? null);
}
