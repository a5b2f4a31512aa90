import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findField } from "../../runtime/http/find-field.ts";
import { createClientFields } from "../../runtime/log/client-fields.ts";

describe("createClientFields()", () => {
  it("finds the fields of each block, and searches a block that repeats once", () => {
    let searches = 0;
    const read = createClientFields((block, name) => {
      searches++;
      return findField(block, name);
    });
    const both = "host\na.example\nuser-agent\ncurl\nreferer\nhttp://b.example/";
    for (const _ of [1, 2]) {
      assert.deepEqual(read(both), { referer: "http://b.example/", userAgent: "curl" });
    }
    assert.equal(searches, 2);
    assert.deepEqual(read("host\na.example"), { referer: undefined, userAgent: undefined });
    assert.deepEqual(read(both).userAgent, "curl");
    assert.deepEqual(read(""), { referer: undefined, userAgent: undefined });
  });
});
