import { readResponse } from "./fast-response.ts";
import { formatFields } from "./fields.ts";
import type { ResponseParts } from "./any-response.ts";

/** The key of an answer in a cache, as a handler names it. */
export interface CacheRequest {
  method: string;
  /** Absolute, without a fragment. */
  url: string;
  /** Field block. */
  fields: string;
}

/** Stores and finds answers for the objects that handlers get. `cache` is the name; `null`: the default cache. */
export interface CacheCalling {
  match(cache: string | null, request: CacheRequest): Promise<Response | undefined>;
  put(cache: string | null, request: CacheRequest, parts: ResponseParts): Promise<void>;
  delete(cache: string | null, request: CacheRequest): Promise<boolean>;
}

/** Longest URL, and longest name of a cache, in characters. */
const MOST_CHARACTERS = 64 * 1024;

/**
 * One cache of `caches`: the methods and rules of Workers, which are those of the web's `Cache` where both agree. The
 * methods that Workers do not have reject.
 */
export class HandlerCache {
  readonly #calling: CacheCalling;
  readonly #name: string | null;

  constructor(calling: CacheCalling, name: string | null) {
    this.#calling = calling;
    this.#name = name;
  }

  get [Symbol.toStringTag](): string {
    return "Cache";
  }

  /** Returns the fresh answer to a GET request; `undefined`: there is none. */
  async match(request: unknown, options?: unknown): Promise<Response | undefined> {
    const wanted = toWanted("match", request, options);
    return wanted === null ? undefined : this.#calling.match(this.#name, wanted);
  }

  /**
   * Stores an answer if its fields allow it, and consumes its body.
   *
   * @throws TypeError for a method other than GET, status 206, `vary: *`, a URL that is not of http or https, and a body
   *   that was read already.
   */
  async put(request: unknown, response: unknown): Promise<void> {
    const key = toCacheRequest("put", request);
    if (key.method !== "GET") throw refusal("put", `the method ${key.method}`, "GET");
    if (!isHttp(key.url)) throw refusal("put", `the URL ${key.url}`, "one of http or https");
    // Read before the first wait: the handler may use the response meanwhile.
    return this.#calling.put(this.#name, key, toParts(response));
  }

  /** Removes the answers to a GET request, with all variants. Returns whether there was one. */
  async delete(request: unknown, options?: unknown): Promise<boolean> {
    const wanted = toWanted("delete", request, options);
    return wanted === null ? false : this.#calling.delete(this.#name, wanted);
  }

  async add(): Promise<never> {
    throw missing("cache.add", "fetch the answer, and pass it to cache.put()");
  }

  async addAll(): Promise<never> {
    throw missing("cache.addAll", "fetch the answers, and pass each to cache.put()");
  }

  async keys(): Promise<never> {
    throw missing("cache.keys", NO_LISTS);
  }

  async matchAll(): Promise<never> {
    throw missing("cache.matchAll", NO_LISTS);
  }
}

/** The global `caches`. */
export class HandlerCaches {
  readonly #calling: CacheCalling;
  readonly default: HandlerCache;

  constructor(calling: CacheCalling) {
    this.#calling = calling;
    this.default = new HandlerCache(calling, null);
  }

  get [Symbol.toStringTag](): string {
    return "CacheStorage";
  }

  /** Returns the cache of this name. Each name has answers of its own. */
  async open(name: unknown): Promise<HandlerCache> {
    if (arguments.length === 0) throw refusal("open a cache", "no name", "one");
    // Well-formed: lone surrogates become U+FFFD.
    const text = Buffer.from(String(name)).toString();
    if (text.length <= MOST_CHARACTERS) return new HandlerCache(this.#calling, text);
    throw refusal("open a cache", `a name of ${text.length} characters`, MOST);
  }

  async has(): Promise<never> {
    throw missing("caches.has", "caches.open() needs no cache that exists");
  }

  async delete(): Promise<never> {
    throw missing("caches.delete", "name the answers in cache.delete(), or purge their tag");
  }

  async keys(): Promise<never> {
    throw missing("caches.keys", NO_LISTS);
  }

  async match(): Promise<never> {
    throw missing("caches.match", "use caches.default.match()");
  }
}

const MOST = `at most ${MOST_CHARACTERS}`;

const NO_LISTS = "the answers of a cache cannot be listed";

/** Returns the request whose answer a handler looks for; `null`: no cache has an answer to it. */
function toWanted(verb: string, request: unknown, options: unknown): CacheRequest | null {
  const wanted = toCacheRequest(verb, request);
  const { ignoreMethod = false, ...others } = toOptions(options);
  for (const name of ["ignoreSearch", "ignoreVary"] as const) {
    if (others[name] === true) throw missing(name, "the whole URL and the fields of vary count");
  }
  if (wanted.method !== "GET" && !ignoreMethod) return null;
  return isHttp(wanted.url) ? wanted : null;
}

interface MatchOptions {
  ignoreMethod?: boolean;
  ignoreSearch?: boolean;
  ignoreVary?: boolean;
}

function toOptions(options: unknown): MatchOptions {
  if (options === undefined || options === null) return {};
  const read = (name: string): boolean => Boolean(Reflect.get(Object(options) as object, name));
  return {
    ignoreMethod: read("ignoreMethod"),
    ignoreSearch: read("ignoreSearch"),
    ignoreVary: read("ignoreVary"),
  };
}

function toCacheRequest(verb: string, request: unknown): CacheRequest {
  const isRequest = request instanceof Request;
  const text = isRequest ? request.url : String(request);
  if (!URL.canParse(text)) {
    const found = JSON.stringify(text.slice(0, 200));
    throw refusal(verb, found, "a Request, or an absolute URL such as https://example.com/page");
  }
  const url = new URL(text);
  url.hash = "";
  if (url.username !== "" || url.password !== "") {
    throw refusal(verb, "a URL with a user", "one without");
  }
  if (url.href.length > MOST_CHARACTERS) {
    throw refusal(verb, `a URL of ${url.href.length} characters`, MOST);
  }
  return isRequest
    ? { method: request.method, url: url.href, fields: formatFields(request.headers) }
    : { method: "GET", url: url.href, fields: "" };
}

function isHttp(url: string): boolean {
  return url.startsWith("http:") || url.startsWith("https:");
}

function toParts(response: unknown): ResponseParts {
  const isResponse = response instanceof Response;
  if (!isResponse) throw refusal("put", typeof response, "a Response");
  if (response.status === 206) throw refusal("put", "the status 206", "a whole answer");
  const vary = response.headers.get("vary") ?? "";
  if (vary.split(",").some((name) => name.trim() === "*")) {
    throw refusal("put", "vary: *", "an answer that some other request can get");
  }
  let parts: ResponseParts | null;
  try {
    parts = readResponse(response);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new TypeError(`Cannot put: ${reason}`, { cause: error });
  }
  if (parts === null) throw refusal("put", typeof response, "a Response");
  return parts;
}

function refusal(verb: string, found: string, expected: string): TypeError {
  return new TypeError(`Cannot ${verb}: found ${found}, expected ${expected}`);
}

/** The error of a member that the web has, and Workers and this server do not. */
function missing(name: string, remedy: string): TypeError {
  return new TypeError(`Cannot use ${name}: it is not there, ${remedy}`);
}
