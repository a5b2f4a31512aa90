import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { array, assert as assertProperty, constantFrom, property, string, tuple } from "fast-check";
import { parseBlock } from "../../runtime/http/field-block.ts";
import { RequestFields, type RequestFieldRules } from "../../runtime/proxy/request-fields.ts";

const RULES: RequestFieldRules = {
  kind: "x-forwarded",
  prefix: "",
  set: {},
  removed: [],
};

interface Request {
  fields?: Readonly<Record<string, string>> | readonly (readonly [string, string])[];
  origin?: string;
  clientAddress?: string;
  peerAddress?: string;
  host?: string | null;
  rules?: Partial<RequestFieldRules>;
}

function make(request: Request): { fields: [string, string][]; isLooping: boolean } {
  const given = request.fields ?? { host: "example.com" };
  const list = Array.isArray(given) ? given.flat() : Object.entries(given).flat();
  const { peerAddress } = request;
  const head = {
    fields: list.join("\n"),
    origin: request.origin ?? "http://example.com",
    clientAddress: request.clientAddress ?? "192.0.2.7",
    ...(peerAddress === undefined ? {} : { peerAddress }),
  };
  const maker = new RequestFields({ ...RULES, ...request.rules });
  const { fields, isLooping } = maker.of(head, { requestId: "id-1", host: request.host ?? null });
  assert.deepEqual(
    maker.of(head, { requestId: "id-1", host: request.host ?? null }).fields,
    fields,
  );
  return { fields: parseBlock(fields).map(([name, value]) => [name, value]), isLooping };
}

/** The fields that every upstream gets for the request of `make`. */
const ADDED = [
  ["x-forwarded-for", "192.0.2.7"],
  ["x-forwarded-proto", "http"],
  ["x-forwarded-host", "example.com"],
  ["x-forwarded-port", "80"],
  ["x-real-ip", "192.0.2.7"],
  ["x-request-id", "id-1"],
  ["via", "1.1 edgicorn"],
];

