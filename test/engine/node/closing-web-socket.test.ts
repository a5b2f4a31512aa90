import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { ClientWebSocket } from "../../../runtime/engine/client-web-socket.ts";
import { inflateMessage } from "../../../runtime/engine/node/message-deflate.ts";
import { NodeWebSocket } from "../../../runtime/engine/node/node-web-socket.ts";
import type { ExchangeId } from "../../../runtime/http/client.ts";
import { LazyFrames } from "../../../runtime/http/web-socket-frames.ts";
import type { WebSocketEnd } from "../../../runtime/http/web-socket.ts";
import type { Owner } from "../../helpers/temporary-folder.ts";
import { closePayload, frame, OPCODES } from "../../helpers/web-socket-frames/frames.ts";
import { deflated } from "../web-socket-cases/deflate.ts";

const frames = await new LazyFrames().load();
const BOMB = frame({ rsv: 4, payload: deflated(Buffer.alloc(100_000, "x")) });

/** A connection whose other end the test plays. */
class Connection extends Duplex {
  readonly #takesBytes: boolean;

  constructor({ takesBytes }: { takesBytes: boolean }) {
    super();
    this.#takesBytes = takesBytes;
  }

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#takesBytes) done();
  }
}

class Bench {
  readonly connection: Connection;
  readonly side: ClientWebSocket;
  readonly ends: WebSocketEnd[] = [];
  messages = 0;
  inflated = 0;

  constructor(
    t: Owner,
    { takesBytes, onMessage }: { takesBytes: boolean; onMessage: (side: ClientWebSocket) => void },
  ) {
    this.connection = new Connection({ takesBytes });
    t.after(() => void this.connection.destroy());
    this.side = new ClientWebSocket({
      // Ids are made in tests only here.
      request: { id: 1 as ExchangeId, limitedBy: null },
      now: () => 0,
      sendTimeoutMs: 60_000,
      silence: undefined,
      compresses: true,
      onSlow() {},
      onEnd() {},
      onError: (error) => assert.fail(String(error)),
      events: {
        onMessage: () => {
          this.messages++;
          onMessage(this.side);
        },
        onPing() {},
        onPong() {},
        onRoom() {},
        onClose: (end) => void this.ends.push(end),
      },
    });
    const deflater = {
      deflate: (bytes: Uint8Array) => Buffer.from(bytes),
      inflate: (bytes: Uint8Array, largestBytes: number) => {
        this.inflated++;
        return inflateMessage(bytes, largestBytes);
      },
    };
    const stream = {
      duplex: this.connection,
      writesAtOnce: true,
      cut: () => void this.connection.destroy(),
    };
    const options = { frames, side: this.side, largestBytes: 1024 * 1024, deflater };
    this.side.opened(new NodeWebSocket(stream, options));
  }

  /** Gives bytes to the reader at once, as the connection does with a read. */
  receive(...parts: readonly Buffer[]): void {
    this.connection.emit("data", Buffer.concat(parts));
  }
}

describe("compressed messages behind the end of a WebSocket", () => {
  it("are not inflated in the read of the message that ended it", (t) => {
    const bench = new Bench(t, {
      takesBytes: true,
      onMessage: (side) => {
        if (bench.messages === 2) side.close(1013, "too many messages wait");
      },
    });
    bench.receive(...Array.from({ length: 62 }, () => BOMB));
    bench.receive(BOMB);
    assert.deepEqual(bench.ends, [{ code: 1013, reason: "too many messages wait" }]);
    assert.equal(bench.messages, 2);
    assert.equal(bench.inflated, 2);
  });

  it("are not inflated while a client that does not read is closed", (t) => {
    const bench = new Bench(t, { takesBytes: false, onMessage() {} });
    while (bench.side.send(Buffer.alloc(100_000), true) === "took");
    bench.receive(BOMB);
    assert.equal(bench.inflated, 1);
    bench.side.close(1001, "bye");
    assert.deepEqual(bench.ends, [], "messages wait");
    const [first, rest] = [BOMB.subarray(0, 20), BOMB.subarray(20)];
    bench.receive(BOMB, BOMB, first);
    bench.receive(rest, frame({ payload: "plain" }));
    assert.deepEqual([bench.messages, bench.inflated], [1, 1]);
    // The close frame of the client is read behind them.
    bench.receive(frame({ opcode: OPCODES.close, payload: closePayload(1000) }));
    assert.deepEqual(bench.ends, [{ code: 1001, reason: "bye" }]);
  });
});
