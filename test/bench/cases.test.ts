import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CASES, type Case } from "../../scripts/bench/cases.ts";
import {
  BROWSER_FIELDS,
  JSON_1K,
  PUBLIC_FILES,
  publicFileText,
} from "../../scripts/bench/payloads.ts";

describe("CASES", () => {
  it("have a baseline that is one of their servers", () => {
    for (const { id, servers, baseline } of CASES) assert.ok(servers.includes(baseline), id);
  });

  it("accept the right answer, with or without a charset", () => {
    const { refuse } = caseOf("post-json");
    for (const contentType of ["application/json", "application/json; charset=utf-8"])
      assert.equal(refuse({ status: 200, contentType, body: JSON_1K }), undefined);
  });

  it("describe a wrong answer", () => {
    const { refuse } = caseOf("static-1k");
    const right = {
      status: 200,
      contentType: "text/plain",
      body: publicFileText(PUBLIC_FILES["1k"]),
    };
    assert.equal(refuse(right), undefined);
    assert.match(refuse({ ...right, status: 404 }) ?? "", /status 404/);
    assert.match(refuse({ ...right, contentType: "text/html" }) ?? "", /content-type "text\/html"/);
    assert.match(refuse({ ...right, body: right.body.slice(1) }) ?? "", /of 1023 characters/);
  });

  it("accept an event after a comment, but not a comment alone", () => {
    const { refuse } = caseOf("sse");
    const stream = { status: 200, contentType: "text/event-stream" };
    assert.equal(refuse({ ...stream, body: ":\n\ndata: 12\n\n" }), undefined);
    assert.match(refuse({ ...stream, body: ":\n\n" }) ?? "", /expected an event/);
  });
});

describe("JSON_1K", () => {
  it("is 1 KiB that an echo through an object does not change", () => {
    assert.equal(JSON_1K.length, 1024);
    assert.equal(JSON.stringify(JSON.parse(JSON_1K)), JSON_1K);
  });

  it("comes with eight fields", () => {
    assert.equal(new Set(BROWSER_FIELDS.map(([name]) => name.toLowerCase())).size, 8);
  });
});

describe("publicFileText()", () => {
  it("has the size of the file, in bytes", () => {
    for (const file of Object.values(PUBLIC_FILES))
      assert.equal(Buffer.byteLength(publicFileText(file)), file.sizeBytes);
  });
});

function caseOf(id: string): Case {
  const found = CASES.find((each) => each.id === id);
  assert.ok(found, id);
  return found;
}
