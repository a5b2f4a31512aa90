import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Config } from "../../runtime/config/config.ts";
import type { Client } from "../../runtime/http/client.ts";
import { MOST_WAITING } from "../../runtime/trace/exporter.ts";
import { Tracer } from "../../runtime/trace/tracer.ts";
import { createFakeLog } from "../helpers/fake-log.ts";
import { openCollector } from "../helpers/otlp-collector.ts";

const HEAD_BYTES = 16 * 1024;

function createTracer(otlp: string): Tracer {
  const tracer = new Tracer({ log: createFakeLog().log, requestIdPrefix: "a-", env: {} });
  use(tracer, otlp);
  return tracer;
}

/** The tracer reads no other settings. */
function use(tracer: Tracer, otlp: string): void {
  tracer.useSettings({
    otlp: `${otlp}/v1/traces`,
    traceSample: 1,
    variables: {},
  } as unknown as Config);
}

/** A request whose texts are parts of its head, as those of an engine are. */
function createClient(number: number): Client {
  const head = `GET /path/of/request/${number} user-agent\nBrowser number ${number}\n`;
  const buffer = Buffer.from(head.padEnd(HEAD_BYTES, "."), "latin1").toString("latin1");
  const target = buffer.slice(4, buffer.indexOf(" user"));
  const fields = buffer.slice(buffer.indexOf("user-agent"));
  // It has all that a tracer reads.
  return {
    id: number,
    receivedMs: performance.now(),
    head: { method: "GET", target, origin: "http://a.example", clientAddress: "::1", fields },
  } as unknown as Client;
}

function finish(tracer: Tracer, count: number): void {
  for (let number = 0; number < count; number++) {
    const client = createClient(number);
    tracer.begin(client);
    tracer.finish(client, { route: "/", status: 200, bytes: 0 });
  }
}

describe("Tracer", { timeout: 60_000 }, () => {
  it("keeps nothing of the heads of requests that wait for the collector", async (t) => {
    setFlagsFromString("--expose-gc");
    // The flag holds for new contexts.
    const collect = runInNewContext("gc") as () => void;
    const { url } = await openCollector(t);
    const tracer = createTracer(url);
    t.after(() => tracer.close(0));
    collect();
    const before = process.memoryUsage().heapUsed;
    // All in one turn: none is sent meanwhile.
    finish(tracer, MOST_WAITING);
    collect();
    const grownBytes = process.memoryUsage().heapUsed - before;
    assert.ok(grownBytes < (MOST_WAITING * HEAD_BYTES) / 4, `${grownBytes} bytes`);
    assert.equal(tracer.counts.dropped, 0);
  });

  it("sends at its end also those for a collector that a reload has replaced", async (t) => {
    const [before, after] = [await openCollector(t), await openCollector(t)];
    const tracer = createTracer(before.url);
    finish(tracer, 2);
    use(tracer, after.url);
    finish(tracer, 3);
    await tracer.close(30_000);
    assert.deepEqual([before.spans.length, after.spans.length], [2, 3]);
    assert.deepEqual(tracer.counts, { exported: 5, dropped: 0, rejectedSpans: 0 });
  });

  it("gives up a replaced collector that is silent when its own time is over", async (t) => {
    const after = await openCollector(t);
    // A port on which no process listens.
    const tracer = createTracer("http://127.0.0.1:1");
    finish(tracer, 2);
    use(tracer, after.url);
    await tracer.close(0);
    assert.deepEqual([tracer.counts.exported, tracer.counts.dropped], [0, 2]);
  });
});
