import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { agreeOnDeflate, isWorthDeflating } from "../../runtime/http/web-socket-deflate.ts";

const BOTH = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/** Offers, and the window bits of the answer: with an engine that limits its window, and with the other. */
const OFFERS: readonly (readonly [string, number | null, number | null])[] = [
  ["permessage-deflate", 15, 15],
  ["permessage-deflate; server_no_context_takeover", 15, 15],
  ["permessage-deflate; client_no_context_takeover", 15, 15],
  ["permessage-deflate;server_no_context_takeover;client_no_context_takeover", 15, 15],
  ["permessage-deflate; client_max_window_bits", 15, 15],
  ["permessage-deflate; client_max_window_bits=8", 15, 15],
  ['permessage-deflate; client_max_window_bits="15"', 15, 15],
  ["permessage-deflate; server_max_window_bits=9", 9, null],
  ["permessage-deflate; server_max_window_bits=15", 15, null],
  ['permessage-deflate; server_max_window_bits="10"', 10, null],
  // zlib compresses with at least 9.
  ["permessage-deflate; server_max_window_bits=8", null, null],
  ["permessage-deflate; server_max_window_bits=16", null, null],
  ["permessage-deflate; server_max_window_bits=7", null, null],
  ["permessage-deflate; server_max_window_bits=010", null, null],
  ["permessage-deflate; server_max_window_bits=1e1", null, null],
  ["permessage-deflate; server_max_window_bits", null, null],
  ["permessage-deflate; server_max_window_bits=", null, null],
  ["permessage-deflate; client_max_window_bits=16", null, null],
  ["permessage-deflate; client_max_window_bits=", null, null],
  ["permessage-deflate; client_max_window_bits; client_max_window_bits", null, null],
  ["permessage-deflate; server_no_context_takeover=1", null, null],
  ["permessage-deflate; client_no_context_takeover=", null, null],
  ["permessage-deflate; server_no_context_takeover; server_no_context_takeover", null, null],
  ["permessage-deflate; unknown", null, null],
  ["permessage-deflate; unknown=1", null, null],
  ["permessage-deflate;;", null, null],
  ["Permessage-Deflate", null, null],
  ["permessage-deflate2", null, null],
  ["x-webkit-deflate-frame", null, null],
  ["", null, null],
  [",", null, null],
  ["permessage-deflate; unknown, permessage-deflate; client_max_window_bits", 15, 15],
  ["permessage-deflate; server_max_window_bits=10, permessage-deflate", 10, 15],
  ["x-other; a=b, permessage-deflate", 15, 15],
];

describe("agreeOnDeflate", () => {
  for (const [offer, limiting, other] of OFFERS) {
    it(`reads "${offer}" (RFC 7692 section 7.1)`, () => {
      const asked = offer.includes("server_max_window_bits=") && limiting !== null;
      const answers = [true, false].map((limitsWindow) => agreeOnDeflate(offer, { limitsWindow }));
      assert.deepEqual(
        answers.map((agreed) => agreed?.windowBits ?? null),
        [limiting, other],
      );
      const window = asked ? `; server_max_window_bits=${limiting}` : "";
      if (limiting !== null) assert.equal(answers[0]?.answer, `${BOTH}${window}`);
      if (other !== null) assert.equal(answers[1]?.answer, BOTH);
    });
  }

  it("declines without an offer", () => {
    assert.equal(agreeOnDeflate(undefined, { limitsWindow: true }), null);
  });

  it("answers any text, with nothing of it but the window", () => {
    const part = fc.oneof(
      fc.constantFrom(
        "permessage-deflate",
        "server_max_window_bits",
        "=",
        "10",
        ";",
        ",",
        '"',
        " ",
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(part), fc.boolean(), (parts, limitsWindow) => {
        const agreed = agreeOnDeflate(parts.join(""), { limitsWindow });
        if (agreed === null) return;
        assert.match(
          agreed.answer.slice(BOTH.length),
          /^(?:; server_max_window_bits=(?:9|1[0-5]))?$/,
        );
        assert.ok(agreed.windowBits >= 9 && agreed.windowBits <= 15);
      }),
    );
  });
});

describe("isWorthDeflating", () => {
  it("takes messages of 1 to 256 KiB", () => {
    const sizes = [0, 1023, 1024, 256 * 1024, 256 * 1024 + 1];
    assert.deepEqual(sizes.map(isWorthDeflating), [false, false, true, true, false]);
  });
});
