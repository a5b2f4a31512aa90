import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { engineOf, engineSetting } from "../../runtime/config/engine-setting.ts";

describe("engineSetting()", () => {
  const type = engineSetting();

  it("takes one engine for all ports, and one for each", () => {
    const rows: [unknown, unknown][] = [
      ["auto", "auto"],
      ["node", "node"],
      [
        { http: "uws", https: "node" },
        { http: "uws", https: "node" },
      ],
      [{ https: "node" }, { http: "auto", https: "node" }],
      [{}, { http: "auto", https: "auto" }],
      ["http=uws,https=node", { http: "uws", https: "node" }],
      ["https=node , http=uws", { http: "uws", https: "node" }],
      ["https=node", { http: "auto", https: "node" }],
    ];
    for (const [input, value] of rows) assert.deepEqual(type.parse(input), { value });
  });

  it("refuses everything else", () => {
    const rows = ["", "nginx", "http", "http=", "http=nginx", "ftp=uws", "http=uws,http=node"];
    for (const input of [...rows, "=uws", "http=uws,", null, 1, ["uws"], { http: 1 }]) {
      assert.equal(type.parse(input), null, JSON.stringify(input));
    }
  });

  it("names the member that is wrong", () => {
    assert.deepEqual(type.explain?.({ http: "uws", https: "nginx" }), {
      key: ".https",
      value: "nginx",
      expected: '"auto", "uws" or "node"',
    });
    assert.equal(type.explain?.({ h2: "node" })?.key, ".h2");
    assert.equal(type.explain?.("nginx"), null);
  });
});

describe("engineOf()", () => {
  it("returns the engine of a port", () => {
    assert.equal(engineOf("uws", "https"), "uws");
    assert.equal(engineOf({ http: "uws", https: "node" }, "https"), "node");
  });
});
