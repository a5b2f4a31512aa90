import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it } from "node:test";
import { createHtmlRewriter } from "../../runtime/platform/html-rewriter.ts";
import { defineLazyGlobal } from "../../runtime/platform/lazy-global.ts";
import { loadPackage, unlessMissing } from "../../runtime/platform/load-package.ts";

interface Token {
  tagName: string;
  text: string;
  name: string | null;
  lastInTextNode: boolean;
  attributes: Iterable<[string, string]>;
  getAttribute(name: string): string | null;
  hasAttribute(name: string): boolean;
  setAttribute(name: unknown, value: unknown): Token;
  removeAttribute(name: string): Token;
  before(content: unknown, options?: object): Token;
  after(content: unknown, options?: object): Token;
  prepend(content: unknown, options?: object): Token;
  append(content: unknown, options?: object): Token;
  replace(content: unknown, options?: object): Token;
  setInnerContent(content: unknown, options?: object): Token;
  remove(): Token;
  removeAndKeepContent(): Token;
  onEndTag(handler: unknown): void;
}

const HTMLRewriter = createHtmlRewriter();

/** Returns a handler with the type that the methods take. */
function element(run: (token: Token) => unknown): object {
  return { element: run };
}

function rewrite(html: string, selector: string, run: (token: Token) => unknown): Promise<string> {
  return new HTMLRewriter().on(selector, element(run)).transform(new Response(html)).text();
}

/** A body that gives one byte at a time, and counts those that were read. */
function trickle(html: string): {
  body: ReadableStream<Uint8Array>;
  read: () => number;
  reasons: unknown[];
} {
  const bytes = Buffer.from(html);
  const reasons: unknown[] = [];
  let at = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (at < bytes.length) controller.enqueue(bytes.subarray(at, ++at));
        else controller.close();
      },
      cancel: (reason) => void reasons.push(reason),
    },
    { highWaterMark: 0 },
  );
  return { body, read: () => at, reasons };
}

/** Ends rewriters in four ways. */
async function endInAllWays(): Promise<void> {
  await assert.rejects(rewrite("<p>1</p>", "p", () => Promise.reject(new Error("x"))));
  const { body } = new HTMLRewriter().on("p", element(ignore)).transform(new Response("<p>1"));
  await body?.cancel();
  assert.throws(() => new HTMLRewriter().on("p:::", {}));
  await rewrite("<p>1</p>", "p", (token) => token.remove());
}

function ignore(): void {}

function fail(): never {
  throw new RangeError("mine");
}

/** Leaves a page while its handler waits for ever. */
async function leave(): Promise<void> {
  const gate = new EventEmitter();
  const called = once(gate, "called");
  const rewriter = new HTMLRewriter().on("p", {
    element() {
      gate.emit("called");
      return new Promise(() => {});
    },
  });
  const reader = rewriter.transform(new Response("<p>1</p><p>2</p>")).body?.getReader();
  const reading = reader?.read();
  await called;
  await reader?.cancel();
  await reading;
  await new Promise(setImmediate);
}

