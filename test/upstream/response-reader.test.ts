import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { array, assert as assertProperty, constantFrom, double, property } from "fast-check";
import { FieldNames } from "../../runtime/upstream/response-head.ts";
import { ResponseReader } from "../../runtime/upstream/response-reader.ts";
import { ODD_RESPONSES, type OddResponse } from "./odd-responses.ts";

/** All that a sink hears of one response. */
interface Heard {
  status: number | null;
  statusText: string;
  fields: string;
  informational: number[];
  body: string;
  end: "complete" | "switched" | "refused" | "none";
  keeps: boolean;
  surplus: boolean;
}

/** Reads a response whose bytes come in the pieces that end at these positions. */
function read({ bytes, method, asksForUpgrade }: OddResponse, cuts: readonly number[] = []): Heard {
  const heard: Heard = {
    status: null,
    statusText: "",
    fields: "",
    informational: [],
    body: "",
    end: "none",
    keeps: false,
    surplus: false,
  };
  const reader = new ResponseReader({
    names: new FieldNames(),
    headBytes: 65_536,
    fields: 500,
    sink: {
      onInformational: (status) => heard.informational.push(status),
      onHead: (head) => {
        heard.status = head.status;
        heard.statusText = head.statusText;
        heard.fields = head.fields;
        heard.keeps = head.keeps;
      },
      onBody: (piece) => {
        heard.body += piece.toString("latin1");
        return true;
      },
      onComplete: (surplus) => {
        heard.end = "complete";
        heard.surplus = surplus;
      },
      onSwitch: (head, piece) => {
        heard.end = "switched";
        heard.keeps = true;
        heard.status = head.status;
        heard.fields = head.fields;
        heard.body += piece.toString("latin1");
      },
      onRefused: (reason) => {
        assert.notEqual(reason, "");
        heard.end = "refused";
      },
    },
  });
  reader.begin({ isHead: method === "HEAD", asksForUpgrade: asksForUpgrade === true });
  const whole = Buffer.from(bytes, "latin1");
  let at = 0;
  for (const cut of [...cuts, whole.length]) {
    if (cut <= at || cut > whole.length) continue;
    const taken = reader.push(whole, at, cut);
    // After a switch, bytes belong to the tunnel, and after the end to no response.
    if (heard.end === "switched" && at + taken < cut) heard.body += bytes.slice(at + taken, cut);
    if (heard.end === "complete" && taken < cut - at) heard.surplus = true;
    at = cut;
  }
  if (heard.end === "none" && reader.finish() !== null) heard.end = "refused";
  return heard;
}

describe("ResponseReader", () => {
  it("has a table of at least 150 responses, with different names", () => {
    assert.ok(ODD_RESPONSES.length >= 150, `${ODD_RESPONSES.length} responses`);
    assert.equal(new Set(ODD_RESPONSES.map(({ name }) => name)).size, ODD_RESPONSES.length);
  });

  for (const odd of ODD_RESPONSES) {
    const { section, name, meaning } = odd;
    it(`${meaning === null ? "refuses" : "reads"} ${name} (${section})`, () => {
      const heard = read(odd);
      if (meaning === null) {
        assert.equal(heard.end, "refused");
        return;
      }
      assert.equal(heard.end, meaning.switched === true ? "switched" : "complete");
      assert.equal(heard.status, meaning.status);
      assert.equal(heard.body, meaning.body);
      assert.equal(heard.keeps, meaning.keeps ?? true);
      assert.equal(heard.surplus, meaning.surplus ?? false);
      assert.deepEqual(heard.informational, meaning.informational ?? []);
      if (meaning.fields !== undefined) assert.equal(heard.fields, meaning.fields);
      if (meaning.statusText !== undefined) assert.equal(heard.statusText, meaning.statusText);
    });
  }

  it("tells the same wherever the bytes are split in two", () => {
    for (const odd of ODD_RESPONSES.filter(({ bytes }) => bytes.length < 500)) {
      const whole = read(odd);
      for (let at = 1; at < odd.bytes.length; at += 1)
        assert.deepEqual(known(read(odd, [at])), known(whole), `${odd.name}, split at ${at}`);
    }
  });

  it("tells the same when the bytes come one by one", () => {
    for (const odd of ODD_RESPONSES.filter(({ bytes }) => bytes.length < 35_000)) {
      const cuts = Array.from({ length: odd.bytes.length }, (_, at) => at);
      assert.deepEqual(known(read(odd, cuts)), known(read(odd)), odd.name);
    }
  });

  it("tells the same for any split of any response", () => {
    assertProperty(
      property(
        constantFrom(...ODD_RESPONSES),
        array(double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }),
        (odd, shares) => {
          const cuts = shares
            .map((share) => Math.floor(share * odd.bytes.length))
            .toSorted((a, b) => a - b);
          assert.deepEqual(known(read(odd, cuts)), known(read(odd)));
        },
      ),
      { numRuns: 500 },
    );
  });

  it("keeps to its two ends for any bytes", () => {
    const pieces = constantFrom(
      "HTTP/1.1 200 OK\r\n",
      "Content-Length: 5\r\n",
      "Transfer-Encoding: chunked\r\n",
      "\r\n",
      "5\r\nhello\r\n",
      "0\r\n\r\n",
      "A: b\r\n",
      "\n",
      "\r",
      " ",
      "\0",
      ":",
      "hello",
      "HTTP/1.1 100 C\r\n\r\n",
    );
    assertProperty(
      property(array(pieces, { maxLength: 12 }), (parts) => {
        const odd: OddResponse = { section: "", name: "", bytes: parts.join(""), meaning: null };
        const heard = read(odd);
        assert.notEqual(heard.end, "none");
        assert.deepEqual(known(read(odd, [1, 3, 9, 20, 40, 60])), known(heard));
      }),
      { numRuns: 1000 },
    );
  });
});

/** Of a refused response, a split may change how much of the body came before the refusal. */
function known(heard: Heard): Heard | { end: "refused"; status: number | null } {
  return heard.end === "refused" ? { end: "refused", status: heard.status } : heard;
}
