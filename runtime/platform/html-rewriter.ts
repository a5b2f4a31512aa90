import { loadPackage } from "./load-package.ts";
import {
  type RewriterCalls,
  type WasmRewriter,
  guardHandlers,
  readHandlers,
} from "./rewriter-handlers.ts";

/** The package with the parser. A test compares it with package.json. */
export const PACKAGE = "html-rewriter-wasm@0.4.1";

type WasmRewriterClass = new (
  sink: (chunk: Uint8Array) => void,
  options: { enableEsiTags: boolean },
) => WasmRewriter;

/** Handlers of one selector; `null`: of the document. */
interface Registration {
  readonly selector: string | null;
  readonly handlers: object;
}

/**
 * Returns the class `HTMLRewriter` of Workers. The parser is lol-html, as there, compiled to WebAssembly. It is loaded now.
 *
 * @throws RuntimeError `ERR_HANDLER_LOAD` if the package is not installed.
 */
export function createHtmlRewriter(): new () => HtmlRewriter {
  const Rewriter = loadRewriter();
  return class HTMLRewriter extends HtmlRewriter {
    constructor() {
      super(Rewriter);
    }
  };
}

/** The class, without its parser. */
export class HtmlRewriter {
  readonly #Rewriter: WasmRewriterClass;
  readonly #registrations: Registration[] = [];

  constructor(Rewriter: WasmRewriterClass) {
    this.#Rewriter = Rewriter;
  }

  /**
   * Adds handlers for the elements that a selector finds: `element`, `comments` and `text`.
   *
   * @throws TypeError for a selector that the parser does not understand, and for a handler that is no function.
   */
  on(selector: unknown, handlers: object): this {
    checkHandlers("on", handlers);
    // The parser would read memory that is not its own for a value that is no text.
    const text = String(selector);
    const probe = new this.#Rewriter(() => {}, OPTIONS);
    try {
      probe.on(text, {});
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new TypeError(`Cannot use the selector ${JSON.stringify(text)}: ${reason}`, {
        cause: error,
      });
    } finally {
      probe.free();
    }
    this.#registrations.push({ selector: text, handlers });
    return this;
  }

  /**
   * Adds handlers for the document: `doctype`, `comments`, `text` and `end`.
   *
   * @throws TypeError for a handler that is no function.
   */
  onDocument(handlers: object): this {
    checkHandlers("onDocument", handlers);
    this.#registrations.push({ selector: null, handlers });
    return this;
  }

  /**
   * Returns a response whose body passes through the handlers while the client takes it. The error of a handler, or the
   * rejection of its promise, breaks the body off.
   *
   * @throws TypeError for a value that is no response, and for a response whose body was read already.
   */
  transform(response: Response): Response {
    if (!((response as unknown) instanceof Response)) {
      const found = (response as unknown) === null ? "null" : typeof response;
      throw new TypeError(`Cannot transform: found ${found}, expected a Response`);
    }
    const { body } = response;
    if (body === null) return new Response(null, response);
    if (response.bodyUsed || body.locked) {
      throw new TypeError("Cannot transform a response: its body was read already");
    }
    const transformed = new Response(this.#rewrite(body), response);
    transformed.headers.delete("content-length");
    return transformed;
  }

  #rewrite(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
    const registrations = [...this.#registrations];
    const Rewriter = this.#Rewriter;
    let run: RewriterRun | null = null;
    return new ReadableStream<Uint8Array>(
      {
        // Without a queue of its own, nothing is parsed before the client asks for it.
        pull: (controller) => {
          run ??= openRun(body, { Rewriter, registrations });
          return run.pull(controller);
        },
        cancel: (reason) => (run === null ? body.cancel(reason) : run.cancel(reason)),
      },
      { highWaterMark: 0 },
    );
  }
}

const OPTIONS = { enableEsiTags: false };

/**
 * Begins with a body. Its error leaves no body open.
 *
 * @throws TypeError for handlers that are no functions any more, and for a body that has another reader by now.
 */
function openRun(
  body: ReadableStream<Uint8Array>,
  {
    Rewriter,
    registrations,
  }: { Rewriter: WasmRewriterClass; registrations: readonly Registration[] },
): RewriterRun {
  const calls: RewriterCalls = { failure: null, release: null };
  try {
    const guarded = registrations.map(({ selector, handlers }) => ({
      selector,
      handlers: guardHandlers(handlers, calls),
    }));
    return new RewriterRun(body.getReader(), { Rewriter, registrations: guarded, calls });
  } catch (error) {
    body.cancel(error).catch(() => {});
    throw error;
  }
}

/**
 * One body on its way through the parser.
 *
 * An error of a handler never passes through the parser, whose memory could then not be freed: the guarded handlers keep it.
 */
class RewriterRun {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #rewriter: WasmRewriter;
  readonly #calls: RewriterCalls;
  #output: Uint8Array[] = [];
  /** Whether the parser works, perhaps waiting for the promise of a handler. */
  #isBusy = false;
  #isFreed = false;

