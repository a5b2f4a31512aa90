import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AdminAddress, formatAdminAddress } from "../config/admin-setting.ts";
import { readBody } from "../control/run-command.ts";
import { explainListenError } from "../engine/probe-port.ts";
import { RuntimeError, toError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import { type AdminAnswer, type AdminPage, type AdminReply, toText } from "./admin-page.ts";
import { bindSocket, type BoundSocket } from "./bind-socket.ts";
import { decideAccess, type Refusal } from "./decide-access.ts";

/** Most connections at a time: those of a few operators, probes and collectors of metrics. */
const MAX_CONNECTIONS = 64;

/** Longest time for the head and the body of a request. */
const REQUEST_TIMEOUT_MS = 10_000;

/** How long an idle connection stays open: longer than the usual interval of a scrape. */
const KEEP_ALIVE_MS = 75_000;

/** Longest body of a request: it names a generation or a worker. */
const MAX_BODY_BYTES = 4_096;

/** How often a server that takes the place of another one tries to bind its port. */
const RETRY_MS = 100;

export interface AdminServerOptions {
  address: AdminAddress;
  log: Logger;
  /** Returns the digest of the present token; `null`: there is none. A reload may change it. */
  tokenDigest: () => string | null;
  pages: readonly AdminPage[];
  /** The process that this one replaces has the address until this one serves. */
  isSuccessor: boolean;
}

/**
 * Answers operators, supervisors and collectors of metrics at an address of its own. No request of a visitor reaches it, and no
 * queue of the sites delays it.
 *
 *     bound ─────────────────────────▶ answering ──close()──▶ closed
 *     successor ──takeOver()──▶ bound ────▲
 */
export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #server: Server;
  readonly #pages: ReadonlyMap<string, AdminPage>;
  #socket: BoundSocket | null = null;
  #retry: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(options: AdminServerOptions) {
    this.#options = options;
    this.#pages = new Map(options.pages.map((page) => [page.path, page]));
    const limits = { headersTimeout: REQUEST_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS };
    this.#server = createServer(
      { ...limits, keepAliveTimeout: KEEP_ALIVE_MS, connectionsCheckingInterval: 5_000 },
      (request, response) => void this.#answer(request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    // It does not keep the process alive.
    this.#server.unref();
  }

  /**
   * Binds the address, unless this process is a successor: it may still fail to start, and the process before serves on then.
   *
   * @throws RuntimeError `ERR_LISTEN` when the address cannot be used.
   */
  static async open(options: AdminServerOptions): Promise<AdminServer> {
    const admin = new AdminServer(options);
    if (options.isSuccessor) return admin;
    try {
      await admin.#bind();
    } catch (error) {
      throw admin.#cannotListen(error);
    }
    return admin;
  }

  /** For a successor that serves: binds the address as soon as the process before has given it up. Logs a failure. */
  takeOver(): void {
    if (!this.#options.isSuccessor || this.#isClosed) return;
    this.#bind().catch((error: unknown) => {
      if (this.#isClosed) return;
      if (toError(error).message.includes("EADDRINUSE")) {
        this.#retry = setTimeout(() => this.takeOver(), RETRY_MS).unref();
      } else {
        this.#options.log.error({ err: error }, this.#cannotListen(error).message);
      }
    });
  }

  /** Gives up the address, and ends all connections. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#retry);
    this.#socket?.remove();
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #bind(): Promise<void> {
    const { address, isSuccessor, log } = this.#options;
    if (address.kind === "unix") {
      this.#socket = await bindSocket(this.#server, address.path, { replaces: isSuccessor });
      // The last server of the process leaves no file behind.
      process.once("exit", () => this.#socket?.remove());
    } else {
      // `exclusive` keeps node:cluster from sharing the socket.
      this.#server.listen({ host: address.host, port: address.port, exclusive: true });
      await once(this.#server, "listening");
    }
    this.#server.on("error", (error) => log.warn({ err: error }, "admin listener failed"));
    log.info({ address: this.#boundAddress() }, "admin listener is open");
  }

  #boundAddress(): string {
    const { address } = this.#options;
    const bound = this.#server.address();
    if (address.kind === "unix" || typeof bound !== "object" || bound === null) {
      return formatAdminAddress(address);
    }
    return formatAdminAddress({ ...address, port: bound.port });
  }

  #cannotListen(error: unknown): RuntimeError {
    const { address } = this.#options;
    const reason =
      address.kind === "tcp" ? explainListenError(error, address.port) : toError(error).message;
    return new RuntimeError(
      "ERR_LISTEN",
      `Cannot open the admin listener on ${formatAdminAddress(address)}: ${reason}, expected a free address (--admin ADDRESS, or off)`,
      { cause: error },
    );
  }

  /** Never rejects: a bug in a page costs this answer, not the server. */
  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // The client may leave before it has its answer.
    response.on("error", () => {});
    let reply: AdminReply | null;
    try {
      const answer = await this.#reply(request, response);
      if (!("stream" in answer)) reply = answer;
      // A HEAD request asks whether the page is there, and takes no events.
      else if (request.method === "HEAD")
        reply = { status: 200, contentType: answer.contentType, body: "" };
      else reply = await answer.stream(response, () => this.#decide(request) === null);
    } catch (error) {
      this.#options.log.error({ err: error }, "admin page failed");
      reply = toText(500, "Internal Server Error\n");
    }
    if (reply === null) return;
    if (response.headersSent) {
      response.destroy();
      return;
    }
    response.writeHead(reply.status, {
      "content-type": reply.contentType,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "content-length": Buffer.byteLength(reply.body),
      ...reply.fields,
    });
    response.end(request.method === "HEAD" ? "" : reply.body);
  }

  async #reply(request: IncomingMessage, response: ServerResponse): Promise<AdminAnswer> {
    const { method = "GET", url = "/", headers: fields } = request;
    const [path = "/", search = ""] = url.split(/\?(.*)/s, 2);
    const page = this.#pages.get(path);
    const refusal = this.#decide(request);
    if (refusal !== null) {
      if (refusal.status === 401) {
        // Browsers ask for a password.
        response.setHeader("www-authenticate", [
          'Bearer realm="edgicorn"',
          'Basic realm="edgicorn"',
        ]);
      }
      return toText(refusal.status, `${refusal.reason}\n`);
    }
    const pages = [...this.#pages.values()];
    if (page === undefined && path !== "/") return notFound(path, pages);
    const methods = (page?.methods ?? ["GET"]).flatMap((each) =>
      each === "GET" ? ["GET", "HEAD"] : [each],
    );
    if (!methods.includes(method)) {
      response.setHeader("allow", methods.join(", "));
      return toText(405, `Cannot ${method} ${path}: expected ${methods.join(" or ")}\n`);
    }
    // The list is for programs and terminals.
    const isForBrowser = fields.accept?.includes("text/html") === true;
    if (page === undefined || (path === "/" && !isForBrowser)) return listPages(pages);
    const body = method === "POST" ? await readBody(request, MAX_BODY_BYTES) : "";
    if (body === null) return toText(413, `Cannot ${method} ${path}: expected a short body\n`);
    const mayAct = this.#decide(request, "action") === null;
    return page.answer({ method, query: new URLSearchParams(search), fields, body, mayAct });
  }

  /** Decides whether a request may be answered, by the present token. Default access: that of its page. */
  #decide({ url = "/", headers }: IncomingMessage, access?: AdminPage["access"]): Refusal | null {
    const [path = "/"] = url.split("?", 1);
    const { host, authorization, origin, via } = headers;
    const fetchSite = toSingle(headers["sec-fetch-site"]);
    const { address, tokenDigest } = this.#options;
    return decideAccess(
      { access: access ?? this.#pages.get(path)?.access ?? "operator" },
      { host, authorization, origin, via, "sec-fetch-site": fetchSite },
      { address, tokenDigest: tokenDigest() },
    );
  }
}

function toSingle(field: string | string[] | undefined): string | undefined {
  return Array.isArray(field) ? field.join(", ") : field;
}

function listPages(pages: readonly AdminPage[]): AdminReply {
  return toText(200, pages.map(({ path, about }) => `${path.padEnd(12)} ${about}\n`).join(""));
}

function notFound(path: string, pages: readonly AdminPage[]): AdminReply {
  const known = pages.map((page) => page.path).join(", ");
  return toText(404, `Cannot find ${path}: expected one of ${known}\n`);
}
