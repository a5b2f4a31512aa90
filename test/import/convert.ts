import { importNginx } from "../../runtime/cli/import/import-nginx.ts";
import { parseNginx } from "../../runtime/cli/import/parse-nginx.ts";
import { type Remark, Report } from "../../runtime/cli/import/report.ts";

export interface Converted {
  config: Record<string, unknown>;
  remarks: Remark[];
}

/** Imports the text of a config file of Nginx. Returns plain data. */
export function convert(text: string, gunicornBinds: readonly string[] = []): Converted {
  const report = new Report();
  const section = importNginx(parseNginx(text, "nginx.conf"), { report, gunicornBinds });
  // JSON has the same members.
  const config = JSON.parse(JSON.stringify(section)) as Record<string, unknown>;
  return { config, remarks: report.remarks };
}

/** Imports the lines of one `server` that listens on port 80. Returns what it adds to ports and folders. */
export function convertServer(lines: string): Converted {
  const { config, remarks } = convert(`server { listen 80; ${lines} }`);
  const { http: _http, https: _https, public: folder, ...rest } = config;
  return {
    config: folder === false || folder === undefined ? rest : { public: folder, ...rest },
    remarks,
  };
}
