import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toQueueConfig } from "../../runtime/config/queue-config.ts";
import type { QueueHandler } from "../../runtime/handlers/site-routes.ts";
import type { ExchangeId } from "../../runtime/http/client.ts";
import { QueueConsumers } from "../../runtime/queues/queue-consumers.ts";
import { createFakeLog } from "../helpers/fake-log.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

function handler(name: string, deadLetter?: string): QueueHandler {
  return {
    site: "default",
    pattern: `/${name}`,
    file: `${name}.ts`,
    pool: "default",
    handler: 0,
    config:
      toQueueConfig({ name, ...(deadLetter !== undefined && { deadLetter }) }) ?? assert.fail(),
    run: () => assert.fail("no queue has a message"),
  };
}

describe("QueueConsumers", { timeout: 120_000 }, () => {
  it("warns of the handlers without messages of which a check warns, and of no other one", async (t) => {
    // Timers of the consumers keep no process alive.
    const alive = setInterval(() => {}, 60_000);
    t.after(() => clearInterval(alive));
    const { log, lines } = createFakeLog();
    const consumers = new QueueConsumers({
      log,
      storesDir: temporaryFolder(t),
      nextId: () => 1 as ExchangeId, // No batch begins.
      onFailure: () => assert.fail("no batch fails"),
    });
    t.after(() => consumers.close());
    const jobs = { kind: "queue", space: "jobs", store: "default", limit: 10 } as const;
    await consumers.use(
      [
        handler("a", "a-dead"),
        handler("a-dead"),
        handler("x", "dead"),
        handler("jobs", "dead"),
        handler("dead"),
      ],
      {
        bindings: [{ name: "JOBS", pools: null, sites: null, value: jobs }],
        stores: [{ kind: "embedded", name: "default", durability: "process" }],
      },
    );
    const warned = lines.filter(({ level }) => level === 40).map((line) => line["handler"]);
    assert.deepEqual(warned, ["a.ts", "a-dead.ts", "x.ts"]);
  });
});
