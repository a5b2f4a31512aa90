import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Owner, temporaryFolder } from "../../test/helpers/temporary-folder.ts";

/** Answers each request with its id and its body. Writes the id of each POST to a file before it answers. */
const PROGRAM = `
import { appendFileSync } from "node:fs";
import { createServer } from "node:http";
const [port, posts] = process.argv.slice(2);
createServer(async (request, response) => {
  const id = new URL(request.url, "http://a").searchParams.get("id");
  if (request.method === "POST") appendFileSync(posts, id + "\\n");
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  await new Promise((resolve) => setTimeout(resolve, 10 + Math.random() * 20));
  response.end(id + ";" + Buffer.concat(pieces));
}).listen(Number(port), "127.0.0.1", () => console.log("listening"));
`;

/** An upstream server in a process of its own, which a soak kills, stops and starts again on the same port. */
export class UpstreamProcess {
  readonly url: string;
  readonly #port: number;
  readonly #program: string;
  /** File with a line for each POST. */
  readonly #posts: string;
  #child: ChildProcess | null = null;

  private constructor(port: number, dir: string) {
    this.#port = port;
    this.url = `http://127.0.0.1:${port}`;
    this.#program = join(dir, "upstream.mjs");
    this.#posts = join(dir, "posts");
    writeFileSync(this.#program, PROGRAM);
    writeFileSync(this.#posts, "");
  }

  static async start(owner: Owner): Promise<UpstreamProcess> {
    const upstream = new UpstreamProcess(await findPort(), temporaryFolder(owner));
    owner.after(() => upstream.kill());
    await upstream.start();
    return upstream;
  }

  /** Starts the process, and waits until it listens. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [this.#program, String(this.#port), this.#posts], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.#child = child;
    const [line] = (await once(createInterface(child.stdout), "line")) as [string]; // One line.
    if (line !== "listening") throw new Error(`an upstream does not listen: ${line}`);
  }

  /** Ends the process as `kill -9` does, also while it is stopped. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  /** Stops the process: the kernel still accepts connections for it. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** The ids of all POSTs that it has received, one entry for each time. */
  get posts(): string[] {
    return readFileSync(this.#posts, "utf8").split("\n").filter(Boolean);
  }
}

/** Returns a port that is free now. The kernel does not give it to others soon. */
async function findPort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (typeof address !== "object" || address === null) throw new Error("no port");
  return address.port;
}
