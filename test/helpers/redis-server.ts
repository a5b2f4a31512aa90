import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { killChildAtEnd } from "./guardian.ts";
import { type Owner, temporaryFolder } from "./temporary-folder.ts";

/** Why tests with Redis are skipped; `false`: they are not. */
export const noRedis: string | false =
  spawnSync("redis-server", ["--version"]).status === 0 ? false : "redis-server is not installed";

/** A server of Redis on a Unix socket, which writes every command to its disk. */
export class RedisServer {
  readonly socket: string;
  readonly #dir: string;
  #child: ChildProcess | null = null;

  private constructor(dir: string) {
    this.#dir = dir;
    this.socket = join(dir, "redis.sock");
  }

  static async start(t: Owner): Promise<RedisServer> {
    let server: RedisServer | null = null;
    t.after(() => server?.kill());
    server = new RedisServer(temporaryFolder(t));
    await server.start();
    return server;
  }

  /** Process id of the server that runs. */
  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  async start(): Promise<void> {
    const options = ["--port", "0", "--unixsocket", this.socket, "--dir", this.#dir, "--save", ""];
    const args = [...options, "--appendonly", "yes", "--appendfsync", "always"];
    const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "inherit"] });
    killChildAtEnd(child);
    this.#child = child;
    for await (const line of createInterface({ input: child.stdout })) {
      if (/ready to accept connections/i.test(line)) break;
    }
    child.stdout.resume();
  }

  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
}
