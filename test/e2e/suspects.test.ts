import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HttpClient } from "../helpers/http-client.ts";
import { runCommand } from "../helpers/run-command.ts";
import { startServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const SLOW = 3;

const HANDLERS = {
  "quick.ts": `export default () => new Response("quick");`,
  "slow.ts": `export default async () => {
    globalThis.begun = (globalThis.begun ?? 0) + 1;
    await new Promise((resolve) => setTimeout(resolve, 900));
    return new Response("slow");
  };`,
  "poison.ts": `
    import { existsSync, writeFileSync } from "node:fs";
    export default async () => {
      const mark = process.env.POISON_MARK;
      // The first time it waits until all other requests have begun. Later it exits at once.
      while (!existsSync(mark) && globalThis.begun !== ${SLOW}) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      writeFileSync(mark, "");
      process.exit(3);
    };`,
};

const CONNECTIONS = 8;

describe("the only worker of a pool, after a crash", { timeout: 300_000 }, () => {
  it("serves new requests, answers innocent suspects, and quarantines the cause", async (t) => {
    // No limit of the queue refuses the others, however slow the machine is.
    const flags = ["--access-log", "off", "--queue-timeout", "60s", "--queue-delay", "0s"];
    const env = { POISON_MARK: join(temporaryFolder(t), "mark") };
    const server = await startServer(t, { handlers: HANDLERS, workers: 1, flags, env });
    const client = new HttpClient(t, server.http, { connections: SLOW });
    const others = new HttpClient(t, server.http, { connections: CONNECTIONS });
    const slow = Array.from({ length: SLOW }, (_, number) => client.request(`/slow?${number}`));
    const crashed = server.until(({ msg }) => msg?.startsWith("worker exited") === true);
    const poison = server.fetch("/poison");
    await crashed;

    const over = new AbortController();
    const statuses: Record<number, number> = {};
    const ask = async (connection: number): Promise<void> => {
      for (let number = 0; !over.signal.aborted; number++) {
        const { status } = await others.request(`/quick?${connection}.${number}`);
        statuses[status] = (statuses[status] ?? 0) + 1;
      }
    };
    const load = Promise.all(Array.from({ length: CONNECTIONS }, (_, number) => ask(number)));
    const answers = await Promise.all(slow);
    // The suspects take 2.7 s. Others were served between two of them.
    const served = statuses[200] ?? 0;
    const poisoned = [(await poison).status];
    // On a slow machine a slow request may still run beside the poison. Then a second suspicion is needed (decision 011).
    while (poisoned.at(-1) === 502 && poisoned.length < 3) {
      poisoned.push((await server.fetch("/poison")).status);
    }
    assert.match(poisoned.join(), /^502,(?:502,)?503$/);
    over.abort();
    await load;

    assert.deepEqual(
      answers.map(({ status, body }) => `${status} ${String(body)}`),
      Array(SLOW).fill("200 slow"),
    );
    assert.deepEqual(Object.keys(statuses), ["200"]);
    assert.ok(served > 0);
    assert.match((await runCommand(["status"], server.dir)).stdout, /cut off by: quarantine [1-9]/);
    await server.stop();
    const exits = server.logs.filter(({ msg }) => msg?.startsWith("worker exited") === true);
    const refusals = server.logs.filter(({ code }) => code === "ERR_QUARANTINED");
    // The crash with all of them, and one for each answer but the last.
    assert.deepEqual([exits.length, refusals.length], [poisoned.length, 1]);
    const lost = server.logs.find(({ msg }) => msg === "exchanges lost");
    for (const named of [refusals[0], lost?.["first"]]) {
      assert.match(JSON.stringify(named), /"handler":"[^"]*handlers\/poison\.ts"/);
    }
  });
});
