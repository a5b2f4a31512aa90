import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionAddresses } from "../../runtime/front/client-address.ts";
import { OriginResolver } from "../../runtime/front/origin.ts";
import { HeadReader } from "../../runtime/front/read-head.ts";
import type { HttpRequest, HttpResponse } from "../../runtime/front/uws.ts";

// What the library's own parser lets through, in a table. Real bytes go through both in test/e2e/bad-input.test.ts.

interface FakeRequest {
  method?: string;
  url?: string;
  query?: string;
  /** In the order of the wire, names in lower case as the parser gives them. */
  fields?: readonly (readonly [name: string, value: string])[];
}

const HOST = ["host", "example.com"] as const;

const reader = new HeadReader({
  origins: new OriginResolver("http"),
  addresses: new ConnectionAddresses(),
});

function length(value: string): [name: string, value: string] {
  return ["content-length", value];
}

function coding(value: string): [name: string, value: string] {
  return ["transfer-encoding", value];
}

function read(request: FakeRequest): ReturnType<HeadReader["read"]> {
  const { method = "GET", url = "/", query, fields = [HOST] } = request;
  const req = {
    getCaseSensitiveMethod: () => method,
    getUrl: () => url,
    // As the library does: `undefined` without a "?", whatever its types say.
    getQuery: () => query,
    forEach: (callback: (name: string, value: string) => void) => {
      for (const [name, value] of fields) callback(name, value);
    },
  };
  const res = { getRemoteAddress: () => new Uint8Array([127, 0, 0, 1]).buffer };
  // All that the reader touches.
  return reader.read(req as unknown as HttpRequest, res as unknown as HttpResponse);
}

/** The status of a refusal; `null` when the head is taken. */
function refusalOf(request: FakeRequest): number | null {
  const head = read(request);
  return "reason" in head ? head.status : null;
}

describe("HeadReader", () => {
  it("copies what is known of a request", () => {
    const fields = [HOST, ["accept", "*/*"], ["cookie", "a=1"], ["cookie", "b=2"]] as const;
    assert.deepEqual(read({ method: "PATCH", url: "/a%20b", query: "q=1?2", fields }), {
      method: "PATCH",
      target: "/a%20b?q=1?2",
      origin: "http://example.com",
      fields: "host\nexample.com\naccept\n*/*\ncookie\na=1\ncookie\nb=2",
      bodyBytes: 0,
      clientAddress: "127.0.0.1",
    });
  });

  it("tells a query that is empty from none", () => {
    const targets = [read({ url: "/a" }), read({ url: "/a", query: "" })].map((head) =>
      "target" in head ? head.target : null,
    );
    assert.deepEqual(targets, ["/a", "/a?"]);
  });

  it("leaves out the fields that concern the connection, and keeps the body's length", () => {
    const hop = ["connection", "keep-alive", "proxy-connection", "te", "expect"] as const;
    const fields = [
      HOST,
      ...hop.map((name) => [name, "x"] as const),
      ["content-length", "5"] as const,
    ];
    const head = read({ method: "POST", fields });
    assert.deepEqual("fields" in head && [head.fields, head.bodyBytes], [
      "host\nexample.com\ncontent-length\n5",
      5,
    ]);
    const chunked = read({ fields: [HOST, ["transfer-encoding", "Chunked"]] });
    assert.deepEqual("fields" in chunked && [chunked.fields, chunked.bodyBytes], [
      "host\nexample.com",
      null,
    ]);
  });

  it("gives handlers one character per byte", () => {
    const head = read({ fields: [HOST, ["x", "\u20ac caf\u00e9"]] });
    assert.equal("fields" in head && head.fields, "host\nexample.com\nx\n\xe2\x82\xac caf\xc3\xa9");
  });

  it("knows nothing of the head before", () => {
    assert.equal(refusalOf({ fields: [HOST, HOST, ["content-length", "7"]] }), 400);
    assert.equal(refusalOf({ fields: [HOST, ["transfer-encoding", "gzip"]] }), 501);
    const head = read({});
    assert.deepEqual("fields" in head && [head.fields, head.bodyBytes], ["host\nexample.com", 0]);
    assert.equal(refusalOf({ fields: [] }), 400);
  });

  it("refuses methods that are none, and those that are not for a server like this", () => {
    for (const method of ["G(]T", "", "G T", "GET\t", "\u00c4", "GET/"]) {
      assert.equal(refusalOf({ method }), 400, JSON.stringify(method));
    }
    for (const method of ["TRACE", "CONNECT"]) assert.equal(refusalOf({ method }), 405, method);
    for (const method of ["GET", "get", "PROPFIND", "M-SEARCH", "x!#$%&'*+-.^_`|~0"]) {
      assert.equal(refusalOf({ method }), null, method);
    }
  });

  it("refuses framing that two programs could read differently", () => {
    const cases: [fields: (readonly [string, string])[], status: number | null][] = [
      [[length("5")], null],
      [[length("0")], null],
      [[length("5"), length("5")], 400],
      [[length("5"), length("6")], 400],
      [[length("5, 5")], 400],
      [[length("+5")], 400],
      [[length("-5")], 400],
      [[length("0x5")], 400],
      [[length("5 ")], 400],
      [[length("5.0")], 400],
      [[length("")], 400],
      [[length("\u0665")], 400],
      [[coding("chunked")], null],
      [[coding("CHUNKED")], null],
      [[coding("gzip")], 501],
      [[coding("gzip, chunked")], 501],
      [[coding("chunked, chunked")], 501],
      [[coding("identity")], 501],
      [[coding("chunked;q=1")], 501],
      [[coding(" chunked")], 501],
      [[coding("")], 501],
      [[coding("chunked"), coding("chunked")], 400],
      [[coding("chunked"), length("5")], 400],
      [[length("5"), coding("chunked")], 400],
      [[length("5"), coding("gzip")], 400],
    ];
    for (const [fields, status] of cases) {
      assert.equal(refusalOf({ fields: [HOST, ...fields] }), status, JSON.stringify(fields));
    }
  });

  it("refuses hosts that are missing, doubled or none", () => {
    const cases: [fields: (readonly [string, string])[], status: number | null][] = [
      [[HOST], null],
      [[], 400],
      [[["x", "1"]], 400],
      [[HOST, HOST], 400],
      [[HOST, ["host", "other.example"]], 400],
      [[["host", ""]], 400],
      [[["host", "a b"]], 400],
      [[["host", "user@example.com"]], 400],
      [[["host", "example.com/path"]], 400],
      [[["host", "example.com:99999"]], 400],
    ];
    for (const [fields, status] of cases) {
      assert.equal(refusalOf({ fields }), status, JSON.stringify(fields));
    }
  });

  it("refuses field names that are no tokens", () => {
    for (const name of ["a b", "a(", "", "a\u00e9", "a\0", '"a"', "a\tb"]) {
      assert.equal(refusalOf({ fields: [HOST, [name, "1"]] }), 400, JSON.stringify(name));
    }
    for (let number = 0; number < 3_000; number++) {
      assert.equal(refusalOf({ fields: [HOST, [`x-${number}`, "1"]] }), null);
    }
  });
});
