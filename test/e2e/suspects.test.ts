import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HttpClient } from "../helpers/http-client.ts";
import { startServer } from "../helpers/start-server.ts";

const HANDLERS = {
  "quick.ts": `export default () => new Response("quick");`,
  "slow.ts": `export default async () => {
    await new Promise((resolve) => setTimeout(resolve, 900));
    return new Response("slow");
  };`,
  "poison.ts": `export default async () => {
    // Once all that was sent with it has begun.
    await new Promise((resolve) => setTimeout(resolve, 50));
    process.exit(3);
  };`,
};

const SLOW = 3;
const CONNECTIONS = 8;

describe("the only worker of a pool, after a crash", { timeout: 30_000 }, () => {
  it("serves who was not there, answers who was, and refuses who was to blame", async (t) => {
    // Less than all suspects take together.
    const flags = ["--access-log", "off", "--queue-timeout", "2s"];
    const server = await startServer(t, { handlers: HANDLERS, workers: 1, flags });
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
    assert.equal((await poison).status, 502);
    assert.equal((await server.fetch("/poison")).status, 503);
    over.abort();
    await load;

    assert.deepEqual(
      answers.map(({ status, body }) => `${status} ${String(body)}`),
      Array(SLOW).fill("200 slow"),
    );
    assert.deepEqual(Object.keys(statuses), ["200"]);
    await server.stop();
    const exits = server.logs.filter(({ msg }) => msg?.startsWith("worker exited") === true);
    const refusals = server.logs.filter(({ code }) => code === "ERR_QUARANTINED");
    assert.deepEqual([exits.length, refusals.length], [2, 1]);
  });
});
