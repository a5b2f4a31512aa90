import type { GroupStatus } from "../balance/group.ts";
import { Groups } from "../balance/groups.ts";
import { createResolveName } from "../balance/names/resolve-name.ts";
import { availableMemoryBytes } from "../config/available-memory.ts";
import type { Config } from "../config/config.ts";
import { listUpstreamGroups } from "../config/proxies.ts";
import type { ProxySetting } from "../config/proxy-setting.ts";
import type { UpstreamGroupSetting } from "../config/upstream-settings.ts";
import type { ForwardingKind } from "../http/forwarding.ts";
import type { Prepared } from "../lib/prepared.ts";
import { openUpstreamServer } from "../upstream/http1-server.ts";
import type { UpstreamTimeouts } from "../upstream/exchange.ts";
import { FailureLog } from "./failure-log.ts";
import { OpenRequests } from "./open-requests.ts";
import { type ProxyParts, ProxyResponder } from "./proxy-responder.ts";
import { ProxyRuleBook, type ProxySettings } from "./proxy-rules.ts";
import { ReplyFieldMaker } from "./reply-fields.ts";
import { RequestFields } from "./request-fields.ts";
import { RetryBudget } from "./retry-budget.ts";
import { WaitingBytes, WAITING_SHARE } from "../lib/waiting-bytes.ts";
import { LazyFrames } from "../http/web-socket-frames.ts";

export type ProxiesOptions = Omit<ProxyParts, "failures" | "open" | "frames" | "waiting">;

/** The settings of a site that its proxies use. */
export type ProxySite = ProxySettings & Pick<Config, "trustedProxyFields">;

/** Creates the responders of all proxies. Its groups of upstream servers outlive the responders of one config. */
export class Proxies {
  readonly #groups: Groups;
  readonly #parts: ProxyParts;
  /** By group. */
  readonly #budgets = new Map<string, RetryBudget>();

  constructor(parts: ProxiesOptions) {
    this.#groups = new Groups({
      log: parts.log,
      open: openUpstreamServer,
      resolve: createResolveName(),
      now: () => performance.now(),
    });
    this.#parts = {
      ...parts,
      failures: new FailureLog(parts.log),
      open: new OpenRequests(),
      frames: new LazyFrames(),
      waiting: new WaitingBytes(availableMemoryBytes() * WAITING_SHARE),
    };
  }

  /** Prepares the groups of upstream servers of the next config; `null`: they do not change. */
  prepare(config: Config): Promise<Prepared | null> {
    const { drainGraceMs } = config;
    return this.#groups.prepare({ upstreams: listUpstreamGroups(config), drainGraceMs });
  }

  /**
   * Returns a function that creates the responders of one site, one for each proxy. The groups of the config must be
   * committed already.
   */
  forSite(site: ProxySite): (setting: ProxySetting) => ProxyResponder {
    const rules = new ProxyRuleBook(site);
    const known = new Map<ProxySetting, ProxyResponder>();
    return (setting) => {
      let responder = known.get(setting);
      if (responder === undefined) {
        responder = this.#create(setting, { rules, kind: site.trustedProxyFields });
        known.set(setting, responder);
      }
      return responder;
    };
  }

  /** The groups of upstream servers, for the status page. */
  status(): GroupStatus[] {
    return this.#groups.status();
  }

  /** Resolves when no request is at an upstream server, or waits for one. */
  idle(): Promise<void> {
    return this.#parts.open.idle();
  }

  /** Ends all requests and all connections at once. */
  destroy(): void {
    this.#groups.destroy();
  }

  #create(
    setting: ProxySetting,
    { rules, kind }: { rules: ProxyRuleBook; kind: ForwardingKind },
  ): ProxyResponder {
    const group = this.#groups.find(setting.group);
    if (group === undefined) throw new TypeError(`no group ${setting.group}`);
    const path = { strip: setting.stripPrefix, add: setting.addPrefix };
    const { cookieDomains, cookiePaths, rewriteLocation, clientFields } = setting;
    return new ProxyResponder({
      parts: this.#parts,
      group,
      budget: this.#budgetOf(setting.group),
      rules,
      path,
      requestFields: new RequestFields({
        kind: clientFields === "auto" ? kind : clientFields === "off" ? null : clientFields,
        prefix: path.strip,
        set: setting.setRequestFields,
        removed: setting.removeRequestFields,
      }),
      replyFields: new ReplyFieldMaker({
        keepsServer: setting.keepServer,
        location: rewriteLocation === null ? null : { path, replacements: rewriteLocation },
        cookies:
          cookieDomains.length + cookiePaths.length === 0
            ? null
            : { domains: new Map(cookieDomains), paths: cookiePaths },
      }),
      host: setting.host,
      retries: setting.retries,
      timeouts: toTimeouts(setting, group.setting),
    });
  }

  #budgetOf(group: string): RetryBudget {
    let budget = this.#budgets.get(group);
    if (budget === undefined) {
      budget = new RetryBudget();
      this.#budgets.set(group, budget);
    }
    return budget;
  }
}

/** Returns the timeouts of a proxy; `null`: it has none of its own. */
function toTimeouts(
  { connectTimeoutMs, firstByteTimeoutMs, idleTimeoutMs }: ProxySetting,
  group: UpstreamGroupSetting,
): UpstreamTimeouts | null {
  if ((connectTimeoutMs ?? firstByteTimeoutMs ?? idleTimeoutMs) === null) return null;
  return {
    connectMs: connectTimeoutMs ?? group.connectTimeoutMs,
    firstByteMs: firstByteTimeoutMs ?? group.firstByteTimeoutMs,
    idleMs: idleTimeoutMs ?? group.idleTimeoutMs,
  };
}
