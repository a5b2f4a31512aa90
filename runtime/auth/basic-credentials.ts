/** User name and password of a request. */
export interface BasicCredentials {
  user: string;
  password: string;
}

const BASIC = /^basic +([+/0-9A-Za-z]+={0,2})$/i;

// oxlint-disable-next-line no-control-regex -- Finds them.
const CONTROL = /[\0-\x1f\x7f]/;

/**
 * Parses the value of an `Authorization` field (RFC 7617 section 2) as UTF-8. Returns `null` for another scheme and for
 * malformed credentials: base64 with other characters, no colon, control characters.
 */
export function parseBasicCredentials(value: string): BasicCredentials | null {
  const [, encoded] = BASIC.exec(value) ?? [];
  if (encoded === undefined) return null;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon === -1 || CONTROL.test(text)) return null;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
