/** Fields that a proxy adds to each request. */
const OF_PROXIES: ReadonlySet<string> = new Set([
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-real-ip",
]);

/** Fields in which proxies with single sign-on name the user. */
const OF_SINGLE_SIGN_ON =
  /^(?:remote|x-remote|x-forwarded|x-auth-request|x-authentik|x-webauth|x-token|x-authenticated|x)-(?:user|username|name|groups|preferred-username|user-name)$/;

const ABOUT_PROXIES =
  "requests come through a proxy: it must close idle connections to this server after less than 8 s " +
  "(Nginx: keepalive_timeout 5s in the upstream; HAProxy: timeout http-keep-alive 5s). Otherwise it sometimes sends a " +
  "request on a connection that this server is closing, and answers 502";

const ABOUT_DROPPED =
  "forwarding fields were left out: their sender is not a trusted proxy. If it is a proxy of yours, name its address in " +
  "trustedProxies; handlers, limits and logs then see the client's address, scheme and host";

/**
 * Warns the operator, once each, about problems that a proxy in front of this server can cause. Recognises such a proxy
 * by the fields of its requests.
 */
export class ProxyNotes {
  readonly #warn: (fields: { field: string; peer?: string }, message: string) => void;
  #toldOfProxy = false;
  #toldOfDropped = false;
  #toldOfSignOn = false;

  constructor(warn: (fields: { field: string; peer?: string }, message: string) => void) {
    this.#warn = warn;
  }

  /** Must be called for each forwarding field that was left out because its sender is not trusted. */
  dropped(field: string, peer: string): void {
    if (this.#toldOfDropped) return;
    this.#toldOfDropped = true;
    this.#warn({ field, peer }, ABOUT_DROPPED);
  }

  /** Must be called at least once for each field name, in lower case. */
  sawField(field: string): void {
    if (!this.#toldOfProxy && OF_PROXIES.has(field)) {
      this.#toldOfProxy = true;
      this.#warn({ field }, ABOUT_PROXIES);
    }
    if (!this.#toldOfSignOn && OF_SINGLE_SIGN_ON.test(field)) {
      this.#toldOfSignOn = true;
      this.#warn({ field }, aboutSignOn(field));
    }
  }
}

function aboutSignOn(field: string): string {
  return (
    `requests carry ${field}: at both ends of a value the parser drops characters outside of ASCII ("José" arrives as ` +
    '"Jos"), so two users may look like one. Let the proxy send an identifier in ASCII, or encode the value (RFC 8187)'
  );
}
