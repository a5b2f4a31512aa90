import type { Buffering } from "../bodies/buffering.ts";
import type { RouteSettings } from "../config/handler-settings.ts";
import type { TransferLimits } from "../http/client.ts";

/** The settings of a site that hold for the bodies of its proxied requests. */
export interface ProxySettings extends RouteSettings {
  readonly responseBufferBytes: number;
}

/** The rules for the bodies of a proxied request. */
export interface ProxyRules {
  readonly bodyLimitBytes: number;
  readonly buffering: Buffering;
  /** How much of a response waits for its client before the upstream is paused. */
  readonly bufferBytes: number;
  /** `null`: those of the site. */
  readonly transfer: TransferLimits | null;
}

const TRANSFER_FIELDS: readonly (keyof TransferLimits)[] = [
  "bodyTimeoutMs",
  "minBodyRateBytesPerSecond",
  "sendTimeoutMs",
];

/** The rules of one proxy, and those with the settings of rules. Each is made once. */
export class ProxyRuleBook {
  readonly #settings: ProxySettings;
  readonly #usual: ProxyRules;
  readonly #merged = new WeakMap<Partial<RouteSettings>, ProxyRules>();

  constructor(settings: ProxySettings) {
    this.#settings = settings;
    this.#usual = toRules(settings, false);
  }

  /** @param own Settings of the rules that hold for the request; absent for nearly all requests. */
  of(own: Partial<RouteSettings> | undefined): ProxyRules {
    if (own === undefined) return this.#usual;
    const known = this.#merged.get(own);
    if (known !== undefined) return known;
    const isOwn = TRANSFER_FIELDS.some((field) => field in own);
    const merged = toRules({ ...this.#settings, ...own }, isOwn);
    this.#merged.set(own, merged);
    return merged;
  }
}

function toRules(settings: ProxySettings, hasOwnTransfer: boolean): ProxyRules {
  const { bodyBufferBytes, bodyOverflow, responseOverflow } = settings;
  const { bodyTimeoutMs, minBodyRateBytesPerSecond, sendTimeoutMs } = settings;
  return {
    bodyLimitBytes: settings.bodyLimitBytes,
    buffering: { bodyBufferBytes, bodyOverflow, responseOverflow },
    bufferBytes: settings.responseBufferBytes,
    transfer: hasOwnTransfer ? { bodyTimeoutMs, minBodyRateBytesPerSecond, sendTimeoutMs } : null,
  };
}
