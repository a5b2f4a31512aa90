import type { SettingType } from "./setting-types.ts";

const EXPECTED =
  'a URL such as "http://127.0.0.1:4318", without user, password and query (OTEL_EXPORTER_OTLP_HEADERS has keys)';

/** The address of an OpenTelemetry collector. Its value is the URL for traces. */
export function otlpEndpoint(): SettingType<string, string> {
  return {
    placeholder: "URL",
    expected: EXPECTED,
    parse: (value) => {
      const url = typeof value === "string" && URL.canParse(value) ? new URL(value) : null;
      if (url === null || !/^https?:$/.test(url.protocol)) return null;
      if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
        return null;
      }
      // As OTEL_EXPORTER_OTLP_ENDPOINT: a base gets the path of traces.
      const path = url.pathname.replace(/\/$/, "");
      if (!path.endsWith("/v1/traces")) url.pathname = `${path}/v1/traces`;
      return { value: url.href };
    },
    inHandler: null,
  };
}
