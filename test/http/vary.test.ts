import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { withVary } from "../../runtime/http/vary.ts";

describe("withVary()", () => {
  const rows: [fields: string, expected: string][] = [
    ["", "vary\naccept"],
    ["etag\nx", "etag\nx\nvary\naccept"],
    ["vary\nAccept\netag\nx", "etag\nx\nvary\nAccept"],
    ["vary\norigin", "vary\norigin, accept"],
    ["vary\norigin\nx\ny\nVary\ncookie", "x\ny\nvary\norigin, cookie, accept"],
    ["vary\n*", "vary\n*"],
    ["vary\naccept-encoding", "vary\naccept-encoding, accept"],
    ["vary\n", "vary\naccept"],
    ["x\nvary", "x\nvary\nvary\naccept"],
  ];
  for (const [fields, expected] of rows) {
    it(JSON.stringify(fields), () => assert.equal(withVary(fields, "accept"), expected));
  }
});
