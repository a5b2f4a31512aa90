import { pickNearest } from "../lib/nearest.ts";
import type { Config } from "./config.ts";
import type { ProxySetting } from "./proxy-setting.ts";
import type { RuleSetting } from "./rule-settings.ts";
import { DEFAULT_SITE } from "./sites.ts";
import { readUpstreamGroup, type UpstreamGroupSetting } from "./upstream-settings.ts";

/** A proxy and its place in the config: `rules[3].proxy`. */
export interface PlacedProxy {
  key: string;
  proxy: ProxySetting;
}

type ProxyConfig = Pick<Config, "proxy" | "rules" | "sites" | "upstreams" | "spa">;

/** Returns all proxies of a config: those of the server, of sites and of rules. */
export function listProxies(config: Pick<ProxyConfig, "proxy" | "rules" | "sites">): PlacedProxy[] {
  return [
    ...(config.proxy === null ? [] : [{ key: "proxy", proxy: config.proxy }]),
    ...ofRules(config.rules),
    ...config.sites.flatMap(({ name, own: { proxy }, rules }) => [
      ...(proxy == null ? [] : [{ key: `sites[${JSON.stringify(name)}].proxy`, proxy }]),
      ...ofRules(rules),
    ]),
  ];
}

function ofRules(rules: readonly RuleSetting[]): PlacedProxy[] {
  return rules.flatMap(({ key, proxy }) =>
    proxy === undefined ? [] : [{ key: `${key}.proxy`, proxy }],
  );
}

/** Returns the groups of upstream servers that proxies use: those of `upstreams`, and one for each single server. */
export function listUpstreamGroups(config: ProxyConfig): UpstreamGroupSetting[] {
  const groups = new Map(config.upstreams.map((group) => [group.name, group]));
  for (const { proxy } of listProxies(config)) {
    if (proxy.address === null || groups.has(proxy.group)) continue;
    groups.set(proxy.group, toGroup(proxy.group));
  }
  return [...groups.values()];
}

/** Returns the group of one server, with the settings of a group that has no others. */
function toGroup(address: string): UpstreamGroupSetting {
  return readUpstreamGroup(address, [address], {
    key: "proxy",
    folder: "/",
    refuse: (_, __, expected) => {
      throw new TypeError(`no address: ${address}, expected ${expected}`);
    },
  });
}

/** Returns a problem for each proxy whose group is missing, and for settings that a proxy leaves without effect. */
export function findProxyProblems(
  config: ProxyConfig,
  labels: { proxy: string; spa: string },
): string[] {
  const names = config.upstreams.map(({ name }) => name);
  const missing = listProxies(config).flatMap(({ key, proxy: { group, address } }) => {
    if (address !== null || names.includes(group)) return [];
    const nearest = pickNearest(group, names);
    const expected =
      nearest !== null
        ? `"${nearest}"`
        : names.length > 0
          ? `a URL, or one of ${names.join(", ")}`
          : 'a URL such as "http://127.0.0.1:3000", or a group of this name in "upstreams"';
    const label = key === "proxy" ? labels.proxy : key;
    return [`Cannot use ${label}: found ${JSON.stringify(group)}, expected ${expected}`];
  });
  return [...missing, ...findHiddenPages(config, labels)];
}

/** A proxy answers every path, so that the page of an application would never be shown. */
function findHiddenPages(config: ProxyConfig, labels: { spa: string }): string[] {
  const expected = 'a rule such as { path: "/api/**", proxy: ... } in its place, or no page';
  const found = `found a page, and a proxy that answers all paths without a file, expected ${expected}`;
  const hidden = config.sites.flatMap(({ name, own }) => {
    const proxy =
      own.proxy ?? (name === DEFAULT_SITE && own.proxy === undefined ? config.proxy : null);
    const isHidden = proxy !== null && own.spa != null;
    return isHidden ? [`Cannot use sites[${JSON.stringify(name)}].spa: ${found}`] : [];
  });
  const isHidden = config.proxy !== null && config.spa !== null;
  return isHidden ? [`Cannot use ${labels.spa}: ${found}`, ...hidden] : hidden;
}
