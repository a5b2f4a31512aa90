import { join } from "node:path";
import { launchNginxBefore } from "./nginx.ts";
import { nodePeer, toFlags, type Command, type Launch, type Setting } from "./setting.ts";

/** Edgicorn in front of the upstream of the proxies. */
export function launchEdgicornProxy(setting: Setting): Launch {
  const { port, upstreamPort, profileFolder, folder } = setting;
  const profile =
    profileFolder === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`];
  const edgicorn = {
    file: process.execPath,
    args: [
      ...profile,
      setting.tool("edgicorn"),
      "start",
      ...toFlags({
        // A folder without handlers.
        "--handlers": folder,
        "--proxy": `http://127.0.0.1:${upstreamPort}`,
        "--public": "off",
        "--certs": folder,
        "--host": "127.0.0.1",
        "--http": String(port),
        "--https": "off",
        "--access-log": "off",
      }),
      ...(setting.workers === undefined ? [] : ["--workers", String(setting.workers)]),
    ],
  };
  return { templates: [], commands: [upstream(setting), edgicorn] };
}

/** Nginx in front of the upstream of the proxies. */
export function launchNginxProxy(setting: Setting): Launch {
  return launchNginxBefore(setting, upstream(setting));
}

/** Caddy in front of the upstream of the proxies. */
export function launchCaddyProxy(setting: Setting): Launch {
  const { folder, port, upstreamPort, connections } = setting;
  const file = join(folder, "Caddyfile");
  const caddy = {
    file: setting.tool("caddy"),
    args: ["run", "--config", file, "--adapter", "caddyfile"],
    env: { HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder },
  };
  const values = {
    port: String(port),
    upstreamPort: String(upstreamPort),
    connections: String(connections),
  };
  return {
    templates: [{ from: join(setting.peersFolder, "caddy", "Caddyfile"), to: file, values }],
    commands: [upstream(setting), caddy],
  };
}

function upstream(setting: Setting): Command {
  const peer = nodePeer({ ...setting, port: setting.upstreamPort }, "uws", "upstream");
  return { ...peer, isUpstream: true };
}
