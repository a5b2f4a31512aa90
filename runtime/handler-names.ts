import type { HandlerConfig } from "./api.ts";
import type { SettingName } from "./config/settings.ts";

/** What a handler's own `config` calls settings that it may have for itself; the others have the same name in both. */
export const HANDLER_NAMES = [
  ["requestTimeout", "timeoutMs"],
  ["bodyLimit", "bodyLimitBytes"],
  ["bodyBuffer", "bodyBufferBytes"],
  ["bodyOverflow", "overflow"],
  ["bodyTimeout", "bodyTimeoutMs"],
  ["minBodyRate", "minBodyRateBytesPerSecond"],
  ["sendTimeout", "sendTimeoutMs"],
] as const satisfies [SettingName, keyof HandlerConfig][];
