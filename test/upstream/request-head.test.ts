import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { RequestHeads } from "../../runtime/upstream/request-head.ts";
import { GET } from "./raw-upstream.ts";

describe("RequestHeads", () => {
  it("writes each field of a block on its line, also when it knows parts of the block", () => {
    const name = fc.constantFrom("a", "b", "x-request-id", "accept");
    const value = fc.constantFrom("", "1", "x-request-id", "a", "\xe4 b");
    const heads = new RequestHeads({ keeps: true });
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value), { maxLength: 6 }), (fields) => {
        const lines = fields.map(([key, text]) => `${key}: ${text}\r\n`).join("");
        const head = heads.format({ ...GET, fields: fields.flat().join("\n") });
        assert.equal(head, `GET / HTTP/1.1\r\n${lines}\r\n`);
      }),
      { numRuns: 1000 },
    );
  });

  it("refuses an invalid number of a request", () => {
    const heads = new RequestHeads({ keeps: true });
    for (const fields of ["host\nx\nx-request-id\na\rb", "host\nx\nx-request-id\na\nb"])
      assert.throws(() => heads.format({ ...GET, fields }), TypeError);
  });
});