describe("HTMLRewriter", { timeout: 60_000 }, () => {
  const cases: readonly (readonly [
    what: string,
    html: string,
    selector: string,
    run: (token: Token) => unknown,
    expected: string,
  ])[] = [
    [
      "attributes",
      '<a href="x" b>y</a>',
      "a[href]",
      (e) => e.setAttribute("href", 'z"').removeAttribute("b"),
      '<a href="z&quot;">y</a>',
    ],
    [
      "text in place of content",
      "<p>1</p>",
      "p",
      (e) => e.setInnerContent("<2>"),
      "<p>&lt;2&gt;</p>",
    ],
    [
      "HTML in place of content",
      "<p>1</p>",
      "p",
      (e) => e.setInnerContent("<b>", { html: true }),
      "<p><b></p>",
    ],
    [
      "all four sides",
      "<p>1</p>",
      "p",
      (e) => e.before("a").after("d").prepend("b").append("c"),
      "a<p>b1c</p>d",
    ],
    ["replacement", "<p>1</p>2", "p", (e) => e.replace("x"), "x2"],
    [
      "removal",
      "<ul><li>1</li><li>2</li></ul>",
      "ul > li:nth-child(2)",
      (e) => e.remove(),
      "<ul><li>1</li></ul>",
    ],
    [
      "removal without content",
      '<div class="a" id="b">q</div>',
      "div#b.a:not(.c)",
      (e) => e.removeAndKeepContent(),
      "q",
    ],
    ["another name", "<b>1</b>", "b", (e) => (e.tagName = "i"), "<i>1</i>"],
    [
      "promises",
      "<p>1</p><p>2</p>",
      "p",
      async (e) => {
        await new Promise(setImmediate);
        e.setInnerContent("n");
      },
      "<p>n</p><p>n</p>",
    ],
    [
      "end tags",
      "<p>1</p>",
      "p",
      (e) =>
        e.onEndTag(async (tag: Token) => {
          await new Promise(setImmediate);
          tag.before("!");
        }),
      "<p>1!</p>",
    ],
    [
      "values that are no text",
      "<p>1</p>",
      "p",
      (e) => e.setAttribute("n", 5).append(null).append(7),
      '<p n="5">1null7</p>',
    ],
    [
      "foreign elements",
      "<svg><path/></svg>",
      "path",
      (e) => e.setAttribute("d", "1"),
      '<svg><path d="1" /></svg>',
    ],
  ];

  for (const [what, html, selector, run, expected] of cases) {
    it(`changes ${what}`, async () => {
      assert.equal(await rewrite(html, selector, run), expected);
    });
  }

  it("calls handlers of the document, text in pieces, and comments", async () => {
    const seen: unknown[] = [];
    const html = "<!doctype html><p>žlutý<!--c--></p>";
    const out = await new HTMLRewriter()
      .onDocument({
        doctype: (token: Token) => seen.push(token.name),
        end: (token: Token) => token.append("<!--end-->", { html: true }),
      })
      .on("p", {
        comments: (token: Token) => (token.text = "d"),
        text: (token: Token) =>
          token.lastInTextNode ? token.after("!") : token.replace(token.text.toUpperCase()),
      })
      .transform(new Response(trickle(html).body))
      .text();
    assert.deepEqual(seen, ["html"]);
    assert.equal(out, "<!doctype html><p>ŽLUTÝ!<!--d--></p><!--end-->");
  });

  it("calls handlers as methods of their object, and reads attributes", async () => {
    class Collector {
      readonly found: unknown[] = [];
      element(token: Token): void {
        this.found.push([...token.attributes], token.hasAttribute("b"), token.getAttribute("z"));
      }
    }
    const collector = new Collector();
    await new HTMLRewriter().on("div", collector).transform(new Response("<div a=1 b>")).text();
    assert.deepEqual(collector.found, [
      [
        ["a", "1"],
        ["b", ""],
      ],
      true,
      null,
    ]);
  });

  it("keeps status and fields, except the length", async () => {
    const init = {
      status: 404,
      headers: { "content-type": "text/html", "content-length": "9", a: "b" },
    };
    const out = new HTMLRewriter().transform(new Response("<p>1</p>", init));
    assert.deepEqual(
      [out.status, ...out.headers],
      [404, ["a", "b"], ["content-type", "text/html"]],
    );
    assert.equal(new HTMLRewriter().transform(new Response(null, { status: 204 })).body, null);
  });

  it("serves several responses at once, and one rewriter many times", async () => {
    const rewriter = new HTMLRewriter().on(
      "p",
      element(async (token) => {
        await new Promise(setImmediate);
        token.append("!");
      }),
    );
    const texts = Array.from({ length: 20 }, (_, index) =>
      rewriter.transform(new Response(`<p>${index}</p><p>x</p>`)).text(),
    );
    assert.deepEqual(
      await Promise.all(texts),
      texts.map((_, index) => `<p>${index}!</p><p>x!</p>`),
    );
  });

  it("parses no more than its reader takes", async () => {
    const source = trickle("<p>1</p>".repeat(100));
    const reader = new HTMLRewriter().transform(new Response(source.body)).body?.getReader();
    assert.equal(source.read(), 0);
    await reader?.read();
    const read = source.read();
    assert.ok(read > 0 && read < 20, `read ${read} bytes`);
    await reader?.cancel("enough");
    assert.deepEqual(source.reasons, ["enough"]);
    assert.equal(source.read(), read);
  });

  it("gives one chunk for each chunk of its source", async () => {
    const html = "<p>1</p>".repeat(1000);
    const { body } = new HTMLRewriter()
      .on(
        "p",
        element((token) => token.setAttribute("a", "b")),
      )
      .transform(new Response(html));
    assert.ok(body !== null);
    const sizes: number[] = [];
    await body.pipeTo(
      new WritableStream({ write: (chunk: Uint8Array) => void sizes.push(chunk.byteLength) }),
    );
    assert.deepEqual(sizes, ['<p a="b">1</p>'.length * 1000]);
  });

  it("breaks off with the error of a handler, and calls none after it", async () => {
    for (const run of [
      (): never => {
        throw new RangeError("mine");
      },
      () => Promise.reject(new RangeError("mine")),
      (token: Token) =>
        token.onEndTag(() => {
          throw new RangeError("mine");
        }),
      (token: Token) => token.onEndTag(() => Promise.reject(new RangeError("mine"))),
    ]) {
      const source = trickle("<p>1</p><i>2</i>");
      let later = 0;
      const rewriter = new HTMLRewriter().on("p", element(run)).on(
        "i",
        element(() => later++),
      );
      await assert.rejects(rewriter.transform(new Response(source.body)).text(), /mine/);
      assert.equal(later, 0);
      assert.equal(source.reasons.length, 1);
    }
  });

  it("breaks off with the error of its source, and for a source without bytes", async () => {
    const failing = new ReadableStream({
      pull: (controller) => controller.error(new Error("source")),
    });
    await assert.rejects(new HTMLRewriter().transform(new Response(failing)).text(), /source/);
    const text = new ReadableStream({ start: (controller) => controller.enqueue("<p>") });
    await assert.rejects(
      new HTMLRewriter().transform(new Response(text)).text(),
      /found a chunk that is string/,
    );
  });

  it("is cancelled while a handler waits, and calls no other", async () => {
    const gate = new EventEmitter();
    const calls: string[] = [];
    const called = once(gate, "called");
    const rewriter = new HTMLRewriter().on("p", {
      async element(token: Token) {
        calls.push(token.tagName);
        gate.emit("called");
        await once(gate, "release");
      },
    });
    const reader = rewriter.transform(new Response("<p>1</p><p>2</p>")).body?.getReader();
    const reading = reader?.read();
    await called;
    await reader?.cancel();
    gate.emit("release");
    assert.deepEqual(await reading, { done: true, value: undefined });
    await new Promise(setImmediate);
    assert.deepEqual(calls, ["p"]);
  });

  it("cancels a body whose handlers are no functions any more", async () => {
    const handlers: { element: unknown } = { element: ignore };
    const source = trickle("<p>1</p>");
    const answer = new HTMLRewriter().on("p", handlers).transform(new Response(source.body));
    handlers.element = 5;
    await assert.rejects(answer.text(), /"element" of HTMLRewriter: found number/);
    assert.deepEqual([source.reasons.length, source.read()], [1, 0]);
  });

  it("frees the parser of a client that leaves while a handler waits for ever", async () => {
    const { __wasm: wasm } = loadPackage("html-rewriter-wasm@0", "") as {
      __wasm: { memory: { buffer: ArrayBuffer } };
    };
    for (let count = 0; count < 50; count++) await leave();
    const before = wasm.memory.buffer.byteLength;
    for (let count = 0; count < 200; count++) await leave();
    assert.equal(wasm.memory.buffer.byteLength, before);
  });

  it("frees the memory of the parser, also after errors", async () => {
    const { __wasm: wasm } = loadPackage("html-rewriter-wasm@0", "") as {
      __wasm: { memory: { buffer: ArrayBuffer } };
    };
    for (let count = 0; count < 50; count++) await endInAllWays();
    const before = wasm.memory.buffer.byteLength;
    for (let count = 0; count < 500; count++) await endInAllWays();
    assert.equal(wasm.memory.buffer.byteLength, before);
  });

  it("refuses what it cannot do, by name", async () => {
    const rewriter = new HTMLRewriter();
    const call = (name: "on" | "onDocument" | "transform", values: unknown[]): unknown =>
      Reflect.apply(Reflect.get(rewriter, name) as () => unknown, rewriter, values);
    assert.throws(() => rewriter.on("p:foo(", {}), /selector "p:foo\("/);
    assert.throws(() => call("on", ["p", null]), /found null/);
    assert.throws(() => call("onDocument", [1]), /found number/);
    assert.throws(() => call("transform", ["<p>"]), /found string, expected a Response/);
    const used = new Response("x");
    await used.text();
    assert.throws(() => rewriter.transform(used), /read already/);
    await assert.rejects(
      rewrite("<p>", "p", (token) => token.append(new Response("x"))),
      /append\(\) with a Response/,
    );
    await assert.rejects(
      rewrite("<p>", "p", (token) => token.replace(new Response("x").body)),
      /replace\(\) with a stream/,
    );
    await assert.rejects(
      rewrite("<p>", "p", (token) => token.onEndTag(5)),
      /onEndTag\(\): found number/,
    );
    assert.throws(
      () => rewriter.on("p", { element: 5 }),
      /"element" of HTMLRewriter: found number/,
    );
    assert.throws(() => rewriter.onDocument({ end: "x" }), /"end" of HTMLRewriter: found string/);
    let kept: Token | null = null;
    await rewrite("<p>", "p", (token) => (kept = token));
    assert.throws(() => (kept as unknown as Token).tagName, /no longer valid/);
  });
});

describe("unlessMissing()", () => {
  it("gives undefined for a package that is not there, and says how to install it once", () => {
    const name = "GlobalOfMissingPackage";
    const told: string[] = [];
    const create = (): object => loadPackage("@edgicorn/nothing@1.2.3", name);
    defineLazyGlobal(name, () => unlessMissing(create, (message) => told.push(message)));
    for (let count = 0; count < 2; count++) assert.equal(Reflect.get(globalThis, name), undefined);
    Reflect.deleteProperty(globalThis, name);
    assert.equal(told.length, 1);
    assert.match(told[0] ?? "", /^Cannot use GlobalOfMissingPackage: .*npm install @edgicorn/);
  });

  it("throws other errors", () => {
    assert.throws(() => unlessMissing(fail, assert.fail), RangeError);
  });
});

describe("loadPackage()", () => {
  it("says how to install a package that is not there", () => {
    assert.throws(() => loadPackage("@edgicorn/nothing@1.2.3", "Thing"), {
      code: "ERR_HANDLER_LOAD",
      message:
        /^Cannot use Thing: the package @edgicorn\/nothing .*Run "npm install @edgicorn\/nothing@1\.2\.3"$/,
    });
  });
});
