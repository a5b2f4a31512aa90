import type { Directive } from "./parse-nginx.ts";

/** Formats of access lines by their names; `null`: one has variables that this server lacks. */
export type LogFormats = ReadonlyMap<string, string | null>;

/** Nginx's usual format, which this server has under a name. */
export const FORMATS = {
  combined:
    '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"',
};

const VARIABLES =
  /^(?:remote_addr|remote_user|time_local|time_iso8601|msec|request|request_method|request_uri|uri|args|server_protocol|scheme|host|status|body_bytes_sent|request_time|request_id|upstream_addr|upstream_status|upstream_header_time|upstream_cache_status|pid|http_\w+)$/;

/** Variables with another name here, which mean nearly the same. */
const OTHER_NAMES: Readonly<Record<string, string>> = {
  query_string: "args",
  http_host: "host",
  server_name: "host",
  bytes_sent: "body_bytes_sent",
  upstream_response_time: "upstream_header_time",
  upstream_connect_time: "upstream_header_time",
  realip_remote_addr: "remote_addr",
  document_uri: "uri",
};

/** Reads all `log_format` lines. */
export function readLogFormats(directives: readonly Directive[]): LogFormats {
  const formats = new Map<string, string | null>();
  for (const { name, args } of directives) {
    if (name !== "log_format") continue;
    const [format = "", ...texts] = args;
    formats.set(format, toFormat(texts.filter((text) => !text.startsWith("escape=")).join("")));
  }
  return formats;
}

function toFormat(text: string): string | null {
  let isKnown = true;
  const format = text.replaceAll(/\$\{?(\w+)\}?/g, (_, name: string) => {
    const own = OTHER_NAMES[name] ?? name;
    isKnown &&= VARIABLES.test(own);
    return `$${own}`;
  });
  return isKnown && !/[\r\n]/.test(format) ? format : null;
}
