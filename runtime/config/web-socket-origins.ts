import type { Parsed, SettingType } from "./setting-types.ts";

/** Origins whose pages may open a WebSocket: that of the server, any, or the listed ones. */
export type AllowedOrigins = "same" | "any" | readonly string[];

const EXPECTED =
  '"same" (pages of the host itself), "any", or origins such as "https://example.com"';

/** Origins whose pages may open WebSockets: a word, or a list, also as one text with commas. */
export function webSocketOrigins(): SettingType<string | readonly string[], AllowedOrigins> {
  return {
    placeholder: "same|any|LIST",
    expected: EXPECTED,
    parse: parseOrigins,
    inHandler: { expected: EXPECTED, parse: parseOrigins },
  };
}

function parseOrigins(value: unknown): Parsed<AllowedOrigins> {
  if (value === "same" || value === "any") return { value };
  const entries: unknown = typeof value === "string" ? value.split(",") : value;
  if (!Array.isArray(entries) || entries.length === 0) return null;
  const origins = entries.map(toOrigin);
  return origins.every((origin) => origin !== null) ? { value: Object.freeze(origins) } : null;
}

function toOrigin(entry: unknown): string | null {
  if (typeof entry !== "string" || !/^https?:\/\/[^/?#@*\s]+\/?$/i.test(entry.trim())) return null;
  try {
    return new URL(entry.trim()).origin;
  } catch {
    return null;
  }
}
