import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { installWebObjects } from "../../runtime/web/install.ts";
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
