import assert from "node:assert/strict";
import { isIP } from "node:net";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  AddressFormatter,
  ConnectionAddresses,
} from "../../../runtime/engine/uws/client-address.ts";

function toBuffer(bytes: readonly number[]): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** 16 bytes from 8 groups. */
function groups(...words: number[]): ArrayBuffer {
  return toBuffer(words.flatMap((word) => [word >> 8, word & 0xff]));
}

describe("AddressFormatter", () => {
  it("writes IPv4 in dotted decimal, also when it comes mapped into IPv6", () => {
    const cases: [bytes: number[], text: string][] = [
      [[127, 0, 0, 1], "127.0.0.1"],
      [[0, 0, 0, 0], "0.0.0.0"],
      [[255, 255, 255, 255], "255.255.255.255"],
      [[192, 168, 10, 1], "192.168.10.1"],
      [[128, 0, 0, 0], "128.0.0.0"],
    ];
    const formatter = new AddressFormatter();
    for (const [bytes, text] of cases) {
      assert.equal(formatter.format(toBuffer(bytes)), text);
      const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes];
      assert.equal(formatter.format(toBuffer(mapped)), text);
    }
  });

  it("writes IPv6 as RFC 5952 says", () => {
    const cases: [address: ArrayBuffer, text: string][] = [
      [groups(0, 0, 0, 0, 0, 0, 0, 0), "::"],
      [groups(0, 0, 0, 0, 0, 0, 0, 1), "::1"],
      [groups(1, 0, 0, 0, 0, 0, 0, 0), "1::"],
      // Section 4.1: no leading zeros. 4.3: lower case.
      [groups(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0xabcd), "2001:db8::abcd"],
      // Section 4.2.2: one group of zeros is not shortened.
      [groups(0x2001, 0xdb8, 0, 1, 1, 1, 1, 1), "2001:db8:0:1:1:1:1:1"],
      // Section 4.2.3: the longest run, the first of equal ones.
      [groups(0x2001, 0, 0, 1, 0, 0, 0, 1), "2001:0:0:1::1"],
      [groups(0x2001, 0xdb8, 0, 0, 1, 0, 0, 1), "2001:db8::1:0:0:1"],
      [groups(0xfe80, 0, 0, 0, 1, 2, 3, 4), "fe80::1:2:3:4"],
      [groups(1, 2, 3, 4, 5, 6, 7, 8), "1:2:3:4:5:6:7:8"],
      // Near to a mapped address, and none.
      [groups(0, 0, 0, 0, 0, 0xfffe, 0x7f00, 1), "::fffe:7f00:1"],
      [groups(0, 0, 0, 0, 0xffff, 0, 0x7f00, 1), "::ffff:0:7f00:1"],
      [groups(0, 0, 0, 0, 0, 0, 0x7f00, 1), "::7f00:1"],
    ];
    const formatter = new AddressFormatter();
    for (const [address, text] of cases) assert.equal(formatter.format(address), text);
  });

  it("is empty where there is no address", () => {
    const formatter = new AddressFormatter();
    for (const size of [0, 1, 3, 5, 15, 17]) {
      assert.equal(formatter.format(new ArrayBuffer(size)), "", `${size} bytes`);
    }
  });

  it("tells any two addresses apart, however many it has seen", () => {
    const formatter = new AddressFormatter();
    const v4 = fc.array(fc.nat({ max: 255 }), { minLength: 4, maxLength: 4 });
    const v6 = fc.array(fc.nat({ max: 255 }), { minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(fc.oneof(v4, v6), (bytes) => {
        const text = formatter.format(toBuffer(bytes));
        assert.equal(isIP(text), bytes.length === 4 ? 4 : 6);
        if (bytes.length === 4) assert.equal(text, bytes.join("."));
      }),
      { numRuns: 10_000 },
    );
  });
});

describe("ConnectionAddresses", () => {
  it("never gives one client the address of another, however they come and go", () => {
    const step = fc.record({
      do: fc.constantFrom("open", "open", "close", "ask", "ask"),
      which: fc.nat({ max: 100 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const addresses = new ConnectionAddresses();
        const open: { text: string; getRemoteAddress: () => ArrayBuffer }[] = [];
        for (const { do: name, which } of steps) {
          const at = which % Math.max(1, open.length);
          const connection = open[at];
          if (name === "open") {
            const last = (which % 3) + 1;
            const source = {
              text: `10.0.0.${last}`,
              getRemoteAddress: () => toBuffer([10, 0, 0, last]),
            };
            open.push(source);
            addresses.opened(source);
          } else if (name === "close" && connection !== undefined) {
            open.splice(at, 1);
            addresses.closed();
          } else if (name === "ask" && connection !== undefined) {
            assert.equal(addresses.of(connection), connection.text);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
