import type { CommandName } from "./commands.ts";

/** A flag that only some commands have. */
export interface OwnFlag {
  /** `client`, for `--client`. */
  readonly name: string;
  /** `H`, for `-H`. */
  readonly short?: string;
  /** Placeholder of its value in the help text; `null`: it has none. */
  readonly value: string | null;
  readonly help: string;
}

/** The flags that are no settings, by command. */
export const OWN_FLAGS: Readonly<Partial<Record<CommandName, readonly OwnFlag[]>>> = {
  explain: [
    {
      name: "header",
      short: "H",
      value: "'NAME: VALUE'",
      help: "field of the request, once or more",
    },
    { name: "client", value: "ADDRESS", help: "address of the client (127.0.0.1)" },
  ],
  profile: [
    { name: "seconds", value: "N", help: "length of a CPU profile (10)" },
    { name: "heap", value: null, help: "a heap snapshot instead" },
    { name: "output", value: "FILE", help: "file to write, which must not exist" },
  ],
  fetch: [
    { name: "request", short: "X", value: "METHOD", help: "method (GET, with a body POST)" },
    {
      name: "header",
      short: "H",
      value: "'NAME: VALUE'",
      help: "field of the request, once or more",
    },
    { name: "data", short: "d", value: "BODY", help: "body: a text, @FILE, or @- for input" },
    { name: "include", short: "i", value: null, help: "print status and fields, too" },
  ],
  types: [
    { name: "check", value: null, help: "only compare; exit with 1 if it is out of date" },
    { name: "output", value: "FILE", help: "another file (edgicorn-env.d.ts)" },
  ],
  shadow: [
    { name: "sample", value: "N%", help: "share of the requests (5%)" },
    { name: "seconds", value: "N", help: "length (until Ctrl+C)" },
    { name: "ignore", value: "FIELDS", help: "more fields that may differ: x-version,x-id" },
    { name: "keep-host", value: null, help: "send the host of the visitor to the old server" },
    { name: "with-credentials", value: null, help: "send cookies and Authorization, too" },
  ],
  import: [{ name: "env", value: "NAME", help: "environment of wrangler.toml (none)" }],
  top: [{ name: "interval", value: "TIME", help: "time between two snapshots, from 1s on: 5s" }],
  logs: [
    { name: "follow", short: "f", value: null, help: "show lines as they come" },
    { name: "lines", short: "n", value: "N", help: "number of past lines (10)" },
    { name: "status", value: "LIST", help: "statuses and classes: 404,5xx" },
    { name: "route", value: "PATH", help: "path as edgicorn routes lists it: /users/:id" },
    { name: "method", value: "NAME", help: "method: POST" },
    { name: "host", value: "NAME", help: "host, with or without its port" },
    { name: "slower", value: "TIME", help: "requests that took longer: 500ms" },
  ],
};

/** Values of such flags by name, in their order. A flag without a value has an empty one. */
export type OwnValues = Readonly<Record<string, readonly string[]>>;

/** Returns the flag of a command by its name; `null`: the command has none. */
export function findOwnFlag(command: CommandName | null, name: string): OwnFlag | null {
  const own = command === null ? undefined : OWN_FLAGS[command];
  return own?.find((flag) => flag.name === name) ?? null;
}

/** Returns the commands that have a flag of this name. */
export function findOwners(name: string): string[] {
  return Object.entries(OWN_FLAGS).flatMap(([command, flags]) =>
    flags.some((flag) => flag.name === name) ? [command] : [],
  );
}

/** The options of `parseArgs` for these flags. */
export const OWN_OPTIONS: Readonly<Record<string, { type: "string" | "boolean"; short?: string }>> =
  Object.fromEntries(
    Object.values(OWN_FLAGS)
      .flat()
      .map(({ name, short, value }) => [
        name,
        { type: value === null ? "boolean" : "string", ...(short !== undefined && { short }) },
      ]),
  );
