/**
 * Types of the files that handlers may import in addition to code and JSON, and of the global `caches`. Used by
 * `"types": ["edgicorn/types"]` in a tsconfig.json, or `/// <reference types="edgicorn/types" />`. `LOADERS` in generation/compile.ts has the same list.
 */

declare module "*.txt" {
  const text: string;
  export default text;
}

declare module "*.html" {
  const text: string;
  export default text;
}

declare module "*.css" {
  const text: string;
  export default text;
}

declare module "*.md" {
  const text: string;
  export default text;
}

declare module "*.sql" {
  const text: string;
  export default text;
}

declare module "*.svg" {
  const text: string;
  export default text;
}

declare module "*.graphql" {
  const text: string;
  export default text;
}

declare module "*.gql" {
  const text: string;
  export default text;
}

declare module "*.bin" {
  const bytes: Uint8Array;
  export default bytes;
}

declare module "*.wasm" {
  /** A `WebAssembly.Module` if the project's `lib` or `types` declare it, otherwise an `object`. */
  type WasmModule = typeof globalThis extends {
    WebAssembly: { Module: { prototype: infer Module } };
  }
    ? Module
    : object;
  const module: WasmModule;
  export default module;
}

/**
 * A cache of this site's handlers, in the store of the response cache (docs/cache.md). Its other methods reject: this server
 * does not have them.
 */
interface Cache {
  /** Returns the fresh answer to a GET request, or its part or a 304, as the fields of the request ask. */
  match(
    request: Request | string | URL,
    options?: { ignoreMethod?: boolean },
  ): Promise<Response | undefined>;
  /** Stores an answer as long as its `cache-control` allows, and consumes its body. */
  put(request: Request | string | URL, response: Response): Promise<void>;
  /** Removes the answers to a URL. Returns whether there was one. */
  delete(request: Request | string | URL, options?: { ignoreMethod?: boolean }): Promise<boolean>;
}

/** The caches of this site's handlers: the default one, and others by name. */
interface CacheStorage {
  readonly default: Cache;
  open(name: string): Promise<Cache>;
}

declare var caches: CacheStorage;

/**
 * Both ends of a WebSocket, as in Workers (docs/websockets.md): `[0]` belongs into `new Response(null, { status: 101, webSocket })`,
 * and `[1]` is the handler's.
 */
// oxlint-disable-next-line typescript/consistent-type-imports -- an import statement would make this file a module
declare var WebSocketPair: new () => import("edgicorn").WebSocketPair;

/** The module of Workers of the same name (docs/from-workers.md). */
declare module "cloudflare:workers" {
  import type { Context, Environment } from "edgicorn";
  type Env = Environment;
  /** `env` without a request. It has no bindings of single sites. */
  export const env: Env;
  /** Lets a promise go on after the response was sent. */
  export function waitUntil(promise: Promise<unknown>): void;
  /** Base of a default export with the methods `fetch(request)` and `scheduled(event)`. */
  export abstract class WorkerEntrypoint<E = Env> {
    constructor(context: Context, env: E);
    protected readonly ctx: Context;
    protected readonly env: E;
  }
  // oxlint-disable-next-line typescript/no-extraneous-class -- Workers have an empty class, too
  export abstract class RpcTarget {}
}
