import { fromTlsNumber } from "../lib/tls-facts.ts";
import { NativeRequest } from "../web/native.ts";
import { requestState } from "../web/request-state.ts";

/** The facts about a client that this server knows, in the words of Workers. */
interface Facts {
  readonly httpProtocol: string;
  readonly tlsVersion?: string;
  readonly tlsCipher?: string;
}

/**
 * Gives requests of clients the property `cf` of Workers. Modules for Workers read facts about the client from it. This server
 * knows `httpProtocol`, and its engine `node` also `tlsVersion` and `tlsCipher`. Requests of handlers have `undefined`.
 */
export function defineRequestCf(): void {
  if ("cf" in NativeRequest.prototype) return;
  const known = new Map<string, Facts>();
  Object.defineProperty(NativeRequest.prototype, "cf", {
    get(this: unknown) {
      const state = requestState(this);
      if (state === undefined) return undefined;
      const { protocol, tls } = state;
      const key = `${protocol} ${tls}`;
      let facts = known.get(key);
      if (facts === undefined) known.set(key, (facts = toFacts(protocol ?? "HTTP/1.1", tls)));
      return facts;
    },
    enumerable: false,
    configurable: true,
  });
}

function toFacts(protocol: string, tls: number): Facts {
  // Workers write HTTP/2 without a minor version, as browsers do.
  const httpProtocol = protocol === "HTTP/2.0" ? "HTTP/2" : protocol;
  const facts = fromTlsNumber(tls);
  return Object.freeze({
    httpProtocol,
    ...(facts !== null && { tlsVersion: facts.version }),
    ...(facts?.cipher !== undefined && { tlsCipher: facts.cipher }),
  });
}
