import { Readable } from "node:stream";
import { inspect } from "node:util";
import {
  describeMembers,
  hex,
  outcomeOf,
  readChunks,
  showHeaders,
  showResponse,
  thrownBy,
  type Programs,
} from "./differential.ts";

/** Values of any type, for constructors that declare what they expect. */
const odd = (value: unknown): never => value as never;

const streamOf = (...chunks: string[]): ReadableStream<Uint8Array> =>
  ReadableStream.from(
    chunks.map((chunk) => new TextEncoder().encode(chunk)),
  ) as ReadableStream<Uint8Array>;

const BODIES: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  empty: () => "",
  text: () => "hi",
  wide: () => "grüße 🦄 漢字",
  "lone surrogate": () => "a\ud800b",
  "byte order mark": () => "\ufeffhi",
  bytes: () => new Uint8Array([1, 2, 255]),
  "no bytes": () => new Uint8Array(0),
  "bytes with mark": () => new Uint8Array([0xef, 0xbb, 0xbf, 0x68]),
  "bytes with two marks": () => new Uint8Array([0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf, 0x68]),
  "bad utf-8": () => new Uint8Array([0xff, 0xc3, 0x28, 0x61, 0xe2, 0x82]),
  Buffer: () => Buffer.from("pooled"),
  "part of a buffer": () => new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3),
  ArrayBuffer: () => new Uint8Array([7, 8]).buffer,
  DataView: () => new DataView(new Uint8Array([7, 8, 9]).buffer, 1),
  Uint16Array: () => new Uint16Array([0x0102, 0x0304]),
  SharedArrayBuffer: () => odd(new Uint8Array(new SharedArrayBuffer(2))),
  URLSearchParams: () => new URLSearchParams({ a: "1", b: "ü" }),
  Blob: () => new Blob(["blob"], { type: "text/x-test" }),
  stream: () => streamOf("one", "two"),
  iterable: () => odd(Readable.from([Buffer.from("x")])),
  number: () => odd(7),
  zero: () => odd(0),
  false: () => odd(false),
  object: () => odd({}),
  array: () => odd([1, 2]),
  "own toString": () => odd({ toString: () => "mine" }),
  symbol: () => odd(Symbol("s")),
  detached: () => {
    const bytes = new Uint8Array(4);
    structuredClone(bytes, { transfer: [bytes.buffer] });
    return bytes;
  },
};

