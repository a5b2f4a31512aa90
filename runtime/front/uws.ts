import type { HttpRequest, HttpResponse, us_listen_socket } from "uWebSockets.js";
import { RuntimeError } from "../errors.ts";

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
  addServerName(name: string, options: { cert_file_name: string; key_file_name: string }): UwsApp;
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
  SSLApp(options: { cert_file_name?: string; key_file_name?: string }): UwsApp;
  us_listen_socket_close(socket: ListenSocket): void;
  us_socket_local_port(socket: ListenSocket): number;
  _cfg(setting: "silent"): void;
}

/**
 * Loads uWebSockets.js: the npm alias as well as the official package, whose names come as an ES module's or on a
 * CommonJS default.
 *
 * Only the primary may call this, once its limits are known: the library reads the size of a header block from the
 * environment while it loads.
 *
 * @throws RuntimeError `ERR_LISTEN` when there is no binary for this platform.
 */
export async function loadUws(options: { headerLimitBytes: number }): Promise<Uws> {
  process.env["UWS_HTTP_MAX_HEADERS_SIZE"] = String(options.headerLimitBytes);
  let namespace: Uws | { default: Uws };
  try {
    // Both import shapes offer these names, some of them undeclared (uws-notes section 1).
    namespace = (await import("uWebSockets.js")) as unknown as Uws | { default: Uws };
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
    throw new RuntimeError("ERR_LISTEN", describeMissingBinary(reason), { cause: error });
  }
  const uws = "App" in namespace ? namespace : namespace.default;
  // Leaves out the library's own mark, a response field that tells its name and version to every client.
  uws._cfg("silent");
  return uws;
}

function describeMissingBinary(reason: string): string {
  const { platform, arch, version, versions } = process;
  return (
    `Cannot load uWebSockets.js (${reason}): found ${platform}-${arch} with Node ${version} (ABI ${versions.modules}), ` +
    `expected Node 20 or 22 on Linux (glibc 2.27 or later), macOS or Windows; for Node 24 set the package ` +
    `"uWebSockets.js" to "github:uNetworking/uWebSockets.js#v20.66.0" (glibc 2.38 or later)`
  );
}
