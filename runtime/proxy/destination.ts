import { createHash } from "node:crypto";
import type { ProxySetting } from "../config/proxy-setting.ts";

/**
 * Returns a short name of the upstream servers of a proxy and of the changes that it makes to requests and responses.
 * Two proxies with one name give the same answer to a request. The name is a hash: settings may have secrets.
 */
export function toDestination(setting: ProxySetting): string {
  const { group, stripPrefix, addPrefix, host, clientFields, keepServer } = setting;
  const { setRequestFields, removeRequestFields, rewriteLocation } = setting;
  const facts = [
    [group, stripPrefix, addPrefix, host, clientFields, keepServer],
    [setRequestFields, removeRequestFields, rewriteLocation],
  ];
  return createHash("sha256").update(JSON.stringify(facts)).digest("base64url").slice(0, 16);
}
