import { chmodSync, existsSync, renameSync } from "node:fs";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { makeStateDir } from "../config/make-state-dir.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import { askControl } from "./control-client.ts";
import { greetingSchema } from "./answers.ts";
import type { Greeting, Operations } from "./operations.ts";
import { MAX_BODY_BYTES, runCommand } from "./run-command.ts";
import { isStream, runStream } from "./run-stream.ts";
import { streamTo } from "../live/stream-to.ts";
import { inodeOf, removeFile } from "./socket-file.ts";
import { fitSocketPath, toControlSocket } from "./socket-path.ts";

/** Most connections at a time. Few operators have the right to ask. */
const MAX_CONNECTIONS = 32;

/** Longest time for a request. It comes from the same machine, in one piece. */
const REQUEST_TIMEOUT_MS = 5_000;

/** How long a running server may take to send its greeting. */
const GREETING_TIMEOUT_MS = 2_000;

export interface ControlServerOptions {
  /** Absolute. Created if it is missing. */
  stateDir: string;
  log: Logger;
  /** Returns the facts about this server, which every client may ask for. */
  greet: () => Greeting;
  /** Operations, once the server has started. Earlier commands wait for them; a rejection is their answer. */
  operations: Promise<Partial<Operations>>;
  /** Begins to stop, in order. */
  stop: () => void;
  /** Process id of the server whose place this one takes. Any other server that lives is a reason to refuse. */
  successorOf?: number | undefined;
}

