import { NativeRequest } from "../web/native.ts";
import { requestState } from "../web/request-state.ts";

/**
 * Gives requests of clients the property `cf` of Workers, an empty object. Modules for Workers read facts about the client from
 * it, and this server knows none of them. Requests of handlers have `undefined`.
 */
export function defineRequestCf(): void {
  if ("cf" in NativeRequest.prototype) return;
  Object.defineProperty(NativeRequest.prototype, "cf", {
    get(this: unknown) {
      return requestState(this) === undefined ? undefined : NO_FACTS;
    },
    enumerable: false,
    configurable: true,
  });
}

const NO_FACTS = Object.freeze({});
