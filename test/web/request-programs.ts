import { inspect } from "node:util";
import type { RequestParts } from "../../runtime/web/fast-request.ts";
import {
  describeMembers,
  hex,
  outcomeOf,
  readChunks,
  showHeaders,
  showRequest,
  thrownBy,
  type Programs,
} from "./differential.ts";

/** Where requests come from: Node's constructor, or `createRequest()`. */
export interface RequestSource {
  create(parts: RequestParts): Request;
  abort(request: Request, reason: unknown): void;
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function streamOf(...chunks: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(encode(chunk));
      controller.close();
    },
  });
}

/** A stream that gives one chunk and then nothing more. */
function endless(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(encode("first"));
    },
  });
}

const GET = { method: "GET", url: "http://localhost:8080/a/b?c=d", fields: "", body: null };
const POST = { ...GET, method: "POST" };

const PARTS: Record<string, () => RequestParts> = {
  get: () => ({ ...GET, fields: "host\nlocalhost\naccept\n*/*\ncookie\na=1\nx-empty\n" }),
  head: () => ({ ...GET, method: "HEAD" }),
  "repeated fields": () => ({
    ...GET,
    fields: "cookie\na=1\nx\n1\ncookie\nb=2\nx\n2\nset-cookie\nc=3\nset-cookie\nd=4",
  }),
  "forbidden fields": () => ({
    ...GET,
    fields: "connection\nclose\norigin\nhttp://a\nsec-fetch-mode\ncors\ntransfer-encoding\nchunked",
  }),
  "latin1 field": () => ({ ...GET, fields: "x\ncaf\u00e9" }),
  "bare question mark": () => ({ ...GET, url: "http://localhost/a?" }),
  "bare hash": () => ({ ...GET, url: "http://localhost/a#" }),
  "https and port": () => ({ ...GET, url: "https://example.com:8443/%7Ea//b/?q=%20#f" }),
  ipv6: () => ({ ...GET, url: "http://[::1]:3000/" }),
  ...Object.fromEntries(
    [
      "get",
      "gEt",
      "head",
      "options",
      "Post",
      "put",
      "delete",
      "PATCH",
      "Patch",
      "QUERY",
      "purge",
    ].map((method) => [`method ${method}`, () => ({ ...GET, method })]),
  ),
  "no body": () => POST,
  "empty body": () => ({ ...POST, body: new Uint8Array(0) }),
  text: () => ({ ...POST, fields: "content-type\ntext/plain", body: encode("hi ü") }),
  json: () => ({ ...POST, fields: "content-type\napplication/json", body: encode('{"a":1}') }),
  "broken json": () => ({ ...POST, body: encode('{"a":') }),
  mark: () => ({ ...POST, body: encode("\ufeff{}") }),
  "two marks": () => ({ ...POST, body: encode("\ufeff\ufeff{}") }),
  "bad utf-8": () => ({ ...POST, body: new Uint8Array([0x61, 0xff, 0xe2, 0x82, 0x62]) }),
  "part of a buffer": () => ({ ...POST, body: Buffer.from("..body..").subarray(2, 6) }),
  form: () => ({
    ...POST,
    fields: "content-type\napplication/x-www-form-urlencoded",
    body: encode("a=1&b=%20+x&b=%FF&=&c"),
  }),
  "form with parameters": () => ({
    ...POST,
    fields: 'content-type\nApplication/X-Www-Form-Urlencoded;Charset="x"',
    body: encode("?a=1"),
  }),
  multipart: () => ({
    ...POST,
    fields: "content-type\nmultipart/form-data; boundary=XX",
    body: encode(
      '--XX\r\ncontent-disposition: form-data; name="a"\r\n\r\n1\r\n' +
        '--XX\r\ncontent-disposition: form-data; name="f"; filename="f.txt"\r\ncontent-type: text/plain\r\n\r\nxyz\r\n--XX--\r\n',
    ),
  }),
  "broken multipart": () => ({
    ...POST,
    fields: "content-type\nmultipart/form-data; boundary=XX",
    body: encode("--XX\r\n"),
  }),
  "typed with parameters": () => ({
    ...POST,
    fields: "content-type\nText/HTML; Charset=UTF-8; x",
    body: encode("x"),
  }),
  "broken type": () => ({ ...POST, fields: "content-type\n;;", body: encode("x") }),
  "two types": () => ({
    ...POST,
    fields: "content-type\na/b\ncontent-type\nc/d",
    body: encode("x"),
  }),
  stream: () => ({ ...POST, body: streamOf("one", "two") }),
  "empty stream": () => ({ ...POST, body: streamOf() }),
};

