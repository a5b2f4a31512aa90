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
      assert.deepEqual(read(both), {
        referer: "http://b.example/",
        userAgent: "curl",
        traceparent: undefined,
      });
    }
    assert.equal(searches, 2);
    const none = { referer: undefined, userAgent: undefined, traceparent: undefined };
    assert.deepEqual(read("host\na.example"), none);
    assert.deepEqual(read(both).userAgent, "curl");
    assert.deepEqual(read(""), none);
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    assert.deepEqual(read(`host\na\ntraceparent\n${traceparent}`), { ...none, traceparent });
  });
});
