import { FastRequest, patchRequest, wrapFetch } from "./fast-request.ts";
import { FastResponse, patchResponse } from "./fast-response.ts";
import { NativeResponse } from "./native.ts";

/**
 * Makes the fast web objects the globals of this process: `Request`, `Response` and `fetch`. Safe to call again.
 *
 * Node's classes keep working for code that holds on to them: old and new share their prototype objects. One thing is
 * out of reach: Node's own `Request` constructor and `fetch`, if kept from before, cannot read a lazy request. So
 * this runs in a worker before any handler is imported.
 */
export function installWebObjects(): void {
  const owner: unknown = NativeResponse.prototype.constructor;
  if (owner === FastResponse) return;
  patchRequest();
  patchResponse();
  replaceGlobal("Request", FastRequest);
  replaceGlobal("Response", FastResponse);
  replaceGlobal("fetch", wrapFetch(globalThis.fetch));
}

function replaceGlobal(name: string, value: unknown): void {
  const enumerable = Object.getOwnPropertyDescriptor(globalThis, name)?.enumerable ?? false;
  Object.defineProperty(globalThis, name, {
    value,
    enumerable,
    writable: true,
    configurable: true,
  });
}
