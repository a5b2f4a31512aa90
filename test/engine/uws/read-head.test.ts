import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ConnectionAddresses } from "../../../runtime/engine/uws/client-address.ts";
import { HeadReader } from "../../../runtime/engine/uws/read-head.ts";
import { createAddressRanges } from "../../../runtime/lib/address-ranges.ts";
import type { HttpRequest, HttpResponse } from "../../../runtime/engine/uws/uws.ts";

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
  scheme: "http",
  addresses: new ConnectionAddresses(),
});

function length(value: string): [name: string, value: string] {
  return ["content-length", value];
}

function coding(value: string): [name: string, value: string] {
  return ["transfer-encoding", value];
}

function connection(value: string): [name: string, value: string] {
  return ["connection", value];
}

function read(request: FakeRequest): ReturnType<HeadReader["read"]> {
  return readWith(reader, request);
}

function readWith(by: HeadReader, request: FakeRequest): ReturnType<HeadReader["read"]> {
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
  return by.read(req as unknown as HttpRequest, res as unknown as HttpResponse);
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
    assert.equal(refusalOf({ fields: [HOST, ["transfer-encoding", "gzip, chunked"]] }), 501);
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
      [[coding("gzip")], 400],
      [[coding("gzip, chunked")], 501],
      [[coding("GZIP , Chunked")], 501],
      [[coding("chunked, gzip")], 400],
      [[coding("chunked, chunked")], 400],
      [[coding("gzip,")], 400],
      [[coding("identity")], 400],
      [[coding("chunked;q=1")], 400],
      [[coding(" chunked")], 400],
      [[coding("")], 400],
      [[coding("chunked"), coding("chunked")], 400],
      [[coding("chunked"), length("5")], 400],
      [[length("5"), coding("chunked")], 400],
      [[length("5"), coding("gzip")], 400],
    ];
    for (const [fields, status] of cases) {
      assert.equal(refusalOf({ fields: [HOST, ...fields] }), status, JSON.stringify(fields));
    }
  });

  it("takes a chunked request, or one that asks to close, for the last of its connection", () => {
    const cases: [
      fields: (readonly [string, string])[],
      isLast: boolean,
      libraryCloses: boolean,
    ][] = [
      [[], false, false],
      [[length("5")], false, false],
      [[coding("chunked")], true, false],
      [[connection("keep-alive")], false, false],
      [[connection("close")], true, true],
      [[connection("CLOSE")], true, true],
      [[connection("close, te")], true, false],
      [[connection("te,\tClose")], true, false],
      [[connection("te"), connection("close")], true, false],
      [[connection("closed")], false, false],
      [[connection("x-close")], false, false],
      // No option that is known, but the library closes: any value of five characters, of the first field.
      [[connection("xxxxx")], true, true],
      [[connection("te"), connection("xxxxx")], false, false],
    ];
    for (const [fields, isLast, libraryCloses] of cases) {
      assert.equal(refusalOf({ fields: [HOST, ...fields] }), null);
      assert.deepEqual(
        [reader.isLast, reader.libraryCloses],
        [isLast, libraryCloses],
        JSON.stringify(fields),
      );
    }
  });

  it("leaves out the fields that Connection names, but for those that are meant for the end of the way", () => {
    const cases: [options: string[], kept: string][] = [
      [["x-hop"], "authorization\nA\nx-end\n2"],
      [["close", "X-Hop , x-end"], "authorization\nA"],
      [["authorization, host, x-other"], "x-hop\n1\nauthorization\nA\nx-end\n2"],
      [["keep-alive"], "x-hop\n1\nauthorization\nA\nx-end\n2"],
    ];
    for (const [options, kept] of cases) {
      const fields = [
        HOST,
        ...options.map((value) => ["connection", value] as const),
        ["x-hop", "1"],
        ["authorization", "A"],
        ["x-end", "2"],
      ] as const;
      const head = read({ fields });
      assert.equal("fields" in head && head.fields, `host\nexample.com\n${kept}`);
    }
  });

  it("refuses values with DEL, and those whose bytes are lost", () => {
    for (const value of ["b\x7fc", "\x7f", "\ufffd", "a\ufffdb"]) {
      assert.equal(refusalOf({ fields: [HOST, ["x-a", value]] }), 400, JSON.stringify(value));
    }
    for (const name of ["connection", "te", "keep-alive", "expect"]) {
      assert.equal(refusalOf({ fields: [HOST, [name, "a\x7f"]] }), 400, name);
    }
  });

  it("leaves out forwarding fields of a peer that is not trusted, and twins of every peer", () => {
    const dropped: string[] = [];
    const fields = [
      HOST,
      ["x-forwarded-for", "6.6.6.6"],
      ["x_forwarded_for", "6.6.6.6"],
      ["x-forwarded-proto", "https"],
      ["forwarded", "for=6.6.6.6"],
      ["x-request-id", "mine"],
    ] as const;
    const addresses = new ConnectionAddresses();
    const onDropped = (name: string, peer: string): void => void dropped.push(`${name} ${peer}`);
    const own = new HeadReader({ scheme: "http", addresses, onDropped });
    const expected = {
      method: "GET",
      target: "/",
      origin: "http://example.com",
      bodyBytes: 0,
      clientAddress: "127.0.0.1",
    };
    assert.deepEqual(readWith(own, { fields }), {
      ...expected,
      // No proxy is trusted, so the client may use this field as it likes.
      fields: "host\nexample.com\nx-request-id\nmine",
    });
    assert.deepEqual(dropped, [
      "x-forwarded-for 127.0.0.1",
      "x-forwarded-proto 127.0.0.1",
      "forwarded 127.0.0.1",
    ]);
    own.trust = { proxies: createAddressRanges(["10.0.0.0/8"]), kind: "x-forwarded" };
    assert.deepEqual(readWith(own, { fields }), { ...expected, fields: "host\nexample.com" });
    own.trust = { proxies: createAddressRanges(["127.0.0.1"]), kind: "x-forwarded" };
    assert.deepEqual(readWith(own, { fields }), {
      ...expected,
      origin: "https://example.com",
      fields:
        "host\nexample.com\nx-forwarded-for\n6.6.6.6\nx-forwarded-proto\nhttps\nx-request-id\nmine",
      clientAddress: "6.6.6.6",
      peerAddress: "127.0.0.1",
      requestId: "mine",
    });
  });

  it("shows one host to all, and refuses a forwarded host that is none", () => {
    const via = new HeadReader({ scheme: "http", addresses: new ConnectionAddresses() });
    via.trust = { proxies: createAddressRanges(["127.0.0.1"]), kind: "x-forwarded" };
    const host = (value: string) =>
      readWith(via, { fields: [["a", "1"], HOST, ["x-forwarded-host", value], ["b", "2"]] });
    const head = host("shop.example:8443");
    assert.deepEqual("fields" in head && [head.origin, head.fields], [
      "http://shop.example:8443",
      "host\nshop.example:8443\na\n1\nb\n2\nx-forwarded-host\nshop.example:8443",
    ]);
    for (const value of ["a b", "evil.example/path", "a@b"]) {
      const refused = host(value);
      assert.equal("reason" in refused && refused.status, 400, value);
    }
  });

  it("tells of each field name once", () => {
    const names: string[] = [];
    const teller = new HeadReader({
      scheme: "http",
      addresses: new ConnectionAddresses(),
      onNewName: (name) => names.push(name),
    });
    for (let turn = 0; turn < 2; turn++) readWith(teller, { fields: [HOST, ["via", "1.1 a"]] });
    assert.deepEqual(names, ["via"]);
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