describe("RequestFields", () => {
  it("passes end-to-end fields on in their order, and tells about the client", () => {
    const fields: [string, string][] = [
      ["host", "example.com"],
      ["accept", "*/*"],
      ["cookie", "a=1; b=2"],
      ["authorization", "Bearer x"],
      ["accept", "text/html"],
      ["x_custom", "kept"],
    ];
    assert.deepEqual(make({ fields }).fields, [...fields, ...ADDED]);
  });

  it("leaves out the fields of framing and connection, wherever they stand", () => {
    const dropped = [
      "connection",
      "content-length",
      "expect",
      "http2-settings",
      "keep-alive",
      "proxy",
      "proxy-authorization",
      "proxy-connection",
      "te",
      "trailer",
      "transfer-encoding",
      "upgrade",
    ];
    for (const name of dropped) {
      const kept: [string, string][] = [
        ["host", "example.com"],
        ["accept", "*/*"],
      ];
      for (let at = 0; at <= kept.length; at++) {
        const fields = kept.toSpliced(at, 0, [name, "7"]);
        assert.deepEqual(make({ fields }).fields, [...kept, ...ADDED], `${name} at ${at}`);
      }
    }
  });

  it("leaves out fields that look like its own to programs that do not tell `_` from `-`", () => {
    const host: [string, string] = ["host", "example.com"];
    for (const name of [
      "content_length",
      "proxy_authorization",
      "transfer_encoding",
      "x_forwarded_for",
      "x-forwarded_for",
      "x_real_ip",
      "x_request_id",
    ]) {
      assert.deepEqual(make({ fields: [host, [name, "1"]] }).fields, [host, ...ADDED], name);
    }
  });

  it("yields the kept fields of any block, in their order", () => {
    const name = constantFrom("host", "te", "upgrade", "accept", "x-a", "x_a", "cookie", "trailer");
    const value = string({ unit: "grapheme-ascii", maxLength: 8 });
    assertProperty(
      property(array(tuple(name, value), { maxLength: 8 }), (fields) => {
        const rules = { kind: null, removed: ["x-a"] };
        const kept = fields.filter(([each]) => ["host", "accept", "cookie"].includes(each));
        const made = make({ fields, rules }).fields;
        assert.deepEqual(made, [...kept, ["x-request-id", "id-1"], ["via", "1.1 edgicorn"]]);
      }),
    );
  });

  it("sets `host` where the rules ask for it", () => {
    const { fields } = make({ fields: { accept: "*/*", host: "a.example" }, host: "b.internal" });
    assert.deepEqual(
      fields.filter(([name]) => name === "host"),
      [["host", "b.internal"]],
    );
  });

  it("names scheme, host and port of the client's URL", () => {
    const { fields } = make({ origin: "https://example.com:8443" });
    const named = new Map(fields);
    assert.equal(named.get("x-forwarded-proto"), "https");
    assert.equal(named.get("x-forwarded-host"), "example.com:8443");
    assert.equal(named.get("x-forwarded-port"), "8443");
    const usual = new Map(make({ origin: "https://[2001:db8::1]" }).fields);
    assert.equal(usual.get("x-forwarded-host"), "[2001:db8::1]");
    assert.equal(usual.get("x-forwarded-port"), "443");
  });

  it("adds the peer to the verified addresses of a trusted proxy", () => {
    const cases: [sent: Record<string, string>, expected: string][] = [
      [{ "x-forwarded-for": "198.51.100.1" }, "198.51.100.1, 10.0.0.9"],
      [{ "x-forwarded-for": "198.51.100.1, 10.0.0.5" }, "198.51.100.1, 10.0.0.5, 10.0.0.9"],
      // The proxy named its client in the other kind of field.
      [{}, "198.51.100.1, 10.0.0.9"],
    ];
    for (const [sent, expected] of cases) {
      const { fields } = make({
        fields: { host: "example.com", ...sent, "x-forwarded-proto": "https" },
        origin: "https://example.com",
        clientAddress: "198.51.100.1",
        peerAddress: "10.0.0.9",
      });
      const lists = fields.filter(([name]) => name === "x-forwarded-for");
      assert.deepEqual(lists, [["x-forwarded-for", expected]]);
      assert.equal(new Map(fields).get("x-real-ip"), "198.51.100.1");
    }
  });

  it("sends `Forwarded` where the rules ask for it", () => {
    const rules = { kind: "forwarded" } as const;
    const plain = make({ rules }).fields.filter(([name]) => /forwarded|real/.test(name));
    assert.deepEqual(plain, [["forwarded", "for=192.0.2.7;host=example.com;proto=http"]]);
    const six = make({ rules, clientAddress: "2001:db8::7", origin: "https://example.com:8443" });
    assert.equal(
      new Map(six.fields).get("forwarded"),
      'for="[2001:db8::7]";host="example.com:8443";proto=https',
    );
    const behind = make({
      rules,
      fields: { host: "example.com", forwarded: 'for="[2001:db8::7]";proto=https' },
      clientAddress: "2001:db8::7",
      peerAddress: "10.0.0.9",
    });
    assert.equal(
      new Map(behind.fields).get("forwarded"),
      'for="[2001:db8::7]";proto=https, for=10.0.0.9;host=example.com;proto=http',
    );
  });

  it("tells nothing about the client where the rules say so", () => {
    const { fields } = make({
      fields: { host: "example.com", "x-forwarded-for": "198.51.100.1" },
      rules: { kind: null },
    });
    assert.deepEqual(
      fields.map(([name]) => name),
      ["host", "x-request-id", "via"],
    );
  });

  it("names the part of the path that the upstream does not see", () => {
    const own = make({ rules: { prefix: "/api" } });
    assert.equal(new Map(own.fields).get("x-forwarded-prefix"), "/api");
    const behind = make({
      fields: { host: "example.com", "x-forwarded-prefix": "/outer" },
      peerAddress: "10.0.0.9",
      rules: { prefix: "/api" },
    });
    assert.equal(new Map(behind.fields).get("x-forwarded-prefix"), "/outer/api");
  });

  it("sets and removes fields, with their twins in `_`, and its own fields too", () => {
    const { fields } = make({
      fields: { host: "example.com", x_user: "forged", "x-user": "forged", "x-gone": "1" },
      rules: {
        set: { "x-user": "ann", "x-forwarded-proto": "https", "x-request-id": "mine" },
        removed: ["x-gone", "x-real-ip"],
      },
    });
    assert.deepEqual(fields, [
      ["host", "example.com"],
      ["x-forwarded-for", "192.0.2.7"],
      ["x-forwarded-host", "example.com"],
      ["x-forwarded-port", "80"],
      ["via", "1.1 edgicorn"],
      ["x-user", "ann"],
      ["x-forwarded-proto", "https"],
      ["x-request-id", "mine"],
    ]);
  });

  it("keeps the values that rules set for the fields about the client", () => {
    const { fields } = make({ fields: { host: "example.com", "x-forwarded-proto": "https" } });
    assert.equal(new Map(fields).get("x-forwarded-proto"), "https");
  });

  it("keeps the number that a request has", () => {
    const { fields } = make({ fields: { host: "example.com", "x-request-id": "of-proxy" } });
    assert.deepEqual(
      fields.filter(([name]) => name === "x-request-id"),
      [["x-request-id", "of-proxy"]],
    );
  });

  it("adds itself to `via`, and finds requests that go round in circles", () => {
    const fields = { host: "example.com", via: "1.1 vegur" };
    const { fields: made, isLooping } = make({ fields });
    assert.deepEqual(
      made.filter(([name]) => name === "via").map(([, value]) => value),
      ["1.1 vegur", "1.1 edgicorn"],
    );
    assert.equal(isLooping, false);
    const many = Array.from({ length: 10 }, (): [string, string] => ["via", "1.1 edgicorn"]);
    assert.equal(make({ fields: many.slice(1) }).isLooping, false);
    assert.equal(make({ fields: many }).isLooping, true);
    assert.equal(make({ fields: { via: "1.1 edgicorn, ".repeat(10) } }).isLooping, true);
  });
});
