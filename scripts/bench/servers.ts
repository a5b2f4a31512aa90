import { join } from "node:path";
import type { ServerId } from "./cases.ts";
import type { ToolName } from "./tools.ts";

/** One program to run for a server; several together may be one server (Nginx and what is behind it). */
export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
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
  /** The copy of `peers/` in which the packages are installed. */
  readonly peersFolder: string;
  readonly certificatesFolder: string;
  readonly certificate: string;
  readonly certificateKey: string;
  readonly tls: boolean;
  readonly accessLog: boolean;
  readonly connections: number;
  /** Workers of this project; its own default when `undefined`. */
  readonly workers: number | undefined;
  /** Where this project writes CPU profiles of its processes; `undefined` for none. */
  readonly profileFolder: string | undefined;
  /** The user who runs the benchmark; Nginx, if root, would else change to another. */
  readonly user: string;
  /** Path of a tool which the server named in `needs`. */
  readonly tool: (name: ToolName) => string;
}

/** How one server is started. Pure: the commands are data, run by `turn.ts`. */
export interface Server {
  readonly id: ServerId;
  readonly title: string;
  /** The row is skipped, with the reason, unless all of them are installed. */
  readonly needs: readonly ToolName[];
  readonly launch: (setting: Setting) => Launch;
}

export interface Launch {
  readonly templates: readonly Template[];
  /** All are started at once; the server is ready when the case gets its right answer. */
  readonly commands: readonly Command[];
}

/** All servers, each configured as its own documentation recommends for production. */
export const SERVERS: Readonly<Record<ServerId, Server>> = {
  edgicorn: { id: "edgicorn", title: "Edgicorn", needs: ["edgicorn"], launch: launchEdgicorn },
  uws: {
    id: "uws",
    title: "uWebSockets.js, bare, one process",
    needs: ["uWebSockets.js"],
    launch: (setting) => alone(nodePeer(setting, "uws")),
  },
  "node-http": {
    id: "node-http",
    title: "node:http",
    needs: ["node"],
    launch: (setting) => alone(nodePeer(setting, "node-http")),
  },
  fastify: {
    id: "fastify",
    title: "Fastify",
    needs: ["fastify"],
    launch: (setting) => alone(nodePeer(setting, "fastify")),
  },
  "hono-node-server": {
    id: "hono-node-server",
    title: "Hono on @hono/node-server",
    needs: ["@hono/node-server", "hono"],
    launch: (setting) => alone(nodePeer(setting, "hono-node-server")),
  },
  "nginx-node": {
    id: "nginx-node",
    title: "Nginx -> node:http, one process",
    needs: ["nginx", "node"],
    launch: launchNginxNode,
  },
  "nginx-gunicorn": {
    id: "nginx-gunicorn",
    title: "Nginx -> Gunicorn, 2 sync workers",
    needs: ["nginx", "gunicorn"],
    launch: launchNginxGunicorn,
  },
  deno: { id: "deno", title: "deno serve", needs: ["deno"], launch: launchDeno },
  bun: { id: "bun", title: "Bun.serve", needs: ["bun"], launch: launchBun },
  workerd: { id: "workerd", title: "workerd", needs: ["workerd"], launch: launchWorkerd },
};

/** File that an access log is written to, by every server that writes one. */
export function accessLogFile(setting: Setting): string {
  return join(setting.folder, "access.log");
}

function launchEdgicorn(setting: Setting): Launch {
  const { tls, port } = setting;
  const profile =
    setting.profileFolder === undefined
      ? []
      : ["--cpu-prof", `--cpu-prof-dir=${setting.profileFolder}`];
  return alone({
    file: process.execPath,
    args: [
      ...profile,
      setting.tool("edgicorn"),
      "start",
      ...flags({
        "--handlers": join(setting.peersFolder, "edgicorn", "handlers"),
        "--public": "off",
        "--certs": setting.certificatesFolder,
        "--host": "127.0.0.1",
        "--http": tls ? "off" : String(port),
        "--https": tls ? String(port) : "off",
        "--access-log": setting.accessLog ? "on" : "off",
      }),
      ...(setting.workers === undefined ? [] : ["--workers", String(setting.workers)]),
    ],
  });
}

function launchNginxNode(setting: Setting): Launch {
  const { certificate, certificateKey, upstreamPort, connections, tls } = setting;
  return {
    templates: [
      nginxTemplate(setting, "nginx-node", {
        certificate,
        certificateKey,
        upstreamPort: String(upstreamPort),
        connections: String(connections),
        listenOptions: tls ? " ssl" : "",
      }),
    ],
    commands: [nodePeer({ ...setting, port: upstreamPort }, "node-http"), nginxCommand(setting)],
  };
}

function launchNginxGunicorn(setting: Setting): Launch {
  const gunicorn = {
    file: setting.tool("gunicorn"),
    args: [
      ...flags({
        "--workers": "2",
        "--worker-class": "sync",
        "--bind": `unix:${join(setting.folder, "gunicorn.sock")}`,
        "--chdir": join(setting.peersFolder, "nginx-gunicorn"),
      }),
      "app:application",
    ],
    // No __pycache__ is left in the copy of peers/.
    env: { PYTHONDONTWRITEBYTECODE: "1" },
  };
  return {
    templates: [nginxTemplate(setting, "nginx-gunicorn", {})],
    commands: [gunicorn, nginxCommand(setting)],
  };
}

function launchDeno(setting: Setting): Launch {
  const source = join(setting.peersFolder, "deno", "server.mjs");
  return alone({
    file: setting.tool("deno"),
    args: ["serve", "--host", "127.0.0.1", "--port", String(setting.port), source],
    env: { DENO_DIR: join(setting.folder, "deno"), DENO_NO_UPDATE_CHECK: "1" },
  });
}

function launchBun(setting: Setting): Launch {
  return alone({
    file: setting.tool("bun"),
    args: ["run", join(setting.peersFolder, "bun", "server.mjs")],
    env: { PORT: String(setting.port) },
  });
}

function launchWorkerd(setting: Setting): Launch {
  const config = join(setting.peersFolder, "workerd", "config.capnp");
  return alone({
    file: setting.tool("workerd"),
    args: ["serve", config, "--socket-addr", `http=127.0.0.1:${setting.port}`],
  });
}

function alone(command: Command): Launch {
  return { templates: [], commands: [command] };
}

function flags(values: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(values).flat();
}

function nodePeer(setting: Setting, name: string): Command {
  return {
    file: process.execPath,
    args: [join(setting.peersFolder, name, "server.mjs")],
    env: { PORT: String(setting.port) },
  };
}

function nginxTemplate(
  setting: Setting,
  name: string,
  values: Readonly<Record<string, string>>,
): Template {
  return {
    from: join(setting.peersFolder, name, "nginx.conf"),
    to: join(setting.folder, "nginx.conf"),
    values: {
      user: setting.user,
      folder: setting.folder,
      port: String(setting.port),
      accessLog: setting.accessLog ? `${accessLogFile(setting)} combined` : "off",
      ...values,
    },
  };
}

function nginxCommand(setting: Setting): Command {
  return {
    file: setting.tool("nginx"),
    args: ["-p", setting.folder, "-c", join(setting.folder, "nginx.conf"), "-e", "stderr"],
  };
}
