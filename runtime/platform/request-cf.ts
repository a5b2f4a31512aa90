import { NativeRequest } from "../web/native.ts";
import { requestState } from "../web/request-state.ts";

/**
 * Gives requests of clients the property `cf` of Workers. Modules for Workers read facts about the client from it, and this server
 * knows one of them: `httpProtocol`. Requests of handlers have `undefined`.
 */
export function defineRequestCf(): void {
  if ("cf" in NativeRequest.prototype) return;
  Object.defineProperty(NativeRequest.prototype, "cf", {
    get(this: unknown) {
      const state = requestState(this);
      return state === undefined ? undefined : FACTS[state.protocol ?? "HTTP/1.1"];
    },
    enumerable: false,
    configurable: true,
  });
}

/** Workers write HTTP/2 without a minor version, as browsers do. */
const FACTS = {
  "HTTP/1.0": Object.freeze({ httpProtocol: "HTTP/1.0" }),
  "HTTP/1.1": Object.freeze({ httpProtocol: "HTTP/1.1" }),
  "HTTP/2.0": Object.freeze({ httpProtocol: "HTTP/2" }),
} as const;
