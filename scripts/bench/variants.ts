import { join } from "node:path";
import type { RunSetting } from "./setting.ts";

/** This project with other settings than in the row `edgicorn`: the rows show the cost of these settings. */
export interface Variant {
  readonly title: string;
  /** Flags that replace those of the row `edgicorn`. */
  readonly flags?: Readonly<Record<string, string>>;
  /** Name of a config file in `peers/edgicorn/configs/`. */
  readonly config?: string;
  /** Name of a folder of handlers in `peers/edgicorn/`, which answer instead of files. */
  readonly handlers?: string;
}

export const VARIANTS = {
  "edgicorn-compressed": {
    title: "Edgicorn, compression on",
    flags: { "--compression": "on" },
  },
  "edgicorn-node": { title: "Edgicorn on the Node engine", flags: { "--engine": "node" } },
  "edgicorn-cached": {
    title: "Edgicorn, a cached answer of a handler",
    flags: { "--cache": "1h" },
    handlers: "text-1k",
  },
  "edgicorn-ten-rules": { title: "Edgicorn, ten rules, none holds", config: "ten-rules.json" },
  "edgicorn-one-rule": { title: "Edgicorn, ten rules, one holds", config: "one-rule.json" },
  "edgicorn-fields": {
    title: "Edgicorn, three rules set a field each",
    config: "fields.json",
  },
  "edgicorn-rate-limit": { title: "Edgicorn, a rate limit", config: "rate-limit.json" },
  "edgicorn-log-json": {
    title: "Edgicorn, access log in JSON",
    flags: { "--access-log": "on", "--access-log-format": "json" },
  },
  "edgicorn-log-combined": {
    title: "Edgicorn, access log in the combined format",
    flags: { "--access-log": "on", "--access-log-format": "combined" },
  },
  "edgicorn-log-own": {
    title: "Edgicorn, access log in a format of six variables",
    flags: {
      "--access-log": "on",
      "--access-log-format":
        '$remote_addr "$request" $status $body_bytes_sent $request_time $http_user_agent',
    },
  },
} as const satisfies Readonly<Record<string, Variant>>;

/** Returns the flags of a variant. */
export function flagsOf(
  { flags = {}, config, handlers }: Variant,
  { peersFolder }: Pick<RunSetting, "peersFolder">,
): Readonly<Record<string, string>> {
  const folder = join(peersFolder, "edgicorn");
  return {
    ...flags,
    ...(config === undefined ? {} : { "--config": join(folder, "configs", config) }),
    ...(handlers === undefined ? {} : { "--handlers": join(folder, handlers), "--public": "off" }),
  };
}
