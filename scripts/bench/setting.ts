import type { App } from "./cases.ts";
import type { ToolName } from "./tools.ts";

/** One program to run for a server; several together may be one server (Nginx and what is behind it). */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Which of its processes hold the connections of clients: the one that is started, or all; none when absent.
   *
   * What idle connections cost is read from these alone: what a process without connections does at the same time,
   * such as collecting garbage, has nothing to do with them.
   */
  readonly clientsAt?: "leader" | "all";
}

/** A configuration file to write before the commands run: a template of `peers/` with its `{{names}}` filled in. */
export interface Template {
  readonly from: string;
  readonly to: string;
  readonly values: Readonly<Record<string, string>>;
}

/** Everything a server has to know for one turn. */
export interface Setting {
  readonly port: number;
  /** A second free port, for what stands behind a proxy. */
  readonly upstreamPort: number;
  /** Belongs to this turn alone and is removed after it. */
  readonly folder: string;
  readonly app: App;
  /** The copy of `peers/` in which the packages are installed. */
  readonly peersFolder: string;
  /** The files of the static cases. */
  readonly publicFolder: string;
  readonly certificatesFolder: string;
  readonly certificate: string;
  readonly certificateKey: string;
  readonly tls: boolean;
  readonly accessLog: boolean;
  /** Kept-alive connections of `wrk`. */
  readonly connections: number;
  /** Most connections of clients at once: those of `wrk` and all others. */
  readonly clientConnections: number;
  /** Workers of this project; its own default when `undefined`. */
  readonly workers: number | undefined;
  /** Where this project writes CPU profiles of its processes; `undefined` for none. */
  readonly profileFolder: string | undefined;
  /** The user who runs the benchmark; Nginx, if root, would else change to another. */
  readonly user: string;
  /** Path of a tool which the server named in `needs`. */
  readonly tool: (name: ToolName) => string;
}

export interface Launch {
  readonly templates: readonly Template[];
  /** All are started at once; the server is ready when the case gets its right answer. */
  readonly commands: readonly Command[];
}

/** A Node process that runs a source of `peers/NAME/`: that of the case, unless it is another. */
export function nodePeer(setting: Setting, name: string, source: string = setting.app): Command {
  return {
    file: process.execPath,
    args: [`${setting.peersFolder}/${name}/${source}.mjs`],
    env: { PORT: String(setting.port), SPOOL_FOLDER: setting.folder },
  };
}

/** Command line flags in the order of the record. */
export function toFlags(values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(values).flat();
}

/** File that an access log is written to, by every server that writes one. */
export function accessLogFile(setting: Setting): string {
  return `${setting.folder}/access.log`;
}
