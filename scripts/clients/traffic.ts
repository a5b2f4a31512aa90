import { setTimeout as delay } from "node:timers/promises";
import { Connection } from "../../runtime/drill/connection.ts";
import { patternOf } from "../soak/pattern.ts";
import type { TrafficOrder, TrafficReport, TrafficTask } from "../soak/traffic.ts";

/** Longer than any answer may take: such a request is lost. */
const LOST_MS = 10_000;
const BODY = patternOf(0, 1000);

// `traffic.ts` starts this process, and wrote the argument.
await run(JSON.parse(process.argv[2] ?? "") as TrafficTask);

async function run({
  endpoint,
  connections,
  requestsPerSecond,
  fresh = false,
}: TrafficTask): Promise<void> {
  let latenciesMs: number[] = [];
  let losses: string[] = [];
  const stop = new AbortController();
  const intervalMs = (connections / requestsPerSecond) * 1000;
  const report = (): void => {
    const counted: TrafficReport = { latenciesMs, losses };
    [latenciesMs, losses] = [[], []];
    process.send?.(counted);
  };
  const loop = async (first: Connection, index: number): Promise<void> => {
    let client = first;
    let dueMs = performance.now() + (index / connections) * intervalMs;
    for (let number = index; !stop.signal.aborted; number++, dueMs += intervalMs) {
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) await delay(waitMs);
      // If the server delayed the request before it, the latency counts from when this one was due. A timer that fires
      // up to a millisecond early or late is not the server's fault.
      const startMs = waitMs > 0 ? performance.now() : dueMs;
      const loss = await ask(client, number);
      if (loss === null) latenciesMs.push(performance.now() - startMs);
      else losses.push(loss);
      if (fresh) client.socket.destroy();
      else if (!client.closed) continue;
      else if (loss === null) losses.push("a connection that was in use was closed");
      client = await Connection.open(endpoint).catch((error: unknown) => {
        losses.push(String(error));
        return client;
      });
    }
    client.socket.destroy();
  };
  const clients = await Promise.all(
    Array.from({ length: connections }, () => Connection.open(endpoint)),
  );
  const loops = Promise.all(clients.map(loop));
  process.on("message", (order: TrafficOrder) => {
    if (order === "cut") {
      report();
      return;
    }
    stop.abort();
    void loops.finally(() => {
      report();
      process.disconnect();
    });
  });
  // The parent is gone.
  process.once("disconnect", () => process.exit());
  report();
}

/** Returns how a request was lost; `null`: it was answered correctly. */
async function ask(client: Connection, number: number): Promise<string | null> {
  const isEcho = number % 4 === 0;
  const expected = isEcho ? BODY : Buffer.from("hello");
  const received: Buffer[] = [];
  const timer = setTimeout(() => client.socket.destroy(), LOST_MS);
  try {
    const receiving = client.receive({ onBody: (bytes) => received.push(Buffer.from(bytes)) });
    const head = isEcho
      ? `POST /echo/${number} HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY.length}\r\n\r\n`
      : "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    await client.send(isEcho ? Buffer.concat([Buffer.from(head), BODY]) : head);
    const { head: answer, complete } = await receiving;
    if (answer === null) return "the connection ended without an answer";
    if (answer.status !== 200) return `status ${answer.status}`;
    if (!complete) return "the connection ended within an answer";
    return Buffer.concat(received).equals(expected) ? null : "another answer than it must be";
  } catch (error) {
    return String(error);
  } finally {
    clearTimeout(timer);
  }
}
