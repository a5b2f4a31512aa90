/** A global that a specification asks for. */
export interface Requirement {
  /** The global, or its path: `WebAssembly.Module`. */
  readonly name: string;
  readonly group: "interface" | "function or property" | "Workers";
  /** The specification, in short. */
  readonly source: string;
  /** Members of its prototype, `static` ones with a dot in front, or members of the object itself. */
  readonly members: readonly string[];
  /** Code that shows that it works: an expression, perhaps a promise, whose value must be `true`. */
  readonly works: string;
}

function rows(
  group: Requirement["group"],
  table: readonly (readonly [name: string, source: string, members: string, works: string])[],
): Requirement[] {
  return table.map(([name, source, members, works]) => ({
    name,
    group,
    source,
    members: members === "" ? [] : members.split(" "),
    works,
  }));
}

/** The Minimum Common Web API, ECMA-429 of December 2025, section "Common API Index". */
export const COMMON: readonly Requirement[] = [
  ...rows("interface", [
    [
      "AbortController",
      "DOM",
      "abort signal",
      "(() => { const c = new AbortController(); c.abort(1); return c.signal.aborted && c.signal.reason === 1 })()",
    ],
    [
      "AbortSignal",
      "DOM",
      ".abort .any .timeout aborted onabort reason throwIfAborted",
      "AbortSignal.any([AbortSignal.abort(2)]).reason === 2",
    ],
    [
      "Blob",
      "File API",
      "arrayBuffer bytes size slice stream text type",
      "new Blob(['ab']).slice(1).text().then((text) => text === 'b')",
    ],
    [
      "ByteLengthQueuingStrategy",
      "Streams",
      "highWaterMark size",
      "new ByteLengthQueuingStrategy({ highWaterMark: 3 }).size(new Uint8Array(2)) === 2",
    ],
    [
      "CompressionStream",
      "Compression",
      "readable writable",
      "new Response(new Blob(['a']).stream().pipeThrough(new CompressionStream('deflate-raw'))).bytes().then((b) => b.length > 0)",
    ],
    [
      "CountQueuingStrategy",
      "Streams",
      "highWaterMark size",
      "new CountQueuingStrategy({ highWaterMark: 3 }).size('abc') === 1",
    ],
    [
      "Crypto",
      "Web Crypto",
      "getRandomValues randomUUID subtle",
      "crypto instanceof Crypto && crypto.randomUUID().length === 36",
    ],
    [
      "CryptoKey",
      "Web Crypto",
      "algorithm extractable type usages",
      "crypto.subtle.generateKey({ name: 'HMAC', hash: 'SHA-256' }, true, ['sign']).then((key) => key instanceof CryptoKey)",
    ],
    ["CustomEvent", "DOM", "detail", "new CustomEvent('x', { detail: 7 }).detail === 7"],
    [
      "DecompressionStream",
      "Compression",
      "readable writable",
      "new Response(new Blob(['a']).stream().pipeThrough(new CompressionStream('gzip')).pipeThrough(new DecompressionStream('gzip'))).text().then((text) => text === 'a')",
    ],
    [
      "DOMException",
      "Web IDL",
      ".ABORT_ERR code message name",
      "new DOMException('x', 'AbortError').code === 20",
    ],
    [
      "ErrorEvent",
      "HTML",
      "",
      "(() => { const e = new ErrorEvent('error', { message: 'm', filename: 'f', lineno: 1, colno: 2, error: 3 }); return e instanceof Event && e.message + e.filename + e.lineno + e.colno + e.error === 'mf123' })()",
    ],
    [
      "Event",
      "DOM",
      ".NONE bubbles cancelable composedPath currentTarget defaultPrevented eventPhase preventDefault stopImmediatePropagation stopPropagation target timeStamp type",
      "(() => { const e = new Event('x', { cancelable: true }); e.preventDefault(); return e.defaultPrevented })()",
    ],
    [
      "EventTarget",
      "DOM",
      "addEventListener dispatchEvent removeEventListener",
      "(() => { const t = new EventTarget(); let n = 0; t.addEventListener('x', () => n++, { once: true }); t.dispatchEvent(new Event('x')); t.dispatchEvent(new Event('x')); return n === 1 })()",
    ],
    ["File", "File API", "lastModified name", "new File(['a'], 'n').name === 'n'"],
    [
      "FormData",
      "XHR",
      "append delete entries forEach get getAll has keys set values",
      "(() => { const f = new FormData(); f.append('a', 'b'); return f.get('a') === 'b' })()",
    ],
    [
      "Headers",
      "Fetch",
      "append delete entries forEach get getSetCookie has keys set values",
      "new Headers({ A: 'b' }).get('a') === 'b'",
    ],
    [
      "MessageChannel",
      "HTML",
      "",
      "(() => { const c = new MessageChannel(); c.port1.close(); return 'port2' in c })()",
    ],
    [
      "MessageEvent",
      "HTML",
      "data lastEventId origin ports source",
      "new MessageEvent('message', { data: 5 }).data === 5",
    ],
    [
      "MessagePort",
      "HTML",
      "close onmessage postMessage start",
      "new Promise((resolve) => { const { port1, port2 } = new MessageChannel(); port2.onmessage = (e) => { port1.close(); resolve(e.data === 6) }; port1.postMessage(6) })",
    ],
    [
      "Performance",
      "High Resolution Time",
      "now timeOrigin toJSON",
      "performance instanceof Performance",
    ],
    [
      "PromiseRejectionEvent",
      "HTML",
      "",
      "(() => { const promise = Promise.resolve(); const e = new PromiseRejectionEvent('x', { promise, reason: 8 }); return e.promise === promise && e.reason === 8 })()",
    ],
    [
      "ReadableByteStreamController",
      "Streams",
      "byobRequest close desiredSize enqueue error",
      "new Response(new ReadableStream({ type: 'bytes', pull(c) { c.enqueue(new Uint8Array([65])); c.close() } })).text().then((text) => text === 'A')",
    ],
    [
      "ReadableStream",
      "Streams",
      ".from cancel getReader locked pipeThrough pipeTo tee",
      "new ReadableStream().tee().length === 2",
    ],
    [
      "ReadableStreamBYOBReader",
      "Streams",
      "cancel closed read releaseLock",
      "new Response('ab').body.getReader({ mode: 'byob' }).read(new Uint8Array(1)).then(({ value }) => value[0] === 97)",
    ],
    [
      "ReadableStreamBYOBRequest",
      "Streams",
      "respond respondWithNewView view",
      "new ReadableStream({ type: 'bytes', pull(c) { c.byobRequest.view[0] = 9; c.byobRequest.respond(1) } }).getReader({ mode: 'byob' }).read(new Uint8Array(1)).then(({ value }) => value[0] === 9)",
    ],
    [
      "ReadableStreamDefaultController",
      "Streams",
      "close desiredSize enqueue error",
      "new ReadableStream({ start(c) { c.enqueue(1) } }).getReader().read().then(({ value }) => value === 1)",
    ],
    [
      "ReadableStreamDefaultReader",
      "Streams",
      "cancel closed read releaseLock",
      "new ReadableStream().getReader() instanceof ReadableStreamDefaultReader",
    ],
    [
      "Request",
      "Fetch",
      "arrayBuffer blob body bodyUsed bytes cache clone credentials destination duplex formData headers integrity json keepalive method mode redirect referrer referrerPolicy signal text url",
      "new Request('http://a/', { method: 'POST', body: 'x' }).text().then((text) => text === 'x')",
    ],
    [
      "Response",
      "Fetch",
      ".error .json .redirect arrayBuffer blob body bodyUsed bytes clone formData headers json ok redirected status statusText text type url",
      "Response.json({ a: 1 }).json().then(({ a }) => a === 1)",
    ],
    [
      "SubtleCrypto",
      "Web Crypto",
      "decrypt deriveBits deriveKey digest encrypt exportKey generateKey importKey sign unwrapKey verify wrapKey",
      "crypto.subtle.digest('SHA-256', new Uint8Array()).then((d) => d.byteLength === 32)",
    ],
    [
      "TextDecoder",
      "Encoding",
      "decode encoding fatal ignoreBOM",
      "new TextDecoder('utf-16le').decode(new Uint8Array([65, 0])) === 'A'",
    ],
    [
      "TextDecoderStream",
      "Encoding",
      "encoding fatal ignoreBOM readable writable",
      "new Response('é').body.pipeThrough(new TextDecoderStream()).getReader().read().then(({ value }) => value === 'é')",
    ],
    [
      "TextEncoder",
      "Encoding",
      "encode encodeInto encoding",
      "new TextEncoder().encode('é').length === 2",
    ],
    [
      "TextEncoderStream",
      "Encoding",
      "encoding readable writable",
      "new Response(new ReadableStream({ start(c) { c.enqueue('é'); c.close() } }).pipeThrough(new TextEncoderStream())).bytes().then((b) => b.length === 2)",
    ],
    [
      "TransformStream",
      "Streams",
      "readable writable",
      "new Response(new Response('a').body.pipeThrough(new TransformStream())).text().then((text) => text === 'a')",
    ],
    [
      "TransformStreamDefaultController",
      "Streams",
      "desiredSize enqueue error terminate",
      "new Response(new Response('a').body.pipeThrough(new TransformStream({ transform(x, c) { c.enqueue(x); c.terminate() } }))).text().then((text) => text === 'a')",
    ],
    [
      "URL",
      "URL",
      ".canParse .createObjectURL .parse .revokeObjectURL hash host hostname href origin password pathname port protocol search searchParams toJSON username",
      "new URL('b', 'http://a/').href === 'http://a/b'",
    ],
    [
      "URLPattern",
      "URL Pattern",
      "exec hash hostname password pathname port protocol search test username",
      "new URLPattern({ pathname: '/books/:id' }).exec('http://a/books/7').pathname.groups.id === '7'",
    ],
    [
      "URLSearchParams",
      "URL",
      "append delete entries forEach get getAll has keys set size sort toString values",
      "new URLSearchParams({ a: 'b c' }).toString() === 'a=b+c'",
    ],
    [
      "WebAssembly.Global",
      "WebAssembly",
      "value valueOf",
      "new WebAssembly.Global({ value: 'i32' }, 4).value === 4",
    ],
    [
      "WebAssembly.Instance",
      "WebAssembly",
      "exports",
      "new WebAssembly.Instance(new WebAssembly.Module(WASM)) instanceof WebAssembly.Instance",
    ],
    [
      "WebAssembly.Memory",
      "WebAssembly",
      "buffer grow",
      "new WebAssembly.Memory({ initial: 1 }).buffer.byteLength === 65536",
    ],
    [
      "WebAssembly.Module",
      "WebAssembly",
      ".customSections .exports .imports",
      "WebAssembly.Module.exports(new WebAssembly.Module(WASM)).length === 0",
    ],
    [
      "WebAssembly.Table",
      "WebAssembly",
      "get grow length set",
      "new WebAssembly.Table({ element: 'anyfunc', initial: 2 }).length === 2",
    ],
    [
      "WebAssembly.Tag",
      "WebAssembly",
      "",
      "new WebAssembly.Tag({ parameters: ['i32'] }) instanceof WebAssembly.Tag",
    ],
    [
      "WebAssembly.Exception",
      "WebAssembly",
      "getArg is",
      "(() => { const tag = new WebAssembly.Tag({ parameters: ['i32'] }); return new WebAssembly.Exception(tag, [3]).getArg(tag, 0) === 3 })()",
    ],
    [
      "WebAssembly.CompileError",
      "WebAssembly",
      "",
      "new WebAssembly.CompileError('x') instanceof Error",
    ],
    ["WebAssembly.LinkError", "WebAssembly", "", "new WebAssembly.LinkError('x') instanceof Error"],
    [
      "WebAssembly.RuntimeError",
      "WebAssembly",
      "",
      "new WebAssembly.RuntimeError('x') instanceof Error",
    ],
    [
      "WritableStream",
      "Streams",
      "abort close getWriter locked",
      "new WritableStream().close().then(() => true)",
    ],
    [
      "WritableStreamDefaultController",
      "Streams",
      "error signal",
      "new Promise((resolve) => new WritableStream({ start: (c) => resolve(c.signal instanceof AbortSignal) }))",
    ],
    [
      "WritableStreamDefaultWriter",
      "Streams",
      "abort close closed desiredSize ready releaseLock write",
      "new WritableStream().getWriter().write(1).then(() => true)",
    ],
  ]),
  ...rows("function or property", [
    ["globalThis", "ECMA-262", "", "globalThis === globalThis.globalThis"],
    ["atob", "HTML", "", "atob('YQ==') === 'a'"],
    ["btoa", "HTML", "", "btoa('a') === 'YQ=='"],
    ["clearTimeout", "HTML", "", "(clearTimeout(setTimeout(() => {}, 1e6)), true)"],
    ["clearInterval", "HTML", "", "(clearInterval(setInterval(() => {}, 1e6)), true)"],
    [
      "console",
      "Console",
      "assert clear count countReset debug dir dirxml error group groupCollapsed groupEnd info log table time timeEnd timeLog trace warn",
      "true",
    ],
    [
      "crypto",
      "Web Crypto",
      "getRandomValues randomUUID subtle",
      "crypto.getRandomValues(new Uint8Array(4)).length === 4",
    ],
    [
      "fetch",
      "Fetch",
      "",
      "fetch('data:,a').then((response) => response.text()).then((text) => text === 'a')",
    ],
    ["navigator", "HTML", "userAgent", "/^[\\w.]+(\\/\\w+)?$/.test(navigator.userAgent)"],
    [
      "onerror",
      "HTML",
      "",
      "(() => { let seen; onerror = (message, file, line, column, error) => (seen = error, true); reportError('r'); const own = onerror; onerror = null; return seen === 'r' && typeof own === 'function' && onerror === null })()",
    ],
    ["onunhandledrejection", "HTML", "", "rejected((event) => event.reason === 'lost')"],
    ["onrejectionhandled", "HTML", "", "handled((event) => event.reason === 'late')"],
    ["performance", "High Resolution Time", "now timeOrigin", "performance.now() > 0"],
    ["queueMicrotask", "HTML", "", "new Promise((resolve) => queueMicrotask(() => resolve(true)))"],
    [
      "reportError",
      "HTML",
      "",
      "(() => { let seen; const listen = (event) => (seen = event.error, event.preventDefault()); addEventListener('error', listen); reportError('e'); removeEventListener('error', listen); return seen === 'e' })()",
    ],
    ["self", "HTML", "", "self === globalThis"],
    ["setTimeout", "HTML", "", "new Promise((resolve) => setTimeout(resolve, 0, true))"],
    [
      "setInterval",
      "HTML",
      "",
      "new Promise((resolve) => { const id = setInterval(() => { clearInterval(id); resolve(true) }, 0) })",
    ],
    ["structuredClone", "HTML", "", "structuredClone(new Map([[1, 2]])).get(1) === 2"],
    [
      "WebAssembly.compile",
      "WebAssembly",
      "",
      "WebAssembly.compile(WASM).then((m) => m instanceof WebAssembly.Module)",
    ],
    [
      "WebAssembly.compileStreaming",
      "WebAssembly",
      "",
      "WebAssembly.compileStreaming(new Response(WASM, { headers: { 'content-type': 'application/wasm' } })).then((m) => m instanceof WebAssembly.Module)",
    ],
    [
      "WebAssembly.instantiate",
      "WebAssembly",
      "",
      "WebAssembly.instantiate(WASM).then(({ instance }) => instance instanceof WebAssembly.Instance)",
    ],
    [
      "WebAssembly.instantiateStreaming",
      "WebAssembly",
      "",
      "WebAssembly.instantiateStreaming(new Response(WASM, { headers: { 'content-type': 'application/wasm' } })).then(({ module }) => module instanceof WebAssembly.Module)",
    ],
    ["WebAssembly.JSTag", "WebAssembly", "", "WebAssembly.JSTag instanceof WebAssembly.Tag"],
    ["WebAssembly.validate", "WebAssembly", "", "WebAssembly.validate(WASM)"],
  ]),
];

