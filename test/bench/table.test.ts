import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatTable } from "../../scripts/bench/table.ts";

describe("formatTable()", () => {
  it("aligns the first column left and figures right, as wide as the widest", () => {
    const text = formatTable(
      ["server", "requests/s"],
      [
        { kind: "cells", cells: ["a", "1"] },
        { kind: "cells", cells: ["a longer name", "123,456,789"] },
      ],
    );
    assert.deepEqual(text.split("\n"), [
      "server          requests/s",
      "a                        1",
      "a longer name  123,456,789",
    ]);
  });

  it("neither widens columns for a remark, nor cuts it", () => {
    const text = formatTable(
      ["server", "n"],
      [
        { kind: "cells", cells: ["here", "1"] },
        { kind: "remark", title: "elsewhere", remark: "skipped: not installed on this machine" },
      ],
    );
    assert.deepEqual(text.split("\n"), [
      "server     n",
      "here       1",
      "elsewhere  skipped: not installed on this machine",
    ]);
  });

  it("leaves no space at the end of a line", () => {
    const text = formatTable(["server", ""], [{ kind: "cells", cells: ["a"] }]);
    assert.doesNotMatch(text, / $/m);
  });
});
