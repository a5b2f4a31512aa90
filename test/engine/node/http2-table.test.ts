import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FRAMES, PREFACES, STREAMS } from "./http2-cases/connection.ts";
import { BODIES, FIELDS, PSEUDO_FIELDS } from "./http2-cases/messages.ts";
import { outcomesOf, runRow } from "./http2-cases/run-row.ts";
import { echo, openListener } from "./open-listener.ts";

const ROWS = [...PREFACES, ...FRAMES, ...STREAMS, ...PSEUDO_FIELDS, ...FIELDS, ...BODIES];

const LIMITS = {
  bodyTimeoutMs: 0,
  minBodyRateBytesPerSecond: 0,
  sendTimeoutMs: 60_000,
  headerLimitBytes: 32 * 1024,
  headerCountLimit: 98,
  urlLimitBytes: 8 * 1024,
};

describe("HTTP/2 frames (RFC 9113)", { concurrency: true }, () => {
  for (const row of ROWS) {
    it(`${row.section}: ${row.name}`, { timeout: 120_000 }, async (t) => {
      const limits = row.isCut === true ? { ...LIMITS, sendTimeoutMs: 500 } : LIMITS;
      const { port } = await openListener(t, { onRequest: echo, limits });
      const { outcome, text } = await runRow(row, { port, secure: false });
      const expected = outcomesOf(row);
      assert.ok(expected.includes(outcome), `${outcome}, expected ${expected.join(" or ")}`);
      if (outcome !== 200) return;
      if (row.shows !== undefined) assert.match(text, row.shows);
      if (row.hides !== undefined) assert.doesNotMatch(text, row.hides);
    });
  }
});