const HEADERS: Record<string, () => unknown> = {
  "one field": () => ({ "x-a": "1" }),
  "upper case": () => ({ "X-Custom-NAME": "Value" }),
  "same field twice, other case": () => ({ "X-A": "1", "x-a": "2" }),
  "same field twice, other case first": () => ({ "x-a": "1", "X-A": "2" }),
  "content-type": () => ({ "content-type": "text/html" }),
  "Content-Type": () => ({ "Content-Type": "text/html; charset=utf-8" }),
  "content-type twice": () => [
    ["content-type", "a/b"],
    ["Content-Type", "c/d"],
  ],
  "a value that is a name": () => ({ vary: "content-type", "Content-Type": "a/b" }),
  "value is content-type": () => ({ vary: "content-type" }),
  trimmed: () => ({ a: "  x\t", b: "\r\n y \n" }),
  "inner blanks": () => ({ a: "x \t y" }),
  "empty value": () => ({ a: "", b: "1" }),
  "only blanks": () => ({ a: "   " }),
  latin1: () => ({ a: "caf\u00e9" }),
  "above latin1": () => ({ a: "\u0100" }),
  "name above latin1": () => ({ "\u0100": "a" }),
  emoji: () => ({ a: "🦄" }),
  "carriage return": () => ({ a: "x\ry" }),
  "line feed": () => ({ a: "x\ny" }),
  injection: () => ({ a: "x\r\nset-cookie: y" }),
  nul: () => ({ a: "x\0y" }),
  "control characters": () => ({ a: "x\u0001\u001f\u007fy" }),
  "empty name": () => ({ "": "x" }),
  "blank in name": () => ({ "a b": "x" }),
  "colon in name": () => ({ "a:": "x" }),
  "line feed in name": () => ({ "a\n": "x" }),
  "all token characters": () => ({ "!#$%&'*+-.^_`|~09azAZ": "x" }),
  "long name": () => ({ ["x".repeat(300)]: "x" }),
  number: () => ({ a: 1, b: 1.5, c: -0, d: Number.NaN }),
  "undefined value": () => ({ a: undefined }),
  "null value": () => ({ a: null }),
  "boolean value": () => ({ a: true }),
  "array value": () => ({ a: ["x", "y"] }),
  "object value": () => ({ a: { toString: () => "mine" } }),
  "symbol value": () => ({ a: Symbol("s") }),
  "symbol key": () => ({ [Symbol("s")]: "x" }),
  "hidden key": () => Object.defineProperty({ b: "1" }, "a", { value: "x" }),
  "number key": () => ({ b: "1", 5: "x" }),
  "own __proto__": () => JSON.parse('{"__proto__": "x", "a": "1"}') as unknown,
  "no prototype": () => Object.assign(Object.create(null), { a: "1" }) as unknown,
  "inherited key": () => Object.create({ a: "1" }) as unknown,
  getter: () => ({
    get a() {
      return "got";
    },
  }),
  "throwing getter": () => ({
    get a(): string {
      throw new RangeError("mine");
    },
  }),
  "class instance": () =>
    new (class Fields {
      a = "1";
    })(),
  proxy: () => new Proxy({ a: "1" }, {}),
  pairs: () => [
    ["a", "1"],
    ["B", "2"],
    ["a", "3"],
  ],
  cookies: () => [
    ["set-cookie", "a=1"],
    ["x", "y"],
    ["Set-Cookie", "b=2"],
  ],
  "cookie twice": () => [
    ["cookie", "a=1"],
    ["cookie", "b=2"],
  ],
  "short pair": () => [["a"]],
  "long pair": () => [["a", "b", "c"]],
  "pair with a number": () => [["a", 1]],
  "string pair": () => ["ab"],
  "set as pair": () => [new Set(["a", "b"])],
  "empty array": () => [],
  "sparse array": () => Array.from({ length: 1 }),
  Map: () => new Map([["a", "1"]]),
  iterator: () => makePairs(),
  Headers: () => new Headers({ "X-A": "1", "content-type": "a/b" }),
  "Headers with cookies": () =>
    new Headers([
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ]),
  "Headers subclass": () => new (class More extends Headers {})({ a: "1" }),
  "Headers with own iterator": () =>
    Object.assign(new Headers({ a: "1" }), {
      *[Symbol.iterator]() {
        yield ["b", "2"];
      },
    }),
  "not really Headers": () => Object.create(Headers.prototype) as unknown,
  URLSearchParams: () => new URLSearchParams("a=1&b=2"),
  undefined: () => undefined,
  null: () => null,
  string: () => "a: b",
  "empty string": () => "",
  true: () => true,
  function: () => () => undefined,
  "empty object": () => ({}),
  "field of each kind": () => ({
    "cache-control": "no-store",
    ETag: '"x"',
    Link: "<a>; rel=b, <c>",
  }),
};

const STATUSES: unknown[] = [
  0, 100, 101, 103, 199, 200, 201, 204, 205, 206, 299, 300, 304, 404, 599,
];
STATUSES.push(600, 1000, 200.5, -1, 65_736, 2 ** 32 + 200, Number.NaN, Number.POSITIVE_INFINITY);
STATUSES.push("200", "abc", "", null, true, [204], {}, 200n);

const INITS: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  empty: () => ({}),
  string: () => "x",
  number: () => 5,
  function: () => () => undefined,
  "no prototype": () => Object.assign(Object.create(null), { status: 201 }) as unknown,
  "status text undefined": () => ({ statusText: undefined }),
  "status text null": () => ({ statusText: null }),
  "status text": () => ({ statusText: "All Fine\t!" }),
  "status text latin1": () => ({ statusText: "caf\u00e9" }),
  "status text above latin1": () => ({ statusText: "\u0100" }),
  "status text with line feed": () => ({ statusText: "a\nb" }),
  "status text with nul": () => ({ statusText: "a\0b" }),
  "status text with delete": () => ({ statusText: "a\u007fb" }),
  "status text number": () => ({ statusText: 7 }),
  "status text symbol": () => ({ statusText: Symbol("s") }),
  "status undefined": () => ({ status: undefined }),
  "all wrong": () => ({ status: 1, statusText: "\n", headers: 5 }),
  Response: () => new Response("x", { status: 202, statusText: "T", headers: { "x-y": "z" } }),
  "error response": () => Response.error(),
  "inherited members": () => Object.create({ status: 203 }) as unknown,
  ...Object.fromEntries(
    STATUSES.map((status) => [`status ${inspect(status)}`, () => ({ status })]),
  ),
  "status Symbol": () => ({ status: Symbol("s") }),
};

