import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { killChildAtEnd } from "../helpers/guardian.ts";
import { type Owner, temporaryFolder } from "../helpers/temporary-folder.ts";

/** Debian's Nginx. */
const NGINX = "/usr/sbin/nginx";

/** Returns the reason to skip a test on a machine without Nginx; `false`: it runs. */
export function skipWithoutNginx(): string | false {
  return existsSync(NGINX) && spawnSync(NGINX, ["-v"]).status === 0
    ? false
    : "this machine has no Nginx";
}

export interface NginxSockets {
  /** Path of the Unix socket for plain HTTP. */
  http: string;
  /** Path of the Unix socket for TLS. */
  https: string;
}

/**
 * Starts Nginx with a configuration, and waits until it listens. It ends after the test. It listens on Unix sockets,
 * because it cannot choose a free port.
 *
 * @param toConfig Returns the part inside of `http { }`.
 */
export async function startNginx(
  t: Owner,
  toConfig: (sockets: NginxSockets) => string,
): Promise<NginxSockets> {
  const dir = temporaryFolder(t);
  const sockets = { http: join(dir, "http.sock"), https: join(dir, "https.sock") };
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (name) => `${name}_temp_path ${join(dir, name)};`,
  );
  const config = [
    "daemon off;",
    // Otherwise its worker has another user, who may not read temporary folders.
    process.getuid?.() === 0 ? "user root;" : "",
    "worker_processes 1;",
    `pid ${join(dir, "nginx.pid")};`,
    "events { worker_connections 256; }",
    `http { access_log off; ${temporary.join(" ")}`,
    toConfig(sockets),
    "}",
  ];
  const file = join(dir, "nginx.conf");
  writeFileSync(file, config.join("\n"));
  const child = spawn(
    NGINX,
    ["-c", file, "-p", dir, "-e", "stderr", "-g", "error_log stderr notice;"],
    {
      stdio: ["ignore", "ignore", "pipe"],
      // With its worker.
      detached: true,
    },
  );
  killChildAtEnd(child, { isGroup: true });
  t.after(async () => {
    if (child.exitCode !== null) return;
    child.kill("SIGTERM");
    await once(child, "exit");
  });
  let output = "";
  await new Promise<void>((resolve, reject) => {
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      // It has opened its sockets by then.
      if (output.includes("start worker process ")) resolve();
    });
    child.once("exit", () => reject(new Error(`Nginx has ended: ${output}`)));
  });
  return sockets;
}
