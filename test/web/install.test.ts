import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { createRequest } from "../../runtime/web/fast-request.ts";
import { readResponse } from "../../runtime/web/fast-response.ts";
import { installWebObjects } from "../../runtime/web/install.ts";

const before = { Request, Response, fetch };
installWebObjects();

const POST = { method: "POST", url: "http://localhost/", fields: "a\n1", body: null };

/** Runs a module in a process of its own, where `preload` comes first. */
async function run(source: string): Promise<string> {
  const cwd = new URL("../../", import.meta.url);
  const args = ["--import", "tsx", "--input-type=module", "--eval", source];
  return (await promisify(execFile)(process.execPath, args, { cwd })).stdout.trim();
}

describe("installWebObjects()", () => {
  it("replaces Request, Response and fetch, once", () => {
    const after = { Request, Response, fetch };
    installWebObjects();
    assert.deepEqual(after, { Request, Response, fetch });
    assert.notEqual(after.Response, before.Response);
    assert.notEqual(after.Request, before.Request);
    assert.notEqual(after.fetch, before.fetch);
    assert.equal(Response.prototype, before.Response.prototype);
    assert.equal(Request.prototype, before.Request.prototype);
  });

  it("makes old and new classes instances of each other", () => {
    const lazy = createRequest(POST);
    assert.deepEqual(
      [
        lazy instanceof before.Request,
        lazy instanceof Request,
        new before.Request(POST.url) instanceof Request,
      ],
      [true, true, true],
    );
    assert.equal(new before.Request(POST.url).constructor, Request);
    class Old extends before.Response {}
    class New extends Response {}
    assert.deepEqual(
      [
        new Old() instanceof Response,
        new New() instanceof before.Response,
        new Response() instanceof Old,
      ],
      [true, true, false],
    );
  });

  it("shows a patch of the prototype on all kinds of objects", (t) => {
    const kinds = [new Response("x"), new before.Response("x"), Response.json(1), Response.error()];
    Object.defineProperty(Response.prototype, "patched", { value: 1, configurable: true });
    t.after(() => Reflect.deleteProperty(Response.prototype, "patched"));
    assert.deepEqual(
      kinds.map((response) => Reflect.get(response, "patched") as unknown),
      [1, 1, 1, 1],
    );
  });

  it("does nothing on import", async () => {
    const source = `
      const before = [Request, Response, fetch, Response.prototype.constructor];
      await import("./runtime/web/install.ts");
      const after = [Request, Response, fetch, Response.prototype.constructor];
      console.log(after.every((value, at) => value === before[at]));`;
    assert.equal(await run(source), "true");
  });

  it("works where something derived from Node's classes, and wrapped fetch, before", async () => {
    const source = `
      const calls = [];
      globalThis.Request = class Request extends globalThis.Request {};
      globalThis.Response = class Response extends globalThis.Response {};
      const { fetch } = globalThis;
      globalThis.fetch = (input, init) => (calls.push(input.url), fetch(input, init));
      const { installWebObjects } = await import("./runtime/web/install.ts");
      const { createRequest } = await import("./runtime/web/fast-request.ts");
      const { readResponse } = await import("./runtime/web/fast-response.ts");
      installWebObjects();
      const url = "data:,x";
      const request = createRequest({ method: "GET", url, fields: "", body: null });
      const text = await (await globalThis.fetch(request)).text();
      console.log(calls[0], text, readResponse(new Response("y")).body, request instanceof Request);`;
    assert.equal(await run(source), "data:,x x y true");
  });

  it("works twice, when two copies of the runtime are loaded", async () => {
    const source = `
      const load = async (copy) => Promise.all(["install", "fast-request", "fast-response"].map(
        (name) => import("./runtime/web/" + name + ".ts?" + copy)));
      const [one] = await load(1);
      one.installWebObjects();
      const [two, { createRequest }, { readResponse }] = await load(2);
      two.installWebObjects();
      const body = new TextEncoder().encode("body");
      const request = createRequest({ method: "POST", url: "http://a/", fields: "a\\nb", body });
      const copy = new Request(request.clone());
      const response = new Response(await copy.text(), { status: 201 });
      const changed = new Response(response.body, response);
      changed.headers.set("c", "d");
      const { status, fields, body: sent } = readResponse(changed);
      console.log(status, JSON.stringify(fields), await new Response(sent).text());`;
    assert.equal(await run(source), '201 "c\\nd\\ncontent-type\\ntext/plain;charset=UTF-8" body');
  });

  it("leaves nothing behind that a response could be confused with another by", () => {
    const [first, second] = [new Response("1"), new Response("2")];
    first.headers.set("x", "1");
    assert.equal(second.headers.get("x"), null);
    assert.deepEqual([readResponse(first)?.body, readResponse(second)?.body], ["1", "2"]);
  });
});
