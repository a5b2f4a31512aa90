import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { installWebObjects } from "../../runtime/web/install.ts";
import { abortRequest, createRequest } from "../../runtime/web/fast-request.ts";
import { toCallRequest } from "../../runtime/worker/to-call-request.ts";

installWebObjects();

const API = { name: "API" };

describe("toCallRequest()", () => {
  it("reads paths, URLs and requests", async () => {
    const path = toCallRequest(API, "/a b?c#d");
    assert.deepEqual(
      [path.method, path.url, path.fields, path.body],
      ["GET", "http://localhost/a%20b?c", "host\nlocalhost", null],
    );
    const url = toCallRequest(API, new URL("https://x.example:8443/"), { headers: { "x-a": "b" } });
    assert.deepEqual(
      [url.url, url.fields],
      ["https://x.example:8443/", "host\nx.example:8443\nx-a\nb"],
    );
    const given = new Request("http://x.example/p", { method: "PUT", body: "text" });
    const request = toCallRequest(API, given);
    assert.deepEqual([request.method, request.url], ["PUT", "http://x.example/p"]);
    assert.equal(await new Response(request.body).text(), "text");
  });

  it("takes a stream without duplex, and an init beside a request", async () => {
    const body = new Blob(["streamed"]).stream();
    const streamed = toCallRequest(API, "/", { method: "POST", body });
    assert.equal(await new Response(streamed.body).text(), "streamed");
    const other = toCallRequest(API, new Request("http://x/"), { method: "DELETE" });
    assert.equal(other.method, "DELETE");
  });

  it("takes a request in place of an init", async () => {
    const stop = new AbortController();
    const { signal } = stop;
    const given = [
      new Request("http://x/a", { method: "PUT", headers: { "x-a": "b" }, body: "text", signal }),
      createRequest({
        method: "PUT",
        url: "http://x/a",
        fields: "x-a\nb",
        body: Buffer.from("text"),
      }),
    ];
    const calls = given.map((request) => toCallRequest(API, "/other?c", request));
    for (const { method, url, fields, body } of calls) {
      assert.deepEqual([method, url], ["PUT", "http://localhost/other?c"]);
      assert.match(fields, /(^|\n)x-a\nb(\n|$)/);
      assert.equal(await new Response(body).text(), "text");
    }
    stop.abort();
    abortRequest(given[1] ?? assert.fail(), new Error("left"));
    assert.ok(calls.every((call) => call.signal.aborted));
  });

  it("refuses a body that is read or being read", async () => {
    const used = new Request("http://x/", { method: "POST", body: "text" });
    await used.text();
    const locked = new Request("http://x/", { method: "POST", body: "text" });
    locked.body?.getReader();
    const fast = createRequest({
      method: "POST",
      url: "http://x/",
      fields: "",
      body: Buffer.from("a"),
    });
    await fast.text();
    for (const request of [used, locked, fast]) {
      const expected = {
        name: "TypeError",
        message: /^Cannot call env\.API: found a body that is read/,
      };
      assert.throws(() => toCallRequest(API, request), expected);
    }
    assert.throws(() => toCallRequest(API, "/", used), TypeError);
  });

  it("leaves out fields of the connection, and of the former body", () => {
    const headers = {
      "accept-encoding": "gzip",
      "content-length": "5",
      connection: "close",
      host: "a",
    };
    assert.equal(toCallRequest(API, "/", { headers }).fields, "host\na");
  });

  const wrong: [string, string, RegExp][] = [
    [
      "a relative path",
      "users",
      /^TypeError: Cannot call env\.API: found "users", expected a Request/,
    ],
    ["another scheme", "ftp://x/", /found the URL ftp:\/\/x\/, expected one of http or https/],
  ];
  for (const [name, input, message] of wrong) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => toCallRequest(API, input),
        (error) => message.test(String(error)),
      );
    });
  }

  it("refuses fields that no frame can have", () => {
    const headers = { "x-long": "a".repeat(1024 * 1024) };
    assert.throws(() => toCallRequest(API, "/", { headers }), /characters of fields, expected/);
  });
});
