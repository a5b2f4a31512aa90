/** The parser of one document, as the package `html-rewriter-wasm` has it. */
export interface WasmRewriter {
  on(selector: string, handlers: object): void;
  onDocument(handlers: object): void;
  write(chunk: Uint8Array): Promise<void>;
  end(): Promise<void>;
  free(): void;
}

/** The state that all handlers of one document share. */
export interface RewriterCalls {
  /** The first error of a handler, or the reason of the client's cancellation; `null`: none. */
  failure: { readonly error: unknown } | null;
  /** Lets the parser go on although a handler still waits; `null`: none does. The parser calls one handler at a time. */
  release: (() => void) | null;
}

const NAMES = ["element", "comments", "text", "doctype", "end"] as const;

type TokenHandler = (token: Token) => unknown;

type HandlerFunction = (...parameters: unknown[]) => unknown;

/**
 * Returns the handlers of an object by their names.
 *
 * @throws TypeError for a handler that is no function.
 */
export function readHandlers(handlers: object): [name: string, handler: HandlerFunction][] {
  return NAMES.flatMap((name): [string, HandlerFunction][] => {
    const handler: unknown = Reflect.get(handlers, name);
    if (handler === undefined || handler === null) return [];
    if (typeof handler !== "function") {
      throw new TypeError(
        `Cannot use the handler "${name}" of HTMLRewriter: found ${typeof handler}, expected a function`,
      );
    }
    // The parameters of a function cannot be read from it.
    return [[name, handler as HandlerFunction]];
  });
}

/**
 * Wraps the handlers of a selector or of the document: their errors are kept in `calls`, and none is called after the first
 * one. They are called as methods of their object, as in Workers.
 *
 * @throws TypeError for a handler that is no function.
 */
export function guardHandlers(handlers: object, calls: RewriterCalls): object {
  const guarded: Record<string, TokenHandler> = {};
  for (const [name, handler] of readHandlers(handlers)) {
    const run = guard((token) => Reflect.apply(handler, handlers, [token]), calls);
    guarded[name] = (token) => run(prepareToken(token, calls));
  }
  return guarded;
}

/** Returns a function that never throws and whose promise never rejects. The promise settles at `calls.release`, too. */
function guard(call: TokenHandler, calls: RewriterCalls): TokenHandler {
  const fail = (error: unknown): void => {
    calls.failure ??= { error };
  };
  return (token) => {
    if (calls.failure !== null) return undefined;
    try {
      const result = call(token);
      if (!isThenable(result)) return undefined;
      const settled = Promise.resolve(result).then(() => undefined, fail);
      return new Promise<void>((resolve) => {
        calls.release = resolve;
        void settled.then(resolve);
      });
    } catch (error) {
      fail(error);
      return undefined;
    }
  };
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === "object" && value !== null && typeof Reflect.get(value, "then") === "function"
  );
}

/** Methods of tokens whose first argument is content. */
const CONTENT_METHODS = ["before", "after", "replace", "prepend", "append", "setInnerContent"];

/** Methods of elements whose arguments are texts. */
const TEXT_METHODS = ["getAttribute", "hasAttribute", "setAttribute", "removeAttribute"];

/**
 * Makes a token of the parser safe: the parser would read memory that is not its own for an argument that is no text. The
 * prototypes of the package belong to this class alone, so they are changed once.
 */
function prepareToken(token: Token, calls: RewriterCalls): object {
  if (token[PREPARED] === undefined) preparePrototype(Object.getPrototypeOf(token) as Token);
  token[CALLS] = calls;
  return token;
}

const PREPARED = Symbol("prepared");
const CALLS = Symbol("calls");

interface Token {
  /** On its prototype. */
  [PREPARED]?: true;
  /** The state of its document. */
  [CALLS]?: RewriterCalls;
}

function preparePrototype(prototype: Token): void {
  prototype[PREPARED] = true;
  for (const name of CONTENT_METHODS) {
    wrapMethod(prototype, name, ([content, options]) => [
      toContent(name, content),
      toOptions(options),
    ]);
  }
  for (const name of TEXT_METHODS) wrapMethod(prototype, name, (texts) => texts.map(String));
  wrapMethod(prototype, "onEndTag", ([handler], token) => [toEndTagHandler(handler, token)]);
  for (const name of ["tagName", "name", "text"]) wrapSetter(prototype, name);
}

function toEndTagHandler(handler: unknown, token: Token): TokenHandler {
  if (typeof handler !== "function") {
    const found = handler === null ? "null" : typeof handler;
    throw new TypeError(`Cannot call onEndTag(): found ${found}, expected a function`);
  }
  const calls = token[CALLS] ?? { failure: null, release: null };
  const run = guard((tag) => Reflect.apply(handler, token, [tag]) as unknown, calls);
  return (tag) => run(prepareToken(tag, calls));
}

function wrapMethod(
  prototype: object,
  name: string,
  convert: (parameters: unknown[], token: Token) => unknown[],
): void {
  const method: unknown = Reflect.get(
    Object.getOwnPropertyDescriptor(prototype, name) ?? {},
    "value",
  );
  if (typeof method !== "function") return;
  Object.defineProperty(prototype, name, {
    value: function call(this: Token, ...parameters: unknown[]): unknown {
      return Reflect.apply(method, this, convert(parameters, this)) as unknown;
    },
    configurable: true,
    writable: true,
  });
}

function wrapSetter(prototype: object, name: string): void {
  const own = Object.getOwnPropertyDescriptor(prototype, name);
  const set: unknown = Reflect.get(own ?? {}, "set");
  if (own === undefined || typeof set !== "function") return;
  Object.defineProperty(prototype, name, {
    ...own,
    set(this: unknown, value: unknown) {
      Reflect.apply(set, this, [String(value)]);
    },
  });
}

/** Workers also take a stream or a response, which this parser cannot wait for. */
function toContent(method: string, content: unknown): string {
  if (content instanceof ReadableStream || content instanceof Response) {
    throw new TypeError(
      `Cannot call ${method}() with a ${content instanceof Response ? "Response" : "stream"}: expected text, such as "await response.text()" in an async handler`,
    );
  }
  return String(content);
}

function toOptions(options: unknown): { html: boolean } {
  const isObject = typeof options === "object" && options !== null;
  return { html: isObject && Boolean(Reflect.get(options, "html")) };
}