/**
 * Takes commands of operators: JSON over HTTP on a Unix socket that only the owner of this process may open.
 *
 *     bound, under a name of its own ──publish()──▶ published ──close()──▶ closed
 *
 * `publish` renames the socket. So it replaces the socket of a dead server, or of the server whose place it takes, in one
 * step, and no process finds it before its mode is 0600.
 */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #path: string;
  readonly #server: Server;
  readonly #ownPath: string;
  /** Inode of the socket file, which stays when the file is renamed. */
  #inode: bigint | null = null;
  /** Responses that show the server live. They have no end of their own. */
  readonly #watched = new Set<ServerResponse>();
  #isPublished = false;
  #isClosed = false;
  /** Ends streams of events. */
  readonly #closing = new AbortController();
  /** Resolves when it is closed and each command has its answer. */
  readonly answered: Promise<void>;

  private constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#path = toControlSocket(options.stateDir);
    this.#ownPath = `${this.#path}.${process.pid}`;
    this.#server = createServer(
      { maxHeaderSize: MAX_BODY_BYTES, keepAlive: false },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.headersTimeout = REQUEST_TIMEOUT_MS;
    this.#server.requestTimeout = REQUEST_TIMEOUT_MS;
    // The mode of a socket that is not published may not be set yet.
    this.#server.on("connection", (socket: Socket) => {
      if (!this.#isPublished) socket.destroy();
    });
    this.answered = new Promise((resolve) => this.#server.once("close", resolve));
    // The open socket alone does not keep the process alive.
    this.#server.unref();
  }

  /**
   * Binds the socket.
   *
   * @throws RuntimeError `ERR_LISTEN` when another server that lives takes commands for the same state folder, or when
   *   the socket cannot be created.
   */
  static async open(options: ControlServerOptions): Promise<ControlServer> {
    const control = new ControlServer(options);
    try {
      makeStateDir(options.stateDir);
      await control.#refuseAnother();
      await control.#bind();
    } catch (error) {
      control.close();
      if (error instanceof RuntimeError) throw error;
      throw cannotListen(control.#path, error instanceof Error ? error.message : String(error));
    }
    return control;
  }

  /**
   * Gives the socket its final name: commands reach this server from now on.
   *
   * @throws RuntimeError `ERR_LISTEN` when the file cannot be renamed.
   */
  publish(): void {
    if (this.#isClosed) return;
    try {
      renameSync(this.#ownPath, this.#path);
    } catch (error) {
      this.close();
      throw cannotListen(this.#path, error instanceof Error ? error.message : String(error));
    }
    this.#isPublished = true;
  }

  /** Takes no more commands, and answers those that run. Does not remove a socket that has replaced its own. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const inode = this.#inode;
    if (inode !== null) {
      for (const path of [this.#ownPath, this.#path]) if (inodeOf(path) === inode) removeFile(path);
    }
    this.#closing.abort();
    this.#server.close();
    for (const response of this.#watched) response.destroy();
  }

  /** Answers with a snapshot on each line, until the client leaves. Never rejects. */
  async #watch(response: ServerResponse): Promise<void> {
    try {
      await this.#stream(response);
    } catch (error) {
      this.#options.log.error({ err: error }, "live view failed: bug");
      if (response.headersSent) response.destroy();
      else refuseWatch(response, "a bug, which is in the log");
    }
  }

  async #stream(response: ServerResponse): Promise<void> {
    const { watch } = await this.#options.operations.catch(() => ({ watch: undefined }));
    if (watch === undefined || response.destroyed) {
      refuseWatch(response, "it does not offer it");
      return;
    }
    const isWatching = await streamTo(response, {
      watch,
      fields: LIVE_FIELDS,
      toText: (json) => `${json}\n`,
    });
    if (!isWatching) {
      refuseWatch(response, "too many others watch it");
      return;
    }
    this.#watched.add(response);
    response.once("close", () => this.#watched.delete(response));
    if (this.#isClosed) response.destroy();
  }

  async #refuseAnother(): Promise<void> {
    // The usual case. The first HTTP request of a process takes 5 ms.
    if (!existsSync(this.#path)) return;
    const { stateDir, successorOf } = this.#options;
    const answer = await askControl(stateDir, {
      method: "GET",
      path: "/",
      timeoutMs: GREETING_TIMEOUT_MS,
    });
    if (answer.kind === "unreachable" && (answer.why === "none" || answer.why === "stale")) return;
    const pid = answer.kind === "done" ? pidIn(answer.value) : null;
    if (pid !== null && pid === successorOf) return;
    throw alreadyRunning(stateDir, { pid, greeting: answer.kind === "done" ? answer.value : null });
  }

  async #bind(): Promise<void> {
    // A process of the same number may have been killed at this point.
    removeFile(this.#ownPath);
    const fitting = fitSocketPath(this.#ownPath);
    try {
      this.#server.listen(fitting.path);
      await once(this.#server, "listening");
    } finally {
      fitting.release();
    }
    this.#server.on("error", (error) => {
      this.#options.log.warn({ err: error }, "commands may not reach this server");
    });
    this.#inode = inodeOf(this.#ownPath);
    chmodSync(this.#ownPath, 0o600);
  }

  /** Never rejects. */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // The client may leave before it has its answer.
    response.on("error", () => {});
    const [pathname = "/"] = (request.url ?? "/").split("?", 1);
    if (pathname === "/stop" && request.method === "POST") {
      // The end of the process is the rest of the answer: it closes the connection.
      response.writeHead(202, FIELDS).flushHeaders();
      this.#options.stop();
      return;
    }
    if (isStream(pathname)) {
      const closing = this.#closing.signal;
      await runStream(request, response, { pathname, closing, ...this.#options });
      return;
    }
    if (pathname === "/live" && request.method === "GET") {
      await this.#watch(response);
      return;
    }
    const { status, value, allow } = await runCommand(request, { pathname, ...this.#options });
    response.writeHead(status, allow === undefined ? FIELDS : { ...FIELDS, allow });
    response.end(`${JSON.stringify(value, null, 2)}\n`);
  }
}

const LIVE_FIELDS = { "content-type": "application/x-ndjson", connection: "close" } as const;

const FIELDS = { "content-type": "application/json", connection: "close" } as const;

function refuseWatch(response: ServerResponse, reason: string): void {
  const message = `Cannot show the server live: ${reason}`;
  response.writeHead(503, FIELDS);
  response.end(`${JSON.stringify({ error: { code: "ERR_OVERLOADED", message } })}\n`);
}

function pidIn(value: unknown): number | null {
  if (typeof value !== "object" || value === null) return null;
  const { pid } = value as { pid?: unknown };
  return typeof pid === "number" ? pid : null;
}

function alreadyRunning(
  stateDir: string,
  { pid, greeting }: { pid: number | null; greeting: unknown },
): RuntimeError {
  const known = greetingSchema.safeParse(greeting);
  const addresses = known.success ? known.data.addresses.join(", ") : "";
  const owner = pid === null ? "a process that does not say which" : `process ${pid}`;
  const where = addresses === "" ? "" : ` at ${addresses}`;
  return new RuntimeError(
    "ERR_LISTEN",
    `Cannot start: already running: ${owner} serves${where} with the state folder ${stateDir}, ` +
      'expected one server for each state folder ("edgicorn stop" ends it, "edgicorn reload" gives it new code, ' +
      "--state-dir DIR starts another one beside it)",
  );
}

function cannotListen(path: string, problem: string): RuntimeError {
  return new RuntimeError("ERR_LISTEN", `Cannot take commands on ${path}: ${problem}`);
}
