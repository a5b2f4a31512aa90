import { createRequire } from "node:module";
import type { HttpRequest, HttpResponse, us_listen_socket } from "uWebSockets.js";
import { RuntimeError } from "../../lib/errors.ts";
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

export type { HttpRequest, HttpResponse };
export type ListenSocket = us_listen_socket;

/** `listen` reports no reason when it fails: `false` is all it tells. */
type OnListen = (socket: ListenSocket | false) => void;

/** An application of uWebSockets.js, as far as we use it. The library's own types leave half of this out. */
export interface UwsApp {
  get(pattern: string, handler: (res: HttpResponse, req: HttpRequest) => void): UwsApp;
  post(pattern: string, handler: (res: HttpResponse, req: HttpRequest) => void): UwsApp;
  any(pattern: string, handler: (res: HttpResponse, req: HttpRequest) => void): UwsApp;
  /** Turns to the router of a server name, which starts out empty; `""` turns back to the root router. */
  domain(name: string): UwsApp;
  addServerName(
    name: string,
    options: { cert_file_name: string; key_file_name: string; ssl_ciphers: string },
  ): UwsApp;
  /** Calls with a positive count for a connection that opens, a negative one for one that closes. */
  filter(callback: (res: HttpResponse, count: number) => void): UwsApp;
  listen(host: string, port: number, options: number, callback: OnListen): UwsApp;
  listen(port: number, options: number, callback: OnListen): UwsApp;
  getDescriptor(): unknown;
  addChildAppDescriptor(descriptor: unknown): void;
  removeChildAppDescriptor(descriptor: unknown): void;
  /** Closes its listeners and all its connections at once. */
  close(): UwsApp;
}

/** The library, as far as we use it. */
export interface Uws {
  App(): UwsApp;
  SSLApp(options: { cert_file_name?: string; key_file_name?: string; ssl_ciphers: string }): UwsApp;
  us_listen_socket_close(socket: ListenSocket): void;
  us_socket_local_port(socket: ListenSocket): number;
  _cfg(setting: "silent"): void;
}

/** The library, and where it came from. */
export interface LoadedUws {
  uws: Uws;
  /** The package whose binary was loaded: `uws-pack 20.0.8`. */
  label: string;
  /** Edgicorn chose it: no operator did, by a package or by the setting `uws`. */
  isUsual: boolean;
  /** Preferred packages whose binary did not load. */
  failed: readonly FailedUws[];
}

/**
 * Loads uWebSockets.js from the preferred package whose binary loads on this machine.
 *
 * Only the primary may call this, once its limits are known: the library reads the size of a header block from the
 * environment while it loads. The dynamic linker refuses a binary before any of its code runs, so a package that does not
 * load leaves nothing behind.
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
    // Leaves out the library's own mark, a response field that tells its name and version to every client.
    uws._cfg("silent");
    const isUsual = options.choice === "auto" && !isOwnPackage(candidate);
    return { uws, label: labelOf(candidate), isUsual, failed };
  }
  const { choice } = options;
  const message = describeNoBinary(readMachine(), { failed: [...failed, ...missing], choice });
  throw new RuntimeError("ERR_LISTEN", message);
}

/**
 * Requires a package, or imports it where it is an ES module only, as `uws-pack` is.
 *
 * Import would do for both on Node 22. On Node 20 an ES module that imports a CommonJS module that throws, as the wrapper
 * of the official package does with a binary that does not load, ends the process: the error is reported a second time,
 * to a promise that only Node holds. The wrapper leaves out `_cfg`, besides.
 */
async function importUws(specifier: string): Promise<Uws> {
  try {
    // All packages offer these names, some of them undeclared.
    return createRequire(import.meta.url)(specifier) as Uws;
  } catch (error) {
    if (!isEsOnly(error)) throw error;
  }
  return (await import(specifier)) as Uws;
}

function isEsOnly(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : null;
  return code === "ERR_PACKAGE_PATH_NOT_EXPORTED" || code === "ERR_REQUIRE_ESM";
}