  constructor(
    reader: ReadableStreamDefaultReader<Uint8Array>,
    parts: {
      Rewriter: WasmRewriterClass;
      /** Their handlers are guarded. */
      registrations: readonly Registration[];
      calls: RewriterCalls;
    },
  ) {
    this.#reader = reader;
    this.#calls = parts.calls;
    this.#rewriter = new parts.Rewriter((chunk) => {
      // The memory of the parser is used again.
      if (chunk.byteLength > 0) this.#output.push(chunk.slice());
    }, OPTIONS);
    for (const { selector, handlers } of parts.registrations) {
      if (selector === null) this.#rewriter.onDocument(handlers);
      else this.#rewriter.on(selector, handlers);
    }
  }

  /** Parses until there is output for the client, or the end. */
  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- One chunk after the other.
        const { done, value } = await this.#reader.read();
        // oxlint-disable-next-line no-await-in-loop -- The parser takes no second chunk meanwhile.
        await this.#parse(done ? null : toBytes(value));
        if (this.#calls.failure !== null) throw this.#calls.failure.error;
        // The parser gives a few bytes for each token. As chunks of their own, they would cost more than the parser.
        if (this.#output.length > 0) controller.enqueue(concat(this.#output));
        const hasOutput = this.#output.length > 0;
        this.#output = [];
        if (done) {
          this.#free();
          controller.close();
          return;
        }
        if (hasOutput) return;
      }
    } catch (error) {
      this.#free();
      this.#reader.cancel(error).catch(() => {});
      throw error;
    }
  }

  /** The client takes no more. Handlers that have not begun are not called, and none is waited for. */
  cancel(reason: unknown): Promise<void> {
    this.#calls.failure ??= { error: reason };
    if (this.#isBusy) this.#calls.release?.();
    else this.#free();
    return this.#reader.cancel(reason);
  }

  async #parse(bytes: Uint8Array | null): Promise<void> {
    // Cancelled while the chunk was read.
    if (this.#isFreed) return;
    this.#isBusy = true;
    try {
      await (bytes === null ? this.#rewriter.end() : this.#rewriter.write(bytes));
    } finally {
      this.#isBusy = false;
      if (this.#calls.failure !== null) this.#free();
    }
  }

  #free(): void {
    if (this.#isFreed) return;
    this.#isFreed = true;
    this.#rewriter.free();
  }
}

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

function toBytes(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError(
    `Cannot transform a body: found a chunk that is ${chunk === null ? "null" : typeof chunk}, expected bytes`,
  );
}

/** @throws TypeError for a value that has no handlers, and for handlers that are no functions. */
function checkHandlers(call: string, handlers: unknown): void {
  if (typeof handlers === "object" && handlers !== null) {
    readHandlers(handlers);
    return;
  }
  const found = handlers === null ? "null" : typeof handlers;
  throw new TypeError(`Cannot call ${call}(): found ${found}, expected an object with handlers`);
}

function loadRewriter(): WasmRewriterClass {
  // The version is pinned, so its exports are known.
  const { HTMLRewriter } = loadPackage(PACKAGE, "HTMLRewriter") as {
    HTMLRewriter: WasmRewriterClass;
  };
  return HTMLRewriter;
}
