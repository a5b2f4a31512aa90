import type { Group, Wish } from "../balance/group.ts";
import type { HashKeySetting } from "../config/upstream-settings.ts";
import type { RequestHead } from "../http/client.ts";
import { findCookie } from "../http/find-cookie.ts";
import { findField } from "../http/find-field.ts";
import type { UpstreamServer } from "../upstream/exchange.ts";

/** Returns the facts about a request by which a group chooses its server. */
export function toWish(
  head: Pick<RequestHead, "fields" | "target" | "clientAddress">,
  { balance, sticky }: Pick<Group["setting"], "balance" | "sticky">,
  { tried, mayRepeat }: { tried: readonly UpstreamServer[]; mayRepeat: boolean },
): Wish {
  const key = balance.kind === "hash" ? toKey(head, balance.key) : null;
  const cookie = sticky === null ? null : (findCookie(head.fields, sticky.cookie) ?? null);
  return { key, cookie, tried, mayRepeat };
}

/** Returns the value to hash. A request without the field or cookie counts by its address. */
function toKey(
  { fields, target, clientAddress }: Pick<RequestHead, "fields" | "target" | "clientAddress">,
  key: HashKeySetting,
): string {
  if (key === "address") return clientAddress;
  if (key === "path") return target.split("?", 1)[0] ?? target;
  const value = "header" in key ? findField(fields, key.header) : findCookie(fields, key.cookie);
  return value ?? clientAddress;
}
