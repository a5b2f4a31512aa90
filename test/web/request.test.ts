import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { abortRequest, createRequest } from "../../runtime/web/fast-request.ts";
import { parseFields } from "../../runtime/web/fields.ts";
import { installWebObjects } from "../../runtime/web/install.ts";
import { assertSame, runPrograms } from "./differential.ts";
import { requestPrograms, type RequestSource } from "./request-programs.ts";

const controllers = new WeakMap<Request, AbortController>();

const NODE: RequestSource = {
  create({ method, url, fields, body }) {
    const controller = new AbortController();
    const { signal } = controller;
    const headers = parseFields(fields);
    const request = new Request(url, { method, headers, body, signal, duplex: "half" });
    controllers.set(request, controller);
    return request;
  },
  abort(request, reason) {
    controllers.get(request)?.abort(reason);
  },
};

// Before anything is replaced: what Node does.
const expected = await runPrograms(requestPrograms(NODE));
installWebObjects();

const POST = { method: "POST", url: "http://localhost/", fields: "", body: null };

describe("createRequest()", () => {
  it(`does in ${expected.size} programs what Node's own requests do`, async () => {
    const programs = requestPrograms({ create: createRequest, abort: abortRequest });
    assertSame(expected, await runPrograms(programs));
  });

  it("keeps the URL as it came, letter for letter", () => {
    for (const url of ["http://localhost/?", "http://localhost/a#", "http://LOCALHOST/%7e"]) {
      assert.equal(createRequest({ ...POST, url }).url, url);
    }
  });

  for (const method of ["GET", "HEAD", "get"]) {
    it(`exposes no body of a ${method}`, async () => {
      const request = createRequest({ ...POST, method, body: new Uint8Array([1]) });
      assert.deepEqual(
        [request.body, request.bodyUsed, await request.text(), await request.clone().text()],
        [null, false, "", ""],
      );
    });
  }

  it("cancels the body stream of a GET, so that its sender can stop", async () => {
    const { promise, resolve } = withResolvers();
    const body = new ReadableStream<Uint8Array>({ cancel: resolve });
    createRequest({ ...POST, method: "GET", body });
    await promise;
  });

  for (const method of ["CONNECT", "TRACE", "track"]) {
    it(`tells the method and fields of a ${method}, and refuses more, as Node does`, async () => {
      const request = createRequest({ ...POST, method, fields: "a\nb" });
      assert.deepEqual([request.method, request.headers.get("a")], [method, "b"]);
      assert.equal(await request.text(), "");
      assert.throws(() => new Request(request), TypeError);
      await assert.rejects(fetch(request), TypeError);
    });
  }

  it("reads a stream only as far as it is asked to", async () => {
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          pulled++;
          controller.enqueue(new Uint8Array([pulled]));
        },
      },
      { highWaterMark: 0 },
    );
    const reader = createRequest({ ...POST, body }).body?.getReader();
    // Reading ahead would happen in microtasks.
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(pulled, 0);
    await reader?.read();
    assert.equal(pulled, 1);
  });

  it("passes cancelling on to the sender", async () => {
    const { promise, resolve } = withResolvers();
    const body = new ReadableStream<Uint8Array>({ cancel: resolve });
    await createRequest({ ...POST, body }).body?.cancel("enough");
    assert.equal(await promise, "enough");
  });

  it("passes a failure of the sender on to the reader", async () => {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.error(new RangeError("cut")),
    });
    await assert.rejects(createRequest({ ...POST, body }).text(), new RangeError("cut"));
  });

  it("does not create an AbortController, Headers or streams unless asked", (t) => {
    const created: string[] = [];
    for (const name of ["AbortController", "ReadableStream"] as const) {
      const native = globalThis[name];
      const counting = new Proxy(native, {
        construct(target, args, newTarget) {
          created.push(name);
          return Reflect.construct(target, args, newTarget) as object;
        },
      });
      Object.assign(globalThis, { [name]: counting });
      t.after(() => Object.assign(globalThis, { [name]: native }));
    }
    const request = createRequest({ ...POST, body: new Uint8Array([1]) });
    void [request.method, request.url, request.bodyUsed, request.text()];
    assert.deepEqual(created, []);
    void request.signal;
    assert.deepEqual(created, ["AbortController"]);
  });
});

describe("abortRequest()", () => {
  it("fails a body stream that is being read", async () => {
    let cancelled: unknown;
    const body = new ReadableStream<Uint8Array>({
      cancel(reason) {
        cancelled = reason;
      },
    });
    const request = createRequest({ ...POST, body });
    const reading = request.text();
    const gone = new RangeError("client left");
    abortRequest(request, gone);
    await assert.rejects(reading, gone);
    assert.equal(cancelled, gone);
  });

  it("fails a body stream that is looked at later", async () => {
    const request = createRequest({ ...POST, body: new ReadableStream<Uint8Array>() });
    abortRequest(request, new RangeError("client left"));
    await assert.rejects(request.text(), new RangeError("client left"));
  });

  it("fails what a clone and a copy read", async () => {
    const request = createRequest({ ...POST, body: new ReadableStream<Uint8Array>() });
    const copy = new Request(request.clone());
    abortRequest(request, new RangeError("client left"));
    await assert.rejects(copy.text(), new RangeError("client left"));
    await assert.rejects(request.text(), new RangeError("client left"));
  });

  it("leaves a stream alone that was read to its end", async () => {
    const body = new Blob(["all"]).stream() as ReadableStream<Uint8Array>;
    const request = createRequest({ ...POST, body });
    const clone = request.clone();
    assert.equal(await request.text(), "all");
    abortRequest(request, new RangeError("client left"));
    assert.equal(await clone.text(), "all");
  });

  it("gives signal and stream the same AbortError if there is no reason", async () => {
    const request = createRequest({ ...POST, body: new ReadableStream<Uint8Array>() });
    abortRequest(request, undefined);
    const reason: unknown = request.signal.reason;
    assert.equal((reason as DOMException).name, "AbortError");
    await assert.rejects(request.text(), (error) => error === reason);
  });

  it("refuses requests that are not its own", () => {
    assert.throws(() => abortRequest(new Request("http://a/"), 1), TypeError);
  });
});

function ignore(_value: unknown): void {
  // Replaced before anybody can call it.
}

function withResolvers(): { promise: Promise<unknown>; resolve: (value: unknown) => void } {
  let resolve = ignore;
  const promise = new Promise((fulfil) => {
    resolve = fulfil;
  });
  return { promise, resolve };
}
