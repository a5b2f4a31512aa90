import { join } from "node:path";
import { type App, isPythonApp } from "./cases.ts";
import {
  accessLogFile,
  nodePeer,
  toFlags,
  type Command,
  type Launch,
  type Setting,
  type Template,
} from "./setting.ts";

/** Nginx alone, with the folder of the static files. */
export function launchNginx(setting: Setting): Launch {
  const { publicFolder } = setting;
  return {
    templates: [
      nginxTemplate(setting, "nginx", {
        publicFolder,
        ...tlsValues(setting),
        tlsOptions: tlsOptions(setting),
      }),
    ],
    commands: [nginxCommand(setting)],
  };
}

/** Nginx in front of one Node process, which runs the source of `peer`. */
export function launchNginxNode(setting: Setting, peer: string): Launch {
  const { app, upstreamPort } = setting;
  // Nginx cannot carry an echo that begins before the request has ended: see the source.
  const source = app === "echo" ? "echo-spooled" : app;
  return launchNginxBefore(setting, nodePeer({ ...setting, port: upstreamPort }, peer, source));
}

/** Nginx in front of a program that listens on the port for upstreams. */
export function launchNginxBefore(setting: Setting, upstream: Command): Launch {
  const { certificate, certificateKey, upstreamPort, connections, clientConnections, app } =
    setting;
  return {
    templates: [
      nginxTemplate(setting, "nginx-node", {
        certificate,
        certificateKey,
        upstreamPort: String(upstreamPort),
        connections: String(connections),
        // One worker may accept all connections if the other one is slower. It opens as many to Node.
        workerConnections: String(Math.max(4096, 2 * clientConnections)),
        ...tlsValues(setting),
        serverOptions: SERVER_OPTIONS[app] ?? "",
      }),
    ],
    commands: [upstream, nginxCommand(setting)],
  };
}

/** Nginx in front of Gunicorn over a Unix socket. */
export function launchNginxGunicorn(setting: Setting, workerClass: "sync" | "gthread"): Launch {
  const gunicorn = {
    file: setting.tool("gunicorn"),
    args: [
      ...toFlags({
        "--workers": "2",
        "--worker-class": workerClass,
        ...(workerClass === "gthread" ? { "--threads": "4" } : {}),
        "--bind": `unix:${join(setting.folder, "gunicorn.sock")}`,
        "--chdir": join(setting.peersFolder, "python"),
      }),
      `${isPythonApp(setting.app) ? setting.app : "wsgi"}:application`,
    ],
    env: NO_CACHES,
  };
  return {
    templates: [nginxTemplate(setting, "nginx-gunicorn", {})],
    commands: [gunicorn, nginxCommand(setting)],
  };
}

/** Nginx in front of uWSGI over a Unix socket. */
export function launchNginxUwsgi(setting: Setting): Launch {
  const uwsgi = {
    file: setting.tool("uwsgi"),
    args: [
      ...toFlags({
        "--plugin": "python3",
        "--socket": join(setting.folder, "uwsgi.sock"),
        "--chdir": join(setting.peersFolder, "python"),
        "--module": `${setting.app}:application`,
        "--processes": "2",
      }),
      "--master",
      "--die-on-term",
      "--disable-logging",
    ],
    env: NO_CACHES,
  };
  return {
    templates: [nginxTemplate(setting, "nginx-uwsgi", {})],
    commands: [uwsgi, nginxCommand(setting)],
  };
}

/** Nginx in front of Uvicorn over a Unix socket. */
export function launchNginxUvicorn(setting: Setting): Launch {
  const uvicorn = {
    file: setting.tool("uvicorn"),
    args: [
      ...toFlags({
        "--workers": "2",
        "--uds": join(setting.folder, "gunicorn.sock"),
        "--app-dir": join(setting.peersFolder, "python"),
        "--log-level": "warning",
      }),
      "--no-access-log",
      `${setting.app}:application`,
    ],
    env: NO_CACHES,
  };
  return {
    templates: [nginxTemplate(setting, "nginx-gunicorn", {})],
    commands: [uvicorn, nginxCommand(setting)],
  };
}

/** Leaves no `__pycache__` in the copy of `peers/`. */
const NO_CACHES = { PYTHONDONTWRITEBYTECODE: "1" };

/** Settings that an operator adds for an application that needs them; the rest is Nginx's default. */
const SERVER_OPTIONS: Partial<Readonly<Record<App, string>>> = {
  // The default of 1 MiB would refuse the body. It still goes to a file as a whole before Node sees any of it.
  echo: "    client_max_body_size 0;\n",
  events: "    proxy_buffering off;\n",
};

function tlsValues({ tls, isHttp2 }: Setting): Readonly<Record<string, string>> {
  return { listenOptions: tls ? (isHttp2 ? " ssl http2" : " ssl") : "" };
}

/** Lines for a template that does not always have a certificate. */
function tlsOptions({ tls, certificate, certificateKey }: Setting): string {
  return tls ? `  ssl_certificate ${certificate};\n  ssl_certificate_key ${certificateKey};\n` : "";
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
    clientsAt: "all",
  };
}
