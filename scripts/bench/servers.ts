import { join } from "node:path";
import {
  launchNginx,
  launchNginxGunicorn,
  launchNginxNode,
  launchNginxUvicorn,
  launchNginxUwsgi,
} from "./nginx.ts";
import { launchCaddyProxy, launchEdgicornProxy, launchNginxProxy } from "./proxies.ts";
import { nodePeer, toFlags, type Command, type Launch, type Setting } from "./setting.ts";
import type { ToolName } from "./tools.ts";
import { flagsOf, VARIANTS } from "./variants.ts";

/** The commands that start one server. Pure data, run by `turn.ts`. */
export interface Server {
  readonly title: string;
  /** Tools that the row needs. It is skipped, with the reason, if one is missing. */
  readonly needs: readonly ToolName[];
  readonly launch: (setting: Setting) => Launch;
}

/** All servers, each configured as its own documentation recommends for production. */
export const SERVERS = {
  edgicorn: {
    title: "Edgicorn",
    needs: ["edgicorn"],
    launch: (setting) => launchEdgicorn(setting),
  },
  ...variantServers(),
  uws: {
    title: "uWebSockets.js, bare, one process",
    needs: ["uWebSockets.js"],
    launch: (setting) => alone(nodePeer(setting, "uws")),
  },
  ws: {
    title: "ws on node:http",
    needs: ["ws"],
    launch: (setting) => alone(nodePeer(setting, "ws")),
  },
  "node-http": {
    title: "node:http",
    needs: ["node"],
    launch: (setting) => alone(nodePeer(setting, "node-http")),
  },
  fastify: {
    title: "Fastify",
    needs: ["fastify"],
    launch: (setting) => alone(nodePeer(setting, "fastify")),
  },
  "hono-node-server": {
    title: "Hono on @hono/node-server",
    needs: ["@hono/node-server", "hono"],
    launch: (setting) => alone(nodePeer(setting, "hono-node-server")),
  },
  nginx: { title: "Nginx", needs: ["nginx"], launch: launchNginx },
  "nginx-node": {
    title: "Nginx -> node:http, one process",
    needs: ["nginx", "node"],
    launch: (setting) => launchNginxNode(setting, "node-http"),
  },
  "nginx-fastify": {
    title: "Nginx -> Fastify, one process",
    needs: ["nginx", "fastify"],
    launch: (setting) => launchNginxNode(setting, "fastify"),
  },
  "nginx-gunicorn": {
    title: "Nginx -> Gunicorn, 2 sync workers",
    needs: ["nginx", "gunicorn"],
    launch: (setting) => launchNginxGunicorn(setting, "sync"),
  },
  "edgicorn-python": {
    title: "Edgicorn, 2 Python workers",
    needs: ["edgicorn", "python3", "python3-flask", "python3-django", "python3-fastapi"],
    launch: launchEdgicornPython,
  },
  "nginx-gunicorn-gthread": {
    title: "Nginx -> Gunicorn, 2 workers of 4 threads",
    needs: ["nginx", "gunicorn"],
    launch: (setting) => launchNginxGunicorn(setting, "gthread"),
  },
  "nginx-uwsgi": {
    title: "Nginx -> uWSGI, 2 processes",
    needs: ["nginx", "uwsgi"],
    launch: launchNginxUwsgi,
  },
  "nginx-uvicorn": {
    title: "Nginx -> Uvicorn, 2 workers",
    needs: ["nginx", "uvicorn"],
    launch: launchNginxUvicorn,
  },
  "edgicorn-proxy": {
    title: "Edgicorn -> uWebSockets.js",
    needs: ["edgicorn", "uWebSockets.js"],
    launch: launchEdgicornProxy,
  },
  "nginx-proxy": {
    title: "Nginx -> uWebSockets.js",
    needs: ["nginx", "uWebSockets.js"],
    launch: launchNginxProxy,
  },
  "caddy-proxy": {
    title: "Caddy -> uWebSockets.js",
    needs: ["caddy", "uWebSockets.js"],
    launch: launchCaddyProxy,
  },
  deno: { title: "deno serve", needs: ["deno"], launch: launchDeno },
  bun: { title: "Bun.serve", needs: ["bun"], launch: launchBun },
  workerd: { title: "workerd", needs: ["workerd"], launch: launchWorkerd },
} as const satisfies Readonly<Record<string, Server>>;

/** Names a server on the command line and in the JSON file. */
export type ServerId = keyof typeof SERVERS;

type VariantServers = { readonly [Id in keyof typeof VARIANTS]: Server };

function variantServers(): VariantServers {
  const servers = Object.entries(VARIANTS).map(([id, variant]): [string, Server] => [
    id,
    {
      title: variant.title,
      needs: ["edgicorn"],
      launch: (setting) => launchEdgicorn(setting, flagsOf(variant, setting)),
    },
  ]);
  // The keys are those of the table.
  return Object.fromEntries(servers) as VariantServers;
}

function launchEdgicorn(setting: Setting, own: Readonly<Record<string, string>> = {}): Launch {
  const { tls, port, app, peersFolder, publicFolder } = setting;
  const areFiles = app === "files";
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
      ...toFlags({
        // Edgicorn does not serve a folder of files without handlers.
        "--handlers": join(peersFolder, "edgicorn", areFiles ? "hello" : app),
        "--public": areFiles ? publicFolder : "off",
        "--certs": setting.certificatesFolder,
        "--host": "127.0.0.1",
        "--http": tls ? "off" : String(port),
        "--https": tls ? String(port) : "off",
        "--access-log": setting.accessLog ? "on" : "off",
        ...(setting.isHttp2 ? { "--http2": "on" } : {}),
        // No peer compresses.
        "--compression": "off",
        // The default of 1 MiB would refuse the body of the echo.
        ...(app === "echo" ? { "--body-limit": "1gb" } : {}),
        ...own,
      }),
      ...(setting.workers === undefined ? [] : ["--workers", String(setting.workers)]),
    ],
  });
}

function launchEdgicornPython(setting: Setting): Launch {
  return alone({
    file: process.execPath,
    args: [
      setting.tool("edgicorn"),
      "start",
      `${setting.app}:application`,
      ...toFlags({
        // An empty folder: the application answers all paths.
        "--handlers": setting.folder,
        "--app-dir": join(setting.peersFolder, "python"),
        "--python": setting.tool("python3"),
        "--workers": "2",
        "--host": "127.0.0.1",
        "--http": String(setting.port),
        "--https": "off",
        "--public": "off",
        "--access-log": setting.accessLog ? "on" : "off",
      }),
    ],
    env: { PYTHONDONTWRITEBYTECODE: "1" },
  });
}

function launchDeno(setting: Setting): Launch {
  const source = join(setting.peersFolder, "deno", `${setting.app}.mjs`);
  return alone({
    file: setting.tool("deno"),
    args: ["serve", "--host", "127.0.0.1", "--port", String(setting.port), source],
    env: { DENO_DIR: join(setting.folder, "deno"), DENO_NO_UPDATE_CHECK: "1" },
  });
}

function launchBun(setting: Setting): Launch {
  return alone({
    file: setting.tool("bun"),
    args: ["run", join(setting.peersFolder, "bun", `${setting.app}.mjs`)],
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
  return { templates: [], commands: [{ ...command, clientsAt: "leader" }] };
}