const METHODS = ["text", "json", "arrayBuffer", "bytes", "blob", "formData"] as const;
type Reading = (request: Request) => Promise<string>;

function reading(method: (typeof METHODS)[number]): Reading {
  return (request) =>
    outcomeOf(async () => {
      const read = Reflect.get(request, method) as () => Promise<unknown>;
      const value = await Reflect.apply(read, request, []);
      if (value instanceof Blob)
        return [value.constructor === Blob, value.type, await value.text()];
      if (!(value instanceof FormData)) return value;
      return Promise.all(
        [...value].map(async ([name, entry]) =>
          typeof entry === "string"
            ? [name, entry]
            : [name, entry.name, entry.type, await entry.text()],
        ),
      );
    });
}

/** What one does with a request and its body; `read` is one of the six ways. */
const USES: Record<string, (request: Request, read: Reading) => unknown> = {
  "read once": async (request, read) => [request.bodyUsed, await read(request), request.bodyUsed],
  "read twice": async (request, read) => [await read(request), await read(request)],
  "used at once": async (request, read) => {
    const promise = read(request);
    const used = request.bodyUsed;
    return [used, await promise];
  },
  "read after headers were changed": async (request, read) => {
    request.headers.set("content-type", "X/Y; Z=1");
    return [await read(request), showHeaders(request.headers)];
  },
  "read after headers were changed and body was seen": async (request, read) => {
    const { body } = request;
    request.headers.set("content-type", "X/Y; Z=1");
    return [await read(request), body === request.body, request.bodyUsed];
  },
  "read while locked": async (request, read) => {
    const reader = request.body?.getReader();
    const locked = [request.bodyUsed, await read(request)];
    reader?.releaseLock();
    return [locked, await read(request)];
  },
  "read, then body": async (request, read) => {
    await read(request);
    const { body } = request;
    return [body === null, body?.locked, request.bodyUsed, thrownBy(() => body?.getReader())];
  },
  "read, then clone": async (request, read) => {
    await read(request);
    return thrownBy(() => request.clone());
  },
  "read, then new Request": async (request, read) => {
    await read(request);
    return thrownBy(() => new Request(request));
  },
  "read a clone, then the original": async (request, read) => {
    const clone = request.clone();
    return [await read(clone), request.bodyUsed, await read(request), clone.bodyUsed];
  },
  "read the original, then a clone": async (request, read) => {
    const clone = request.clone().clone();
    return [await read(request), clone.bodyUsed, await read(clone)];
  },
  "read through new Request": async (request, read) => {
    const other = new Request(request);
    return [await read(other), request.bodyUsed, other.bodyUsed, await read(request)];
  },
};

/** What one does with a request in other respects. */
const OTHER_USES: Record<string, (request: Request) => unknown> = {
  shown: (request) => showRequest(request),
  "shown as a clone": (request) => showRequest(request.clone()),
  "shown as a copy": (request) => showRequest(new Request(request)),
  chunks: async (request) => (await readChunks(request.body)) !== undefined,
  "copied with init": (request) =>
    showRequest(new Request(request, { headers: { "x-new": "1" }, redirect: "manual" })),
  "copied with another method": (request) => showRequest(new Request(request, { method: "PUT" })),
  "copied with another body": (request) =>
    showRequest(new Request(request, { method: "POST", body: "new" })),
  "used as init": (request) => showRequest(new Request("http://other/", request)),
  "copied after a change": (request) => {
    request.headers.set("x-changed", "1");
    request.headers.delete("accept");
    return showRequest(new Request(request));
  },
  "copied before and after a change": async (request) => {
    const first = request.clone();
    request.headers.append("x", "new");
    const second = request.clone();
    return [showHeaders(first.headers), showHeaders(second.headers), showHeaders(request.headers)];
  },
  "same objects": (request) => [
    request.headers === request.headers,
    request.signal === request.signal,
    request.body === request.body,
    request.clone().headers === request.headers,
    request.clone().signal === request.signal,
  ],
  "same objects after it turned into Node's": (request) => {
    const { headers, signal } = request;
    const { cache } = request;
    return [headers === request.headers, signal === request.signal, cache];
  },
  inspected: (request) => inspect(request, { colors: false }),
  tag: (request) => Object.prototype.toString.call(request),
  keys: (request) => [
    Object.keys(request),
    JSON.stringify(request),
    Object.getOwnPropertyNames(request),
  ],
  "inherited keys": (request) => {
    const keys: string[] = [];
    // oxlint-disable-next-line guard-for-in -- inherited keys are the point
    for (const key in request) keys.push(key);
    return keys.toSorted();
  },
  class: (request) => [
    request instanceof Request,
    request.constructor === Request,
    Object.getPrototypeOf(request) === Request.prototype,
    request.clone() instanceof Request,
  ],
  "read only": (request) => [
    thrownBy(() => Object.assign(request, { url: "x" })),
    thrownBy(() => Object.assign(request, { method: "x" })),
    thrownBy(() => Object.assign(request, { headers: "x" })),
  ],
  "own properties": (request) => Object.keys(Object.assign(request, { params: { id: 1 } })),
  frozen: (request) => showRequest(Object.freeze(request)),
  structuredClone: (request) => inspect(structuredClone(request, {})),
  "headers take what Node's take": ({ headers }) => [
    thrownBy(() => headers.set("a b", "c")),
    thrownBy(() => headers.set("a", "\n\0")),
    thrownBy(() => headers.append("host", "other")),
    thrownBy(() => headers.set("cookie", "z=1")),
    showHeaders(headers),
  ],
  "fetched in vain": (request) =>
    outcomeOf(() => fetch(new Request(request, { signal: AbortSignal.abort("no") }))),
  "copied by a derived class": async (request) => {
    class Derived extends Request {
      extra = 1;
    }
    const derived = new Derived(request, { headers: { a: "b" } });
    return [
      derived instanceof Derived,
      derived.extra,
      derived.constructor === Derived,
      await showRequest(derived),
    ];
  },
};

