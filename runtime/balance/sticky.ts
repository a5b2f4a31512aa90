import { createHmac } from "node:crypto";
import type { StickySetting } from "../config/upstream-settings.ts";

/** Key of the hash where the config has none. */
const USUAL_KEY = "edgicorn upstream";

/** Length of a name, in characters of 6 bits: no two servers of a group have the same. */
const LENGTH = 16;

/**
 * Returns the name of a server in a cookie. It does not tell the address. With a secret, clients cannot even test whether a
 * server has an address that they guess.
 */
export function toStickyName(address: string, { secret }: Pick<StickySetting, "secret">): string {
  const hash = createHmac("sha256", secret ?? USUAL_KEY).update(address);
  return hash.digest("base64url").slice(0, LENGTH);
}

/**
 * Returns the value of the field `set-cookie` for a server's name.
 *
 * @param options.isSecure The client's connection is encrypted: the browser sends the cookie over such connections only.
 */
export function formatStickyCookie(
  name: string,
  { cookie, maxAgeSeconds }: StickySetting,
  { isSecure }: { isSecure: boolean },
): string {
  const age = maxAgeSeconds === null ? "" : `; Max-Age=${maxAgeSeconds}`;
  return `${cookie}=${name}; Path=/${age}; HttpOnly; SameSite=Lax${isSecure ? "; Secure" : ""}`;
}
