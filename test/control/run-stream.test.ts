import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { runStream } from "../../runtime/control/run-stream.ts";
import type { Operations } from "../../runtime/control/operations.ts";

const log = pino({ level: "silent" });

/** More than the buffers of both ends of a connection take. */
const LARGE = "x".repeat(4 * 1024 * 1024);

interface Stream {
  answer: IncomingMessage;
  response: ServerResponse;
  /** Settles when the command has ended. */
  ended: Promise<void>;
  closing: AbortController;
}

/** Asks for samples, and begins with the answer. */
async function open(t: TestContext, shadow: Operations["shadow"]): Promise<Stream> {
  const closing = new AbortController();
  const began: Pick<Stream, "response" | "ended">[] = [];
  const server = createServer((incoming, response) => {
    const operations = Promise.resolve({ shadow });
    const options = { pathname: "/shadow", log, closing: closing.signal, operations };
    began.push({ response, ended: runStream(incoming, response, options) });
  }).listen(0, "127.0.0.1");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo;
  const asking = request({ port, host: "127.0.0.1", method: "POST", agent: false });
  asking.on("error", () => {});
  asking.end(JSON.stringify({ share: 1, withCredentials: false }));
  const [answer] = (await once(asking, "response")) as [IncomingMessage];
  answer.on("error", () => {});
  assert.ok(began[0] !== undefined);
  return { answer, ...began[0], closing };
}

describe("runStream()", { timeout: 60_000 }, () => {
  it("leaves no listener behind when it waits for the client", async (t) => {
    const counts = new Set<number>();
    const stream = await open(t, async function* shadow() {
      yield { type: "begun" };
      for (let count = 0; count < 5; count++) {
        yield { type: "text", text: LARGE } as never;
        const { response } = stream;
        counts.add(response.listenerCount("drain") * 100 + response.listenerCount("close"));
      }
    });
    await text(stream.answer);
    await stream.ended;
    assert.equal(counts.size, 1, [...counts].join());
  });

  it("ends its events when the client leaves while it waits", async (t) => {
    let isEnded = false;
    let tell: (() => void) | null = null;
    const waits = new Promise<void>((resolve) => (tell = resolve));
    const stream = await open(t, async function* shadow() {
      try {
        yield { type: "begun" };
        for (;;) {
          setImmediate(() => tell?.());
          yield { type: "text", text: LARGE } as never;
        }
      } finally {
        isEnded = true;
      }
    });
    await waits;
    stream.answer.destroy();
    await stream.ended;
    assert.ok(isEnded);
  });

  it("says that the server stops, also after its events have ended", async (t) => {
    const stream = await open(t, async function* shadow(_wish, signal) {
      yield { type: "begun" };
      await once(signal, "abort");
    });
    stream.closing.abort();
    const lines = (await text(stream.answer)).trim().split("\n");
    assert.deepEqual(
      lines.map((line) => JSON.parse(line) as unknown),
      [{ type: "begun" }, { error: { code: "ERR_DRAINING", message: "The server stops" } }],
    );
    await stream.ended;
  });
});