/** Globals that modules for Workers use besides. `caches` and `WebSocketPair` need a server: test/e2e/ has their tests. */
export const WORKERS: readonly Requirement[] = rows("Workers", [
  [
    "addEventListener",
    "DOM",
    "",
    "(() => { let n = 0; const f = () => n++; addEventListener('x', f); dispatchEvent(new Event('x')); removeEventListener('x', f); dispatchEvent(new Event('x')); return n === 1 })()",
  ],
  [
    "CloseEvent",
    "WebSockets",
    "",
    "new CloseEvent('close', { code: 1001, reason: 'r', wasClean: true }).code === 1001",
  ],
  [
    "WebSocket",
    "WebSockets",
    ".CLOSED binaryType bufferedAmount close extensions onmessage protocol readyState send url",
    "WebSocket.OPEN === 1",
  ],
  ["EventSource", "HTML", "close onmessage readyState url", "EventSource.OPEN === 1"],
  ["scheduler", "Workers", "wait", "scheduler.wait(1).then(() => true)"],
  [
    "HTMLRewriter",
    "Workers",
    "on onDocument transform",
    "new HTMLRewriter().on('p', { async element(p) { await null; p.setInnerContent('b') } }).transform(new Response('<p>a</p>')).text().then((text) => text === '<p>b</p>')",
  ],
  [
    "FixedLengthStream",
    "Workers",
    "",
    "new Response(new Response('ab').body.pipeThrough(new FixedLengthStream(2))).text().then((text) => text === 'ab')",
  ],
  [
    "IdentityTransformStream",
    "Workers",
    "",
    "new Response(new Response('ab').body.pipeThrough(new IdentityTransformStream())).text().then((text) => text === 'ab')",
  ],
  [
    "crypto.DigestStream",
    "Workers",
    "bytesWritten",
    "(async () => { const d = new crypto.DigestStream('MD5'); const w = d.getWriter(); await w.write(new Uint8Array([97])); await w.close(); return new Uint8Array(await d.digest)[0] === 0x0c })()",
  ],
  [
    "crypto.subtle.timingSafeEqual",
    "Workers",
    "",
    "crypto.subtle.timingSafeEqual(new Uint8Array([1]), new Uint8Array([1])) && !crypto.subtle.timingSafeEqual(new Uint8Array([1]), new Uint8Array([2]))",
  ],
]);

/** Why a name is missing, for the page. */
export const REASONS: Readonly<Record<string, string>> = {
  "WebAssembly.JSTag": "part of the JavaScript engine of a later Node",
  EventSource: "the package `eventsource` has it",
};