/** Every body with no init and with each kind of status; every init and every kind of headers with three bodies. */
const CONSTRUCTED: Programs = {
  ...cross(BODIES, {
    ...pick(INITS, "undefined", "status 204", "status 304", "status 404", "status 600"),
  }),
  ...cross(pick(BODIES, "null", "text", "bytes", "stream"), INITS),
  ...cross(
    pick(BODIES, "null", "text", "bytes"),
    Object.fromEntries(
      Object.entries(HEADERS).map(([name, headers]) => [
        `headers ${name}`,
        () => ({ headers: headers() }),
      ]),
    ),
  ),
};

const JSON_DATA: Record<string, () => unknown> = {
  object: () => ({ a: [1, "x", null] }),
  text: () => "é\ud800",
  number: () => 1,
  null: () => null,
  undefined: () => undefined,
  function: () => () => undefined,
  symbol: () => Symbol("s"),
  bigint: () => 1n,
  circular: () => {
    const value: Record<string, unknown> = {};
    value["self"] = value;
    return value;
  },
  toJSON: () => ({ toJSON: () => "mine" }),
  "throwing toJSON": () => ({
    toJSON(): never {
      throw new RangeError("mine");
    },
  }),
};

const JSON_RESPONSES: Programs = {
  ...Object.fromEntries(
    Object.entries(JSON_DATA).map(([name, data]) => [
      `Response.json(${name})`,
      () => showConstructed(() => Response.json(data())),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(INITS).map(([name, init]) => [
      `Response.json({}, ${name})`,
      () => showConstructed(() => Response.json({}, odd(init()))),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(HEADERS).map(([name, headers]) => [
      `Response.json({}, headers ${name})`,
      () => showConstructed(() => Response.json({}, odd({ headers: headers() }))),
    ]),
  ),
  "Response.json()": () => Reflect.apply(staticMethod("json"), Response, []),
  "Response.json(undefined, wrong)": () => Response.json(undefined, { status: 1 }),
  "Response.json without this": () =>
    showResponse(Reflect.apply(staticMethod("json"), undefined, [1])),
};

const REDIRECTS: Programs = Object.fromEntries(
  [
    ["https://example.com/a b?q=ü#f"],
    ["https://example.com", 301],
    ["https://example.com", 308],
    ["https://example.com", 200],
    ["https://example.com", "303"],
    ["/relative"],
    ["\ud800"],
    [],
  ].map((args) => [
    `Response.redirect(${inspect(args)})`,
    async () => showResponse(Reflect.apply(staticMethod("redirect"), Response, args)),
  ]),
);

const text = (): Response => new Response("hi", { headers: { "X-A": "1" } });
const none = (): Response => new Response(null, { status: 204 });
const bytes = (): Response => new Response(new Uint8Array([0x68, 0x69]));
const form = (): Response =>
  new Response("?a=1&b=%20+x&b=2", {
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });

const METHODS = ["text", "json", "arrayBuffer", "bytes", "blob", "formData"] as const;
const MAKERS = {
  text,
  none,
  bytes,
  form,
  json: () => Response.json({ a: 1 }),
  stream: () => new Response(streamOf("a", "b")),
};

/** Every way of reading, twice, for every kind of body; and after things that may not make a difference. */
const READING: Programs = Object.fromEntries(
  Object.entries(MAKERS).flatMap(([kind, make]) =>
    METHODS.flatMap((method) => {
      const read = async (response: Response): Promise<unknown> => {
        const value: unknown = await Reflect.apply(
          Reflect.get(response, method) as () => unknown,
          response,
          [],
        );
        if (value instanceof FormData) return [...value];
        if (value instanceof Blob)
          return [value.constructor === Blob, value.type, await value.text()];
        return value;
      };
      const settled = (response: Response): Promise<string> => outcomeOf(() => read(response));
      const programs: Programs = {
        once: async () => {
          const response = make();
          const value = await read(response);
          return [value, response.bodyUsed];
        },
        "used at once": () => {
          const response = make();
          const promise = settled(response);
          return [response.bodyUsed, promise instanceof Promise];
        },
        twice: async () => {
          const response = make();
          return [await settled(response), await settled(response)];
        },
        "after looking at headers": async () => {
          const response = make();
          response.headers.set("content-type", "Text/Plain; Charset=X");
          return [await settled(response), showHeaders(response.headers)];
        },
        "after deleting content-type": async () => {
          const response = make();
          response.headers.delete("content-type");
          return [await settled(response), showHeaders(response.headers)];
        },
        "after looking at body": async () => {
          const response = make();
          const { body } = response;
          const value = await settled(response);
          return [value, response.bodyUsed, response.body === body, body?.locked];
        },
        "while locked": async () => {
          const response = make();
          const reader = response.body?.getReader();
          const locked = [response.bodyUsed, await settled(response)];
          reader?.releaseLock();
          return [locked, response.bodyUsed, await settled(response)];
        },
        "after cancelling": async () => {
          const response = make();
          await response.body?.cancel();
          return [response.bodyUsed, await settled(response)];
        },
        "of a clone, then of the original": async () => {
          const response = make();
          const clone = response.clone();
          return [await settled(clone), response.bodyUsed, await settled(response), clone.bodyUsed];
        },
        "then body": async () => {
          const response = make();
          await settled(response);
          const { body } = response;
          return [
            body === null,
            body?.locked,
            response.bodyUsed,
            thrownBy(() => body?.getReader()),
          ];
        },
        "then clone": async () => {
          const response = make();
          await settled(response);
          return thrownBy(() => response.clone());
        },
        "then new Response(body)": async () => {
          const response = make();
          await settled(response);
          return thrownBy(() => new Response(response.body, response));
        },
        "through another response": async () => {
          const response = make();
          const other = new Response(response.body, response);
          const value = await settled(other);
          return [value, response.bodyUsed, other.bodyUsed, await settled(response)];
        },
      };
      return Object.entries(programs).map(([name, program]) => [
        `${kind}: ${method}() ${name}`,
        program,
      ]);
    }),
  ),
);

const BEHAVIOUR: Programs = {
  "headers is one object": () => {
    const response = text();
    const { headers } = response;
    return [headers === response.headers, response.clone().headers === headers];
  },
  "body is one object": () => {
    const response = text();
    return [response.body === response.body, response.body instanceof ReadableStream];
  },
  "headers stay the same object when the response turns into Node's": async () => {
    const response = text();
    const { headers } = response;
    headers.set("x-before", "1");
    const clone = new Response(response.body, response);
    headers.set("x-after", "2");
    return [
      showHeaders(clone.headers),
      headers === response.headers,
      await showResponse(response.clone()),
    ];
  },
  "headers changed after body are seen by clone": () => {
    const response = text();
    void response.body;
    response.headers.append("x-a", "2");
    response.headers.delete("content-type");
    return showResponse(response.clone());
  },
  "headers changed between two clones that Node made": async () => {
    const response = text();
    response.headers.set("x-b", "1");
    void response.body;
    const first = response.clone();
    response.headers.set("x-b", "2");
    response.headers.delete("x-a");
    const second = response.clone();
    return [await showResponse(first), await showResponse(second), await showResponse(response)];
  },
  "headers changed before and after blob": async () => {
    const response = new Response("x", { headers: { "content-type": "A/B; c=d" } });
    response.headers.set("content-type", "X/Y; Q=1");
    return (await response.blob()).type;
  },
  "clone is apart": async () => {
    const response = text();
    const clone = response.clone();
    response.headers.set("x-a", "original");
    clone.headers.set("x-b", "clone");
    return [await showResponse(response), await showResponse(clone)];
  },
  "clone of a clone after body": async () => {
    const response = text();
    const first = response.clone();
    const { body } = response;
    const second = response.clone();
    return [
      body?.locked,
      response.body === body,
      await first.text(),
      await second.text(),
      await response.text(),
    ];
  },
  "chunks of a text": () => readChunks(text().body),
  "chunks of no text": () => readChunks(new Response("").body),
  "chunks of bytes": () => readChunks(bytes().body),
  "a byte reader works": async () => {
    const reader = text().body?.getReader({ mode: "byob" });
    const first = await reader?.read(new Uint8Array(8));
    const second = await reader?.read(new Uint8Array(8));
    return [first?.done, first?.value && hex(first.value), second?.done, second?.value?.byteLength];
  },
  "a byte reader of no bytes works": async () => {
    const result = await new Response("").body?.getReader({ mode: "byob" }).read(new Uint8Array(4));
    return [result?.done, result?.value?.byteLength];
  },
  tee: async () => {
    const response = text();
    const [left, right] = response.body?.tee() ?? [];
    return [await readChunks(left ?? null), await readChunks(right ?? null), response.bodyUsed];
  },
  pipeThrough: () =>
    readChunks(text().body?.pipeThrough(new TransformStream<Uint8Array, Uint8Array>()) ?? null),
  "bytes are copied": async () => {
    const source = new Uint8Array([1, 2, 3]);
    const response = new Response(source);
    source.fill(9);
    return hex(await response.arrayBuffer());
  },
  "buffer is copied": async () => {
    const source = new ArrayBuffer(2);
    const response = new Response(source);
    new Uint8Array(source).fill(9);
    return hex(await response.arrayBuffer());
  },
  "what was read may be changed": async () => {
    const response = bytes();
    const clone = response.clone();
    new Uint8Array(await response.arrayBuffer()).fill(0);
    return clone.text();
  },
  "new Response(body, response)": async () => {
    const first = new Response("hi", {
      status: 201,
      statusText: "S",
      headers: { "X-A": "1", "content-type": "a/b" },
    });
    const second = new Response(first.body, first);
    second.headers.set("x-b", "2");
    const before = [first.bodyUsed, first.body === second.body];
    return [before, await showResponse(second), first.bodyUsed, showHeaders(first.headers)];
  },
  "new Response(body, response) without content-type": async () => {
    const first = new Response("hi");
    first.headers.delete("content-type");
    return showResponse(new Response(first.body, first));
  },
  "new Response(stream) twice": () => {
    const first = new Response("hi");
    const second = new Response(first.body);
    const third = new Response(first.body);
    return [second.body === third.body, third.headers.get("content-type")];
  },
  "new Response(locked)": () => {
    const { body } = text();
    body?.getReader();
    return new Response(body);
  },
  "new Response(null body, init)": () => showResponse(new Response(none().body, none())),
  "as init, with a null body status": () => new Response("x", none()),
  "init is read once": () => {
    const reads: string[] = [];
    const headers = new Proxy({ a: "1" }, {});
    const response = new Response("x", {
      get status() {
        reads.push("status");
        return 201;
      },
      get statusText() {
        reads.push("statusText");
        return "S";
      },
      get headers() {
        reads.push("headers");
        return headers;
      },
    });
    return [reads.toSorted(), response.status];
  },
  "init is read once for a stream": () => {
    let reads = 0;
    const response = new Response(streamOf("x"), {
      get status() {
        reads++;
        return 201;
      },
    });
    return [reads, response.status];
  },
  "init may change later": () => {
    const init = { status: 201, headers: { a: "1" } };
    const response = new Response("x", init);
    init.status = 500;
    init.headers.a = "2";
    return showResponse(response);
  },
  "headers may change later": () => {
    const headers = new Headers({ a: "1" });
    const response = new Response("x", { headers });
    headers.set("a", "2");
    response.headers.set("b", "3");
    return [showHeaders(headers), showHeaders(response.headers)];
  },
  "headers of a response take what Headers take": () => {
    const { headers } = text();
    headers.append("set-cookie", "a=1");
    headers.append("set-cookie", "b=2");
    return [
      showHeaders(headers),
      thrownBy(() => headers.set("a b", "c")),
      thrownBy(() => headers.set("a", "\0")),
    ];
  },
  "Response.error()": () => showResponse(Response.error()),
  "Response.error() headers": () => thrownBy(() => Response.error().headers.set("a", "b")),
  "Response.error() clone": () => showResponse(Response.error().clone()),
  "Response.redirect() headers": () =>
    thrownBy(() => staticMethod("redirect")("http://a/").headers.set("a", "b")),
  "WebAssembly takes it as a response": async () => {
    const wasm = new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]);
    const headers = { "content-type": "application/wasm" };
    // The types of Node 20 do not have it.
    const { compileStreaming } = Reflect.get(globalThis, "WebAssembly") as {
      compileStreaming: (source: Response) => Promise<object>;
    };
    const module = await compileStreaming(new Response(wasm, { headers }));
    return Object.prototype.toString.call(module);
  },
  "multipart form data": async () => {
    const data = new FormData();
    data.set("a", "1");
    data.set("f", new File(["x"], "f.txt", { type: "text/plain" }));
    const sent = new Response(data);
    const type = sent.headers.get("content-type") ?? "";
    const received = new Response(await sent.arrayBuffer(), { headers: { "content-type": type } });
    return [...(await received.formData())].map(([name, value]) =>
      typeof value === "string" ? [name, value] : [name, value.name, value.type, value.size],
    );
  },
  "multipart without boundary": () =>
    new Response("x", { headers: { "content-type": "multipart/form-data" } }).formData(),
  "form of other types": () => Response.json({}).formData(),
  "form in capitals": async () => [
    ...(await new Response("a=1", {
      headers: { "content-type": "Application/X-WWW-Form-Urlencoded; charset=UTF-8" },
    }).formData()),
  ],
  "form with a mark": async () => [
    ...(await new Response("\ufeffa=1", {
      headers: { "content-type": "application/x-www-form-urlencoded" },
    }).formData()),
  ],
};

/** Made anew each time: it has to derive from the `Response` that is global when the program runs. */
function derive(): Pick<typeof Response, "json" | "redirect"> &
  (new (...args: unknown[]) => Response & { extra: number }) {
  class Derived extends Response {
    extra = 1;
  }
  Object.defineProperty(Derived.prototype, "status", {
    get(this: Response): number {
      return Reflect.get<Response, "status">(Response.prototype, "status", this) + 1;
    },
  });
  return odd(Derived);
}

function callGetter(descriptor: PropertyDescriptor, receiver: unknown): unknown {
  const getter: unknown = Reflect.get(descriptor, "get");
  return typeof getter === "function"
    ? (Reflect.apply(getter, receiver, []) as unknown)
    : "no getter";
}

/** A static method, without the complaint that it is not called on its class. */
function staticMethod(name: "json" | "redirect"): (...args: unknown[]) => Response {
  return odd(Reflect.get(Response, name));
}

function makePairs(): Iterable<string[]> {
  return new Set([["a", "1"]]).values();
}

/** How a class was derived before there was `class`. */
function makeOldStyle(): Response {
  return Reflect.construct(Response, ["old"], OldStyle) as Response;
}

function OldStyle(): void {
  // Never called: `Reflect.construct` only takes its prototype.
}

/** Names and shapes; what libraries look at to find out what they have. */
const SHAPE: Programs = {
  instanceof: () => [
    text() instanceof Response,
    Response.json(1) instanceof Response,
    Response.error() instanceof Response,
  ],
  constructor: () => [text().constructor === Response, Response.prototype.constructor === Response],
  prototype: () => [
    Object.getPrototypeOf(text()) === Response.prototype,
    Object.getPrototypeOf(Response.json(1)) === Response.prototype,
    Object.getPrototypeOf(new Response(streamOf("x"))) === Response.prototype,
    Object.getPrototypeOf(Response.prototype) === Object.prototype,
    Object.getPrototypeOf(Response) === Function.prototype,
  ],
  tag: () => [
    Object.prototype.toString.call(text()),
    Object.prototype.toString.call(Response.prototype),
  ],
  function: () => [
    Response.name,
    Response.length,
    typeof Response,
    Response.json.length,
    Response.json.name,
  ],
  keys: () => {
    const keys: string[] = [];
    // oxlint-disable-next-line guard-for-in -- inherited keys are the point
    for (const key in text()) keys.push(key);
    return [keys.toSorted(), Object.keys(text()), JSON.stringify(text())];
  },
  "static keys": () => Reflect.ownKeys(Response).map(String).toSorted(),
  descriptors: () => [describeMembers(Response.prototype), describeMembers(Response)],
  global: () => {
    const { enumerable, configurable } =
      Object.getOwnPropertyDescriptor(globalThis, "Response") ?? {};
    return [enumerable, configurable];
  },
  "without new": () => Reflect.apply(Response, undefined, ["x"]) as unknown,
  "json is no constructor": () =>
    thrownBy(() => Reflect.construct(staticMethod("json"), [1])).includes("is not a constructor"),
  "members of a stranger": () =>
    Object.entries(Object.getOwnPropertyDescriptors(Response.prototype)).map(
      ([name, descriptor]) => [
        name,
        thrownBy(() => callGetter(descriptor, {})),
        thrownBy(() => callGetter(descriptor, undefined)),
        thrownBy(() => callGetter(descriptor, Response.prototype)),
        thrownBy(() => callGetter(descriptor, new Request("http://a/"))),
      ],
    ),
  ...Object.fromEntries(
    [...METHODS, "clone" as const].flatMap((method) => [
      [
        `${method} of a stranger`,
        () => Reflect.apply(Response.prototype[method as "text"], {}, []),
      ],
      [
        `${method} of nothing`,
        () => Reflect.apply(Response.prototype[method as "text"], undefined, []),
      ],
    ]),
  ),
  "status is read only": () => {
    const response = text();
    return [thrownBy(() => Object.assign(response, { status: 1 })), response.status];
  },
  "own properties": () => {
    const response = Object.assign(text(), { mine: 1 });
    return [response.mine, Object.keys(response), response.status];
  },
  frozen: async () => {
    const response = Object.freeze(text());
    response.headers.set("x-b", "1");
    return showResponse(response);
  },
  inspect: () =>
    inspect(new Response("hi", { headers: { "x-a": "1" } }), { colors: false, depth: 3 }),
  "inspect json": () => inspect(Response.json({ a: 1 }), { colors: false }),
  "inspect used": async () => {
    const response = new Response("hi", { status: 400 });
    await response.text();
    return inspect(response, { colors: false }).replace(/state: '\w+'/, "");
  },
  structuredClone: () => inspect(structuredClone(text(), {})),
  spread: () => Object.keys(Object.assign({}, text())),
  derived: async () => {
    const Derived = derive();
    const derived = new Derived("x", { status: 201, headers: { a: "1" } });
    return [
      [derived instanceof Derived, derived instanceof Response, text() instanceof Derived],
      [derived.constructor === Derived, derived.extra, derived.status],
      [
        derived.clone() instanceof Derived,
        derived.clone() instanceof Response,
        derived.clone().status,
      ],
      [Derived.json({}) instanceof Derived, Derived.redirect("http://a/", 302) instanceof Derived],
      await derived.text(),
    ];
  },
  "derived of a stream": async () => {
    const Derived = derive();
    const derived = new Derived(streamOf("x"), { status: 201 });
    return [derived instanceof Derived, derived.status, derived.extra, await derived.text()];
  },
  "old style derived": async () => {
    Object.setPrototypeOf(OldStyle.prototype as object, Response.prototype);
    const response = makeOldStyle();
    return [response instanceof Response, response instanceof OldStyle, await response.text()];
  },
  "through a proxy": () => {
    // Node 20 keeps its state in symbols, which a proxy passes on; later versions and ours do not.
    const target = text();
    const proxy = new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key, object);
        return typeof value === "function" ? (value.bind(object) as unknown) : value;
      },
    });
    return showResponse(proxy);
  },
};

/** Programs about `Response`; they use the global of the time when they run. */
export const RESPONSE_PROGRAMS: Programs = {
  ...CONSTRUCTED,
  ...JSON_RESPONSES,
  ...REDIRECTS,
  ...READING,
  ...BEHAVIOUR,
  ...SHAPE,
};

export const HEADER_INITS = HEADERS;

function cross(
  bodies: Record<string, () => unknown>,
  inits: Record<string, () => unknown>,
): Programs {
  return Object.fromEntries(
    Object.entries(bodies).flatMap(([bodyName, body]) =>
      Object.entries(inits).map(([initName, init]) => [
        `new Response(${bodyName}, ${initName})`,
        () => showConstructed(() => new Response(odd(body()), odd(init()))),
      ]),
    ),
  );
}

/** Apart what the constructor throws: an error that only shows later would be as good as none. */
async function showConstructed(create: () => Response): Promise<unknown> {
  let response: Response | undefined;
  const thrown = thrownBy(() => {
    response = create();
  });
  return [thrown, response && (await showResponse(response))];
}

function pick<Value>(table: Record<string, Value>, ...names: string[]): Record<string, Value> {
  return Object.fromEntries(Object.entries(table).filter(([name]) => names.includes(name)));
}
