import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { type ExportCounts, Exporter, MOST_WAITING } from "../../runtime/trace/exporter.ts";
import type { FinishedSpan } from "../../runtime/trace/span.ts";
import { type Collector, openCollector } from "../helpers/otlp-collector.ts";

/** The exporter only counts and passes on. */
const SPAN = {} as FinishedSpan;

interface Trial {
  exporter: Exporter;
  counts: ExportCounts;
  warnings: object[];
  collector: Collector;
}

async function start(t: TestContext, url?: string): Promise<Trial> {
  const collector = await openCollector(t);
  const counts = { exported: 0, dropped: 0, rejectedSpans: 0 };
  const warnings: object[] = [];
  const exporter = new Exporter(
    {
      url: url ?? `${collector.url}/v1/traces`,
      headers: { "x-key": "secret" },
      log: { warn: (fields: object) => void warnings.push(fields) },
      encode: () => JSON.stringify({ resourceSpans: [] }),
    },
    counts,
  );
  t.after(() => exporter.close(0));
  return { exporter, counts, warnings, collector };
}

describe("Exporter", { timeout: 60_000 }, () => {
  it("sends a full batch at once, and the rest when it closes", async (t) => {
    const { exporter, counts, collector } = await start(t);
    const arrived = collector.next();
    for (let number = 0; number < 513; number++) exporter.add(SPAN);
    await arrived;
    assert.equal(collector.received[0]?.headers["x-key"], "secret");
    await exporter.close(30_000);
    assert.deepEqual(counts, { exported: 513, dropped: 0, rejectedSpans: 0 });
    assert.equal(collector.received.length, 2);
    // Too late.
    exporter.add(SPAN);
    assert.equal(counts.dropped, 1);
  });

  it("tries again when the collector asks for it, and not when it refuses", async (t) => {
    const { exporter, counts, warnings, collector } = await start(t);
    collector.answers.push(503, 429);
    exporter.add(SPAN);
    await exporter.close(30_000);
    assert.deepEqual([counts.exported, collector.received.length], [1, 3]);
    assert.deepEqual(warnings, []);

    const refused = await start(t);
    refused.collector.answers.push(400);
    refused.exporter.add(SPAN);
    await refused.exporter.close(30_000);
    assert.deepEqual([refused.counts.exported, refused.counts.dropped], [0, 1]);
    assert.equal(refused.collector.received.length, 1);
    const [warning] = refused.warnings as Record<string, unknown>[];
    assert.deepEqual(
      [warning?.["dropped"], warning?.["reason"]],
      [1, "the collector answered 400"],
    );
  });

  it("counts the spans that the collector rejects, and warns once a minute", async (t) => {
    const { exporter, counts, warnings, collector } = await start(t);
    const partialSuccess = { rejectedSpans: "3", errorMessage: "too old" };
    collector.texts.push(JSON.stringify({ partialSuccess }), JSON.stringify({ partialSuccess }));
    for (let batch = 0; batch < 3; batch++) {
      const arrived = collector.next();
      for (let number = 0; number < 512; number++) exporter.add(SPAN);
      await arrived;
    }
    await exporter.close(30_000);
    assert.deepEqual(counts, { exported: 3 * 512, dropped: 0, rejectedSpans: 6 });
    assert.equal(warnings.length, 1);
    const [warning] = warnings as Record<string, unknown>[];
    assert.deepEqual([warning?.["rejectedSpans"], warning?.["reason"]], [3, "too old"]);
  });

  it("drops what does not fit while the collector is away, and does not wait for it at the end", async (t) => {
    // A port on which no process listens.
    const { exporter, counts, warnings } = await start(t, "http://127.0.0.1:1/v1/traces");
    for (let number = 0; number < 2 * MOST_WAITING; number++) exporter.add(SPAN);
    await exporter.close(0);
    assert.deepEqual([counts.exported, counts.dropped], [0, 2 * MOST_WAITING]);
    assert.ok(warnings.length >= 1 && warnings.length <= 2, JSON.stringify(warnings));
    assert.doesNotMatch(JSON.stringify(warnings), /secret/);
  });
});
