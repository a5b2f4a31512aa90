import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { scheduler } from "node:timers/promises";
import { CloseEvent, ErrorEvent, PromiseRejectionEvent } from "./event-classes.ts";
import type { GlobalEvents } from "./global-events.ts";
import { createHtmlRewriter } from "./html-rewriter.ts";
import { defineLazyGlobal } from "./lazy-global.ts";
import { loadPackage, unlessMissing } from "./load-package.ts";
import { defineRequestCf } from "./request-cf.ts";
import { createFixedLengthStream, createIdentityTransformStream } from "./stream-classes.ts";
import { extendCrypto } from "./workers-crypto.ts";

/** Has the WebSocket client that Node 22 has built in. A test compares it with package.json. */
export const WEB_SOCKET_PACKAGE = "undici@6.29.1";

/** Global functions, which programs also call without an object. */
const EVENT_METHODS = [
  "addEventListener",
  "removeEventListener",
  "dispatchEvent",
  "reportError",
] as const;

const EVENT_HANDLERS = ["error", "unhandledrejection", "rejectionhandled"];

/**
 * Defines the globals of a worker that this version of Node lacks: those of the Minimum Common Web API (ECMA-429), and those
 * that modules for Workers use. Each is created by its first use (docs/web-api.md has the list). Safe to call again.
 *
 * @param tell Gets a message when a global is `undefined` since an optional package is not installed, once for each.
 * @returns The names that were defined.
 */
export function installGlobals(events: GlobalEvents, tell: (message: string) => void): string[] {
  const load = createRequire(import.meta.url);
  const creators: Readonly<Record<string, () => unknown>> = {
    self: () => globalThis,
    ErrorEvent: () => ErrorEvent,
    PromiseRejectionEvent: () => PromiseRejectionEvent,
    CloseEvent: () => CloseEvent,
    URLPattern: () => readExport(load("urlpattern-polyfill/urlpattern"), "URLPattern"),
    WebSocket: () =>
      unlessMissing(
        () => readExport(loadPackage(WEB_SOCKET_PACKAGE, "WebSocket"), "WebSocket"),
        tell,
      ),
    navigator: createNavigator,
    scheduler: () => scheduler,
    HTMLRewriter: () => unlessMissing(createHtmlRewriter, tell),
    FixedLengthStream: createFixedLengthStream,
    IdentityTransformStream: createIdentityTransformStream,
  };
  const added = Object.entries(creators).filter(([name, create]) => defineLazyGlobal(name, create));
  for (const name of EVENT_METHODS) {
    const bound = events[name].bind(events);
    Object.defineProperty(bound, "name", { value: name });
    if (defineLazyGlobal(name, () => bound)) added.push([name, () => bound]);
  }
  for (const type of EVENT_HANDLERS) {
    if (defineHandler(type, events)) added.push([`on${type}`, () => null]);
  }
  wrapCrypto();
  defineRequestCf();
  return added.map(([name]) => name);
}

function readExport(exports: unknown, name: string): unknown {
  return Reflect.get(Object(exports) as object, name);
}

function defineHandler(type: string, events: GlobalEvents): boolean {
  if (`on${type}` in globalThis) return false;
  Object.defineProperty(globalThis, `on${type}`, {
    get: () => events.handlerOf(type),
    set(handler: unknown) {
      events.setHandler(type, handler);
    },
    enumerable: false,
    configurable: true,
  });
  return true;
}

/** `navigator` as Node 21 and later have it. */
function createNavigator(): object {
  const language: string = Intl.DateTimeFormat().resolvedOptions().locale;
  const languages = Object.freeze([language]);
  class Navigator {
    get userAgent(): string {
      return `Node.js/${process.versions.node.split(".")[0] ?? ""}`;
    }

    get hardwareConcurrency(): number {
      return availableParallelism();
    }

    get language(): string {
      return language;
    }

    get languages(): readonly string[] {
      return languages;
    }
  }
  return new Navigator();
}

/** Node creates `crypto` at its first use, which is too early at the start of a worker. */
function wrapCrypto(): void {
  const own = Object.getOwnPropertyDescriptor(globalThis, "crypto");
  if (own === undefined) return;
  const get: unknown = Reflect.get(own, "get");
  if (typeof get !== "function" || get.name === WRAPPED) return;
  const wrapped = {
    get [NAME](): unknown {
      const crypto: unknown = Reflect.apply(get, globalThis, []);
      Object.defineProperty(globalThis, "crypto", own);
      // Node's own object.
      extendCrypto(crypto as { subtle: object });
      return crypto;
    },
  };
  const getter = Object.getOwnPropertyDescriptor(wrapped, NAME);
  Object.defineProperty(globalThis, "crypto", { ...own, ...getter, enumerable: true });
}

const NAME = "crypto of a worker";
const WRAPPED = `get ${NAME}`;
