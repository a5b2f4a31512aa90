import type { App } from "./cases.ts";
import type { ToolName } from "./tools.ts";

/** One program of a server. Several together may be one server (Nginx and its upstream). */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Which of its processes hold clients' connections: the one that is started, or all; none when absent.
   *
   * The memory of idle connections is read from these alone. Other processes change meanwhile for other reasons, such
   * as garbage collection.
   */
  readonly clientsAt?: "leader" | "all";
  /** The upstream of a measured proxy: its processor time and memory are not counted. */
  readonly isUpstream?: true;
}

/** A configuration file to write before the commands run: a template of `peers/` with its `{{names}}` filled in. */
export interface Template {
  readonly from: string;
  readonly to: string;
  readonly values: Readonly<Record<string, string>>;
}

/** The settings of a server for all turns. */
export interface RunSetting {
  /** The copy of `peers/` in which the packages are installed. */
  readonly peersFolder: string;
  /** The files of the static cases. */
  readonly publicFolder: string;
  readonly certificatesFolder: string;
  readonly certificate: string;
  readonly certificateKey: string;
  /** Kept-alive connections of `wrk`. */
  readonly connections: number;
  /** Workers of this project; its own default when `undefined`. */
  readonly workers: number | undefined;
  /** The user of the benchmark. Started by root, Nginx would otherwise change to another user. */
  readonly user: string;
  /** Path of a tool that the server named in `needs`. */
  readonly tool: (name: ToolName) => string;
}

/** The settings of a server for one turn. */
export interface Setting extends RunSetting {
  readonly port: number;
  /** A second free port, for the upstream of a proxy. */
  readonly upstreamPort: number;
  /** Belongs to this turn alone and is removed after it. */
  readonly folder: string;
  readonly app: App;
  readonly tls: boolean;
  /** The server also speaks HTTP/2. */
  readonly isHttp2: boolean;
  readonly accessLog: boolean;
  /** Most client connections at once: those of `wrk` and all others. */
  readonly clientConnections: number;
  /** Where this project writes CPU profiles of its processes; `undefined`: it writes none. */
  readonly profileFolder: string | undefined;
}

export interface Launch {
  readonly templates: readonly Template[];
  /** All are started at once. The server is ready when the case gets its right answer. */
  readonly commands: readonly Command[];
}

/** A Node process that runs a source of `peers/NAME/`: that of the case, unless given. */
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

/** Access log of every server that writes one. */
export function accessLogFile(setting: Setting): string {
  return `${setting.folder}/access.log`;
}
