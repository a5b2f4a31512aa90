import type { Parsed, SettingType } from "./setting-types.ts";

/** The holder of a port's connections. */
export type EngineName = "auto" | "uws" | "node";

/** The engine of each port. */
export interface EngineOfPorts {
  readonly http: EngineName;
  readonly https: EngineName;
}

/** Form of the setting in the config file. */
export type EngineInput =
  | EngineName
  | {
      /** Engine of the port for HTTP. Default: `"auto"`. */
      http?: EngineName;
      /** Engine of the port for HTTPS. Default: `"auto"`. */
      https?: EngineName;
    };

const NAMES: readonly unknown[] = ["auto", "uws", "node"] satisfies EngineName[];
const PORTS: readonly string[] = ["http", "https"] satisfies (keyof EngineOfPorts)[];

const EXPECTED_NAME = '"auto", "uws" or "node"';

/** The engine of all ports, or of each: `"uws"`, `{ http: "uws", https: "node" }`, and `http=uws,https=node` as text. */
export function engineSetting(): SettingType<EngineInput, EngineName | EngineOfPorts> {
  return {
    placeholder: "auto|uws|node",
    expected: `${EXPECTED_NAME}, or one for each port: "http=uws,https=node"`,
    parse,
    explain: (value) => (isRecord(value) ? findProblem(value) : null),
    inHandler: null,
  };
}

/** Returns the engine that a config names for the port of a scheme. */
export function engineOf(
  engine: EngineName | EngineOfPorts,
  scheme: keyof EngineOfPorts,
): EngineName {
  return typeof engine === "string" ? engine : engine[scheme];
}

function parse(value: unknown): Parsed<EngineName | EngineOfPorts> {
  if (isName(value)) return { value };
  const members = typeof value === "string" ? readText(value) : value;
  if (!isRecord(members) || findProblem(members) !== null) return null;
  // `findProblem` has checked all members.
  const { http = "auto", https = "auto" } = members as Partial<EngineOfPorts>;
  return { value: Object.freeze({ http, https }) };
}

/** Reads text such as `http=uws,https=node`; `null`: it has another form, or names a port twice. */
function readText(text: string): Readonly<Record<string, string>> | null {
  const members = new Map<string, string>();
  for (const part of text.split(",")) {
    const [, key, name] = /^\s*(\w+)=(\w+)\s*$/.exec(part) ?? [];
    if (key === undefined || name === undefined || members.has(key)) return null;
    members.set(key, name);
  }
  return Object.fromEntries(members);
}

/** Names a port that is none, or that has no known engine; `null`: all are right. */
function findProblem(
  members: Readonly<Record<string, unknown>>,
): { key: string; value: unknown; expected: string } | null {
  for (const [port, value] of Object.entries(members)) {
    const key = `.${port}`;
    if (!PORTS.includes(port)) return { key, value, expected: 'only "http" and "https" there' };
    if (!isName(value)) return { key, value, expected: EXPECTED_NAME };
  }
  return null;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isName(value: unknown): value is EngineName {
  return NAMES.includes(value);
}
