import { chmodSync, renameSync, statSync, unlinkSync } from "node:fs";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { makeStateDir } from "../config/make-state-dir.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import { askControl } from "./control-client.ts";
import { greetingSchema } from "./answers.ts";
import type { Greeting, Operations } from "./operations.ts";
import { fitSocketPath, toControlSocket } from "./socket-path.ts";

/** All that a request may bring: an id. */
const MAX_BODY_BYTES = 4096;

/** Few operators have the right to ask. */
const MAX_CONNECTIONS = 32;

/** A request comes from the same machine, in one piece. */
const REQUEST_TIMEOUT_MS = 5_000;

/** How long a running server may take to introduce itself. */
const GREETING_TIMEOUT_MS = 2_000;

export interface ControlServerOptions {
  /** Absolute; made if it is not there. */
  stateDir: string;
  log: Logger;
  /** How it introduces itself. */
  greet: () => Greeting;
  /** Operations, once the server has started. Earlier commands wait for them; a rejection is their answer. */
  operations: Promise<Partial<Operations>>;
  /** Begins to stop, in order. */
  stop: () => void;
  /** The server whose place this one is about to take; any other that lives is a reason to refuse. */
  successorOf?: number | undefined;
}

/**
 * Takes commands of operators: JSON over HTTP on a Unix socket that only the owner of this process may open.
 *
 *     bound, under a name of its own ──publish()──▶ found by everybody ──close()──▶ closed
 *
 * It is renamed to its final name: it replaces the socket of a dead server, or of the server that it takes over from,
 * in one step, and no process finds it before its mode is 0600.
 */
export class ControlServer {
  readonly #options: ControlServerOptions;
  readonly #path: string;
  readonly #server: Server;
  readonly #ownPath: string;
  /** Names the socket file wherever it is moved to. */
  #inode: bigint | null = null;
  #isPublished = false;
  #isClosed = false;
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
    // Not published yet, and its mode may not be right.
    this.#server.on("connection", (socket: Socket) => {
      if (!this.#isPublished) socket.destroy();
    });
    this.answered = new Promise((resolve) => this.#server.once("close", resolve));
    // The end of the program does not wait for it.
    this.#server.unref();
  }

  /**
   * Binds the socket.
   *
   * @throws RuntimeError `ERR_LISTEN` when another server that lives takes commands for the same state folder, or when
   *   there can be no socket.
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
   * From now on it is this one that commands reach.
   *
   * @throws RuntimeError `ERR_LISTEN` when something else has the name.
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

  /** Takes no more commands; those that are under way are answered. Leaves a socket alone that took its place. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const inode = this.#inode;
    if (inode !== null) {
      for (const path of [this.#ownPath, this.#path]) if (inodeOf(path) === inode) remove(path);
    }
    this.#server.close();
  }

  async #refuseAnother(): Promise<void> {
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
    // Left by a process of the same number that was killed at this very point.
    remove(this.#ownPath);
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

  /** Never rejects: a failure is the answer, or its reader is gone. */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A client that leaves.
    response.on("error", () => {});
    try {
      const { pathname } = new URL(request.url ?? "/", "http://edgicorn");
      if (pathname === "/stop" && request.method === "POST") {
        // Answered by the end of the process, which closes the connection.
        response.writeHead(202, FIELDS).flushHeaders();
        this.#options.stop();
        return;
      }
      const body = await readBody(request);
      const { status, value } = await this.#run({ method: request.method ?? "", pathname, body });
      const allow = status === 405 ? { allow: METHODS.get(pathname) ?? "" } : {};
      response.writeHead(status, { ...FIELDS, ...allow });
      response.end(`${JSON.stringify(value, null, 2)}\n`);
    } catch (error) {
      const { status, value } = toRefusal(error);
      if (!(error instanceof RuntimeError)) {
        this.#options.log.error({ err: error }, "a command failed: bug");
      }
      response.writeHead(status, FIELDS);
      response.end(`${JSON.stringify(value, null, 2)}\n`);
    }
  }

  async #run({ method, pathname, body }: Command): Promise<Answered> {
    const expected = METHODS.get(pathname);
    if (expected === undefined) return refuse(404, `Cannot find ${pathname}`);
    if (method !== expected)
      return refuse(405, `Cannot ${method} ${pathname}: expected ${expected}`);
    if (body === null) return refuse(413, `Cannot read ${pathname}: expected a short request`);
    if (pathname === "/") {
      return { status: 200, value: this.#options.greet() };
    }
    const operations = await this.#options.operations;
    const value = await runOperation(operations, { pathname, body });
    return value ?? refuse(404, `Cannot ${pathname.slice(1)}: this server does not offer it`);
  }
}

interface Command {
  method: string;
  pathname: string;
  /** `null`: too long. */
  body: string | null;
}

interface Answered {
  status: number;
  value: unknown;
}

/** Paths and their methods. */
const METHODS: ReadonlyMap<string, string> = new Map([
  ["/", "GET"],
  ["/status", "GET"],
  ["/generations", "GET"],
  ["/restarts", "GET"],
  ["/reload", "POST"],
  ["/rollback", "POST"],
  ["/stop", "POST"],
]);

const FIELDS = { "content-type": "application/json", connection: "close" } as const;

/** @returns `null`: it is not offered. */
async function runOperation(
  operations: Partial<Operations>,
  { pathname, body }: { pathname: string; body: string },
): Promise<Answered | null> {
  switch (pathname) {
    case "/status":
      return answered(operations.status?.());
    case "/generations":
      return answered(await operations.generations?.());
    case "/restarts":
      return answered(await operations.restarts?.());
    case "/reload":
      return answered(await operations.reload?.());
    case "/rollback": {
      const id = readId(body);
      return id === false
        ? refuse(
            400,
            'Cannot roll back: expected no body, or {"id": "..."} as /generations lists it',
          )
        : answered(await operations.rollback?.(id));
    }
    default:
      return null;
  }
}

function answered(value: unknown): Answered | null {
  return value === undefined ? null : { status: 200, value };
}

/** @returns `undefined`: none is named; `false`: the body says nothing. */
function readId(body: string): string | undefined | false {
  if (body === "") return undefined;
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== "object" || value === null) return false;
    const { id } = value as { id?: unknown };
    if (id === undefined) return undefined;
    return typeof id === "string" && /^[\w.-]{1,100}$/.test(id) ? id : false;
  } catch {
    return false;
  }
}

/** @returns `null`: too long. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // Requests of node:http yield buffers as long as no encoding is set.
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function refuse(status: number, message: string): Answered {
  return { status, value: { error: { code: null, message } } };
}

function toRefusal(error: unknown): Answered {
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof RuntimeError ? error.code : null;
  const fault = error instanceof RuntimeError ? error.fault : "runtime";
  const status = fault === "operator" ? 422 : fault === "capacity" ? 503 : 500;
  return { status, value: { error: { code, message } } };
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

function inodeOf(path: string): bigint | null {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino ?? null;
}

/** Gone already is as good. */
function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
}
