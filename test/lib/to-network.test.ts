import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toNetwork } from "../../runtime/lib/to-network.ts";

describe("toNetwork()", () => {
  it("takes 64 bits of an IPv6 address, and all of an IPv4 address", () => {
    const cases = [
      ["192.0.2.1", "192.0.2.1"],
      ["2001:db8:0:1:a:b:c:d", "2001:db8:0:1"],
      ["2001:db8::1", "2001:db8:0:0"],
      ["2001:db8:0:1::", "2001:db8:0:1"],
      ["2001:db8:0:1::9:9", "2001:db8:0:1"],
      ["1:2:3:4:5:6:7::", "1:2:3:4"],
      ["1::2:3:4:5:6", "1:0:0:2"],
      ["::1", "0:0:0:0"],
      ["::", "0:0:0:0"],
      ["", ""],
    ] as const;
    for (const [address, network] of cases) assert.equal(toNetwork(address), network, address);
  });
});
