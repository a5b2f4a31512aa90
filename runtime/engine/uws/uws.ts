import { createRequire } from "node:module";
import type {
  HttpRequest,
  HttpResponse,
  us_listen_socket,
  us_socket_context_t,
} from "uWebSockets.js";
import { RuntimeError } from "../../lib/errors.ts";
import { importModule } from "../../lib/import-module.ts";
import {
  describeNoBinary,
  explainFailure,
  type FailedUws,
  findUwsPackages,
  isOwnPackage,
  labelOf,
  readMachine,
  type UwsChoice,
} from "./uws-packages.ts";
import type { EngineSocket } from "../client-web-socket.ts";

export type { HttpRequest, HttpResponse };
export type ListenSocket = us_listen_socket;
/** The library's settings and callbacks for the WebSockets of one route. */
export type UpgradeContext = us_socket_context_t;

/** `listen` passes `false` when it fails, without a reason. */
type OnListen = (socket: ListenSocket | false) => void;

/**
 * The parts of an application of uWebSockets.js that Edgicorn uses. The library's own types leave out half of these.
 */
export interface UwsApp {
  get(pattern: string, handler: (res: HttpResponse, req: HttpRequest) => void): UwsApp;
  post(pattern: string, handler: (res: HttpResponse, req: HttpRequest) => void): UwsApp;
  any(pattern: string, handler: (res: HttpResponse, req: HttpRequest) => void): UwsApp;
  /** Registers callbacks for GETs with a `Sec-WebSocket-Key` of 24 characters. Must come before `get`. */
  ws<T>(pattern: string, behavior: SocketBehavior<T>): UwsApp;
  /** Selects the router of a server name, which starts out empty. `""` selects the root router. */
  domain(name: string): UwsApp;
  addServerName(
    name: string,
    options: { cert_file_name: string; key_file_name: string; ssl_ciphers: string },
  ): UwsApp;
  /**
   * Registers a callback for connections: a positive count for one that opens, a negative count for one that closes.
   */
  filter(callback: (res: HttpResponse, count: number) => void): UwsApp;
  listen(host: string, port: number, options: number, callback: OnListen): UwsApp;
  listen(port: number, options: number, callback: OnListen): UwsApp;
  getDescriptor(): unknown;
  addChildAppDescriptor(descriptor: unknown): void;
  removeChildAppDescriptor(descriptor: unknown): void;
  /** Closes its listeners and all its connections at once. */
  close(): UwsApp;
}

/** A WebSocket of the library, from `open` until `close`. Afterwards every method throws. */
export interface LibrarySocket<T> extends EngineSocket {
  getUserData(): T;
}

/** The callbacks and settings of WebSockets. Bytes are detached when a callback returns. */
export interface SocketBehavior<T> {
  /** Largest message, inflated. The library cuts the connection of a client that sends a larger one. */
  maxPayloadLength: number;
  /** How messages are compressed; absent: not at all. */
  compression?: number;
  /** Bytes above which the library drops messages; 0: none. */
  maxBackpressure: number;
  /** 0, or 8 to 960 seconds: another value ends the process. */
  idleTimeout: number;
  sendPingsAutomatically: boolean;
  resetIdleTimeoutOnSend: boolean;
  upgrade: (res: HttpResponse, req: HttpRequest, context: UpgradeContext) => void;
  open: (socket: LibrarySocket<T>) => void;
  message: (socket: LibrarySocket<T>, bytes: ArrayBuffer, isBinary: boolean) => void;
  drain: (socket: LibrarySocket<T>) => void;
  ping: (socket: LibrarySocket<T>, bytes: ArrayBuffer) => void;
  pong: (socket: LibrarySocket<T>, bytes: ArrayBuffer) => void;
  close: (socket: LibrarySocket<T>, code: number, reason: ArrayBuffer) => void;
}

/** The parts of the library that Edgicorn uses. */
export interface Uws {
  /** One compressor, and one decompressor, for all WebSockets: neither keeps a window between messages. */
  readonly SHARED_COMPRESSOR: number;
  readonly SHARED_DECOMPRESSOR: number;
  App(): UwsApp;
  SSLApp(options: { cert_file_name?: string; key_file_name?: string; ssl_ciphers: string }): UwsApp;
  us_listen_socket_close(socket: ListenSocket): void;
  us_socket_local_port(socket: ListenSocket): number;
  _cfg(setting: "silent"): void;
}

/** The loaded library and its package. */
export interface LoadedUws {
  uws: Uws;
  /** The package whose binary was loaded: `uws-pack 20.0.8`. */
  label: string;
  /** True when Edgicorn chose the package; false when the operator did, by a package or by the setting `uws`. */
  isUsual: boolean;
  /** Preferred packages whose binary did not load. */
  failed: readonly FailedUws[];
}

/**
 * Loads uWebSockets.js from the first package whose binary loads on this machine.
 *
 * Only the primary may call this, after it has read its settings: the library reads the maximum size of a head from the
 * environment while it loads. The dynamic linker refuses an unsuitable binary before any of its code runs, so a package
 * that fails has no effect on the process.
 *
 * @param options.choice Setting `uws`.
 * @throws RuntimeError `ERR_LISTEN` when there is no binary for this machine.
 */
export async function loadUws(options: {
  headerLimitBytes: number;
  choice: UwsChoice;
}): Promise<LoadedUws> {
  process.env["UWS_HTTP_MAX_HEADERS_SIZE"] = String(options.headerLimitBytes);
  const { installed, missing } = findUwsPackages(options.choice);
  const failed: FailedUws[] = [];
  for (const candidate of installed) {
    let uws: Uws;
    try {
      uws = await importUws(candidate.specifier);
    } catch (error) {
      failed.push(explainFailure(candidate, error));
      continue;
    }
    // Turns off a response field with which the library tells its name and version to every client.
    uws._cfg("silent");
    const isUsual = options.choice === "auto" && !isOwnPackage(candidate);
    return { uws, label: labelOf(candidate), isUsual, failed };
  }
  const { choice } = options;
  const message = describeNoBinary(readMachine(), { failed: [...failed, ...missing], choice });
  throw new RuntimeError("ERR_LISTEN", message);
}

/**
 * Requires a package, or imports it if it is an ES module only, like `uws-pack`.
 *
 * On Node 22, `import` would work for both. On Node 20 it ends the process when the binary of the official package does
 * not load: that package's ES module wraps a CommonJS module that throws. Node reports the error a second time, through
 * a promise that only Node can catch. The wrapper also lacks `_cfg`.
 */
async function importUws(specifier: string): Promise<Uws> {
  try {
    // All packages export these names, although some of their types do not declare them.
    return createRequire(import.meta.url)(specifier) as Uws;
  } catch (error) {
    if (!isEsOnly(error)) throw error;
  }
  return (await importModule(specifier)) as Uws;
}

function isEsOnly(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return code === "ERR_PACKAGE_PATH_NOT_EXPORTED" || code === "ERR_REQUIRE_ESM";
}
