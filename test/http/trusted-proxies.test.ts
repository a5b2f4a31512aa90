import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AddressRanges } from "../../runtime/lib/address-ranges.ts";
import { isProxyEntry } from "../../runtime/lib/proxy-entries.ts";
import { toAddress, toTrust } from "../../runtime/http/trusted-proxies.ts";

function trust(trustedProxies: string[]): AddressRanges {
  const made = toTrust({ trustedProxies, trustedProxyFields: "forwarded" });
  assert.ok(made !== null);
  return made.proxies;
}

describe("toTrust()", () => {
  it("trusts the addresses of its ranges", () => {
    const cases: [entries: string[], inside: string[], outside: string[]][] = [
      [["192.0.2.1"], ["192.0.2.1"], ["192.0.2.2", "", "unknown", "2001:db8::1"]],
      [["10.0.0.0/8"], ["10.0.0.1", "10.255.255.255"], ["11.0.0.0", "9.255.255.255"]],
      [["10.1.2.3/8"], ["10.9.9.9"], ["11.1.2.3"]],
      [["2001:db8::/32"], ["2001:db8::1", "2001:db8:ffff::"], ["2001:db9::", "10.0.0.1"]],
      [["loopback"], ["127.0.0.1", "127.9.9.9", "::1"], ["10.0.0.1", "::2"]],
      [["private"], ["127.0.0.1", "10.0.0.1", "172.31.0.1", "fd00::1"], ["172.32.0.1", "8.8.8.8"]],
      [["0.0.0.0/0"], ["192.0.2.1"], ["2001:db8::1"]],
      [["192.0.2.1", "::1"], ["192.0.2.1", "::1"], ["127.0.0.1"]],
    ];
    for (const [entries, inside, outside] of cases) {
      const proxies = trust(entries);
      // The second look comes from the cache.
      for (let look = 0; look < 2; look++) {
        for (const address of inside)
          assert.ok(proxies.has(address), `${entries.join()} ${address}`);
        for (const address of outside)
          assert.ok(!proxies.has(address), `${entries.join()} ${address}`);
      }
    }
  });
});

describe("isProxyEntry()", () => {
  it("accepts only entries that toTrust() can use", () => {
    const accepted = [
      "loopback",
      "private",
      "10.0.0.0/8",
      "192.0.2.1",
      "2001:db8::/32",
      "::1",
      "::/0",
    ];
    for (const entry of accepted) {
      assert.ok(isProxyEntry(entry), entry);
      assert.doesNotThrow(() => trust([entry]), entry);
    }
    const refused = [
      "",
      "any",
      "10.0.0.0/33",
      "::/129",
      "10.0.0.0/",
      "10.0.0.0/8/8",
      "10.0.0.0/-1",
      "010.0.0.1",
      "::ffff:10.0.0.0/104",
      "fe80::1%eth0",
      "*",
      "toString",
    ];
    for (const entry of refused) assert.ok(!isProxyEntry(entry), entry);
  });
});

describe("toAddress()", () => {
  it("returns one form for each address, and null for all that programs read differently", () => {
    const cases: [text: string, address: string | null][] = [
      ["192.0.2.1", "192.0.2.1"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["::FFFF:c000:201", "192.0.2.1"],
      ["2001:DB8:0:0::1", "2001:db8::1"],
      ["0:0:0:0:0:0:0:1", "::1"],
      ["127.1", null],
      ["0177.0.0.1", null],
      ["192.0.2.01", null],
      ["0x7f.0.0.1", null],
      ["2130706433", null],
      ["256.0.0.1", null],
      ["fe80::1%eth0", null],
      ["192.0.2.1 ", null],
      ["192.0.2.1:80", null],
      ["[::1]", null],
      ["", null],
      ["unknown", null],
      ["_hidden", null],
    ];
    for (const [text, address] of cases) assert.equal(toAddress(text), address, text);
  });
});