/** Aborting; also with those who look only later. */
const ABORTING: Record<string, (source: RequestSource) => unknown> = {
  "before signal was seen": (source) => {
    const request = source.create(POST);
    source.abort(request, "gone");
    return stateOf(request);
  },
  "after signal was seen": (source) => {
    const request = source.create(POST);
    const { signal } = request;
    const seen: unknown[] = [];
    signal.addEventListener("abort", () => seen.push("event"));
    // oxlint-disable-next-line prefer-add-event-listener -- it is an interface of its own
    signal.onabort = () => seen.push("handler");
    source.abort(request, "gone");
    return [seen, stateOf(request), signal === request.signal];
  },
  "without a reason": (source) => {
    const request = source.create(POST);
    source.abort(request, undefined);
    const reason = request.signal.reason as DOMException;
    return [reason instanceof DOMException, reason.name, reason.message];
  },
  "with null": (source) => {
    const request = source.create(POST);
    source.abort(request, null);
    return stateOf(request);
  },
  twice: (source) => {
    const request = source.create(POST);
    source.abort(request, 1);
    source.abort(request, 2);
    return stateOf(request);
  },
  "reaches clones": (source) => {
    const request = source.create(POST);
    const early = request.clone();
    const cloneOfClone = early.clone();
    const seen: unknown[] = [];
    cloneOfClone.signal.addEventListener("abort", () => seen.push("event"));
    const { cache } = request;
    const late = request.clone();
    const copy = new Request(request);
    source.abort(request, "gone");
    const signals = [early, cloneOfClone, late, copy, request.clone()].map(stateOf);
    return [cache, seen, signals];
  },
  "a whole body stays readable": async (source) => {
    const request = source.create({ ...POST, body: encode("whole") });
    source.abort(request, "gone");
    return request.text();
  },
  "a whole body stays readable as a stream": async (source) => {
    const request = source.create({ ...POST, body: encode("whole") });
    const { body } = request;
    source.abort(request, "gone");
    return readChunks(body);
  },
  throwIfAborted: (source) => {
    const request = source.create(POST);
    source.abort(request, new RangeError("mine"));
    return thrownBy(() => request.signal.throwIfAborted());
  },
  "a fetch of it fails": (source) => {
    const request = source.create(POST);
    source.abort(request, new RangeError("mine"));
    return outcomeOf(() => fetch(request));
  },
};

// Apart, because linters know that Node refuses it.
const withBody = { method: "HEAD", body: "x" };

function stateOf({ signal }: Request): unknown[] {
  return [signal.aborted, signal.reason];
}

