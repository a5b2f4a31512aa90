import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createHash } from "node:crypto";
import { createKeyReader, type LimitKey } from "../../runtime/limits/limit-key.ts";
import { FakeClient } from "../dispatch/fake-client.ts";

function keyOf(key: LimitKey, fields: string, address = "192.0.2.1"): string {
  const client = new FakeClient(1);
  client.head.fields = fields;
  client.head.clientAddress = address;
  return createKeyReader(key)(client);
}

function hashOf(value: string): string {
  return `#${createHash("sha256").update(value).digest("base64url")}`;
}

describe("createKeyReader()", () => {
  it("reads an address, a field, a cookie, or nothing", () => {
    assert.equal(keyOf("address", ""), "192.0.2.1");
    assert.equal(keyOf("site", ""), "");
    assert.equal(keyOf({ header: "X-API-Key" }, "x-api-key\nabc"), hashOf("abc"));
    assert.equal(keyOf({ cookie: "id" }, 'cookie\na=1; id="x y"; id=2'), hashOf("x y"));
  });

  it("counts requests without the field by their address, which no value can imitate", () => {
    assert.equal(keyOf({ header: "x-api-key" }, ""), "192.0.2.1");
    assert.equal(keyOf({ header: "x-api-key" }, "x-api-key\n"), "192.0.2.1");
    assert.equal(keyOf({ header: "x-api-key" }, "x-api-key\n192.0.2.9"), hashOf("192.0.2.9"));
    assert.equal(keyOf({ cookie: "id" }, "cookie\nidea=1; b"), "192.0.2.1");
  });

  it("reads the same for a value that it knows", () => {
    const read = createKeyReader({ header: "k" });
    for (let each = 0; each < 10_000; each++) {
      const client = new FakeClient(1);
      client.head.fields = `k\n${each % 5_000}`;
      assert.equal(read(client), hashOf(String(each % 5_000)));
    }
  });

  it("keeps a hash of a long value", () => {
    const long = keyOf({ header: "k" }, `k\n${"x".repeat(10_000)}`);
    assert.ok(long.length < 64 && long.startsWith("#"));
    assert.notEqual(long, keyOf({ header: "k" }, `k\n${"x".repeat(10_001)}`));
  });
});
