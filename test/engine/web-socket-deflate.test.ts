import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:http2";
import { describe, it } from "node:test";
import type { Config } from "../../runtime/config/config.ts";
import type { Engine } from "../../runtime/engine/engine.ts";
import { createNodeEngine } from "../../runtime/engine/node/node-engine.ts";
import { loadUwsEngine } from "../../runtime/engine/uws/uws-engine.ts";
import type { Client } from "../../runtime/http/client.ts";
import type { WebSocketSide } from "../../runtime/http/web-socket.ts";
import { testedLibrary } from "../helpers/library.ts";
import type { Owner } from "../helpers/temporary-folder.ts";
import { WebSocketClient } from "../helpers/web-socket-client.ts";
import { FrameClient } from "../helpers/web-socket-frames/frame-client.ts";
import { frame } from "../helpers/web-socket-frames/frames.ts";
import { createSignal, openListenerOf } from "./node/open-listener.ts";
import { deflated } from "./web-socket-cases/deflate.ts";

const TIMEOUT = { timeout: 300_000 };
/** 130 MB, more than a kernel holds for a client. */
const MOST_MESSAGES = 1_000;

const ENGINES: readonly (readonly ["uws" | "node", () => Promise<Engine>])[] = [
  [
    "uws",
    () =>
      loadUwsEngine({ headerLimitBytes: 16 * 1024, uws: testedLibrary() } as Config, (message) =>
        assert.fail(message),
      ),
  ],
  ["node", () => Promise.resolve(createNodeEngine())],
];

interface Accepting {
  port: number;
  /** Waits for the server's side of the next WebSocket. */
  side: () => Promise<WebSocketSide>;
  /** Resolves once nothing waits for the client any more. */
  room: Promise<void>;
}

async function openAccepting(t: Owner, load: () => Promise<Engine>): Promise<Accepting> {
  const engine = await load();
  const sides: ((side: WebSocketSide) => void)[] = [];
  const { fired: room, fire } = createSignal();
  const onRequest = (client: Client): void => {
    const side: WebSocketSide | null | undefined = client.webSocket?.accept(
      { protocol: null, fields: "", compresses: true, silence: { largestBytes: 1024 * 1024 } },
      {
        onMessage: (bytes, isBinary) => void side?.send(Uint8Array.from(bytes), isBinary),
        onPing() {},
        onPong() {},
        onRoom: fire,
        onClose() {},
      },
    );
    if (side === null || side === undefined) client.refuse(426);
    else sides.shift()?.(side);
  };
  const { port } = await openListenerOf(t, { onRequest, compressesWebSockets: true }, (options) =>
    engine.open(options),
  );
  return { port, room, side: () => new Promise((resolve) => sides.push(resolve)) };
}

for (const [name, load] of ENGINES) {
  describe(`compressed messages on the engine ${name}`, () => {
    it("reach a client that stops reading for a while, in order", TIMEOUT, async (t) => {
      const { port, side: nextSide, room } = await openAccepting(t, load);
      const opened = nextSide();
      const client = await WebSocketClient.open(t, `http://127.0.0.1:${port}`);
      assert.match(client.socket.extensions, /^permessage-deflate/);
      const side = await opened;
      client.socket.pause();
      const sent: Buffer[] = [];
      // Until the kernel holds no more for the client, and some messages wait behind.
      for (let behind = 0; behind < 6 && sent.length < MOST_MESSAGES;) {
        const at = sent.length;
        // Random bytes do not shrink, and fill the buffers of the kernel.
        const bytes = at % 3 === 2 ? Buffer.alloc(100_000 + at, at) : randomBytes(200_000 + at);
        sent.push(bytes);
        if (side.send(bytes, true) === "buffered") behind++;
      }
      assert.ok(sent.length < MOST_MESSAGES, "the client is slow");
      client.socket.resume();
      const arrived = await client.take(sent.length);
      for (const [at, bytes] of sent.entries()) {
        assert.ok(bytes.equals(Buffer.from(arrived[at] ?? "")), `message ${at}`);
      }
      await room;
      assert.equal(side.bufferedBytes, 0);
      await client.close();
    });

    it("come uncompressed to a client that does not ask", TIMEOUT, async (t) => {
      const { port } = await openAccepting(t, load);
      const plain = { perMessageDeflate: false };
      const client = await WebSocketClient.open(t, `http://127.0.0.1:${port}`, plain);
      assert.equal(client.socket.extensions, "");
      client.send("x".repeat(5_000));
      assert.equal(await client.next(), "x".repeat(5_000));
      await client.close();
    });
  });
}

describe("compressed messages over HTTP/2", () => {
  it("are agreed on in the stream (RFC 8441 section 5)", TIMEOUT, async (t) => {
    const { port } = await openAccepting(t, () => Promise.resolve(createNodeEngine()));
    const session = connect(`http://127.0.0.1:${port}`);
    t.after(() => session.destroy());
    await once(session, "remoteSettings");
    const { client, head } = await FrameClient.openOver(t, session, {
      "sec-websocket-extensions": "permessage-deflate; server_max_window_bits=12",
    });
    assert.equal(
      head["sec-websocket-extensions"],
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
    );
    client.write(frame({ rsv: 4, payload: deflated("y".repeat(2_000)) }));
    const answer = await client.next();
    assert.ok(answer !== null && answer.rsv === 4 && answer.payload.length < 100);
  });
});