/** Of the class itself, and of requests that do not come from a client. */
const CLASS: Programs = {
  function: () => [Request.name, Request.length, typeof Request],
  fetch: () => {
    const { enumerable, configurable, writable } =
      Object.getOwnPropertyDescriptor(globalThis, "fetch") ?? {};
    return [fetch.name, fetch.length, enumerable, configurable, writable];
  },
  global: () => {
    const { enumerable, configurable } =
      Object.getOwnPropertyDescriptor(globalThis, "Request") ?? {};
    return [enumerable, configurable];
  },
  prototypes: () => [
    Request.prototype.constructor === Request,
    Object.getPrototypeOf(Request) === Function.prototype,
    Object.getPrototypeOf(Request.prototype) === Object.prototype,
  ],
  "static keys": () => Reflect.ownKeys(Request).map(String).toSorted(),
  descriptors: () => [describeMembers(Request.prototype), describeMembers(Request)],
  "without new": () => Reflect.apply(Request, undefined, ["http://a/"]) as unknown,
  "without arguments": () => Reflect.construct(Request, []) as unknown,
  "of a string": () => showRequest(new Request("http://a/b?")),
  "of a URL": () => showRequest(new Request(new URL("http://a/b"))),
  "of an object": () => new Request({ url: "http://a/" } as Request),
  "of a bad URL": () => new Request("/relative"),
  "of credentials": () => new Request("http://u:p@a/"),
  "with wrong init": () => [
    thrownBy(() => new Request("http://a/", { method: "CONNECT" })),
    thrownBy(() => new Request("http://a/", { method: "a b" })),
    thrownBy(() => new Request("http://a/", withBody)),
    thrownBy(() => new Request("http://a/", { method: "POST", body: streamOf("x") })),
    thrownBy(() => new Request("http://a/", { headers: { "a b": "c" } })),
    thrownBy(() => new Request("http://a/", 5 as never)),
    thrownBy(() => new Request("http://a/", { signal: {} as never })),
    thrownBy(() => new Request("http://a/", { mode: "navigate" })),
  ],
  "init null": () => showRequest(new Request("http://a/", null as never)),
  "members of a stranger": () =>
    Object.entries(Object.getOwnPropertyDescriptors(Request.prototype)).map(
      ([name, descriptor]) => [
        name,
        ...[{}, undefined, Request.prototype, new Headers()].map((receiver) =>
          thrownBy(() => {
            const getter: unknown = Reflect.get(descriptor, "get");
            return typeof getter === "function"
              ? (Reflect.apply(getter, receiver, []) as unknown)
              : null;
          }),
        ),
      ],
    ),
  ...Object.fromEntries(
    [...METHODS, "clone"].map((method) => [
      `${method} of a stranger`,
      () => Reflect.apply(Reflect.get(Request.prototype, method) as () => unknown, {}, []),
    ]),
  ),
  "fetch of nothing": () =>
    outcomeOf(() => Reflect.apply(fetch, undefined, []) as Promise<unknown>),
  "fetch of a bad URL": () => outcomeOf(() => fetch("relative")),
  "fetch is asynchronous": () => {
    const promise = fetch("relative");
    promise.catch(() => undefined);
    return promise instanceof Promise;
  },
  "fetch of data": async () => {
    const response = await fetch("data:text/x-test,hello");
    return [
      [
        response instanceof Response,
        response.constructor === Response,
        response.url,
        response.type,
      ],
      await new Response(response.body, response).text(),
    ];
  },
};

/** Programs about `Request`; they use the globals of the time when they run. */
export function requestPrograms(source: RequestSource): Programs {
  const programs: Programs = { ...CLASS };
  for (const [kind, parts] of Object.entries(PARTS)) {
    for (const [name, use] of Object.entries(OTHER_USES)) {
      programs[`${kind}: ${name}`] = () => use(source.create(parts()));
    }
    if (parts().method !== "POST") continue;
    for (const [name, use] of Object.entries(USES)) {
      for (const method of METHODS) {
        programs[`${kind}: ${name}, ${method}()`] = () =>
          use(source.create(parts()), reading(method));
      }
    }
  }
  for (const [name, program] of Object.entries(ABORTING)) {
    programs[`abort ${name}`] = () => program(source);
  }
  programs["a byte reader works"] = async () => {
    const request = source.create({ ...POST, body: encode("bytes") });
    const result = await request.body?.getReader({ mode: "byob" }).read(new Uint8Array(8));
    return result?.value === undefined ? null : hex(result.value);
  };
  programs["a stream that does not end can be cancelled"] = async () => {
    const request = source.create({ ...POST, body: endless() });
    const reader = request.body?.getReader();
    const first = await reader?.read();
    await reader?.cancel("enough");
    const chunk = first?.value as Uint8Array | undefined;
    const last = await reader?.read();
    return [chunk && hex(chunk), last?.done, request.bodyUsed];
  };
  return programs;
}
