import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from "node:http2";
import { describe, it } from "node:test";
import { BytesSource } from "../../../runtime/bodies/body-sources.ts";
import type { BodyFlow, BodySource, Client } from "../../../runtime/http/client.ts";
import { FrameConnection } from "../../helpers/http2-frames/frame-connection.ts";
import { headers } from "../../helpers/http2-frames/fields.ts";
import {
  data,
  FLAG,
  frame,
  ping,
  rstStream,
  SETTING,
  TYPE,
  windowUpdate,
} from "../../helpers/http2-frames/frames.ts";
import type { Owner } from "../../helpers/temporary-folder.ts";
import { GET, get, POST, post } from "./http2-cases/requests.ts";
import { createSignal, echo, openListener } from "./open-listener.ts";

const TIMEOUT = { timeout: 300_000 };
const LIMITS = {
  bodyTimeoutMs: 60_000,
  minBodyRateBytesPerSecond: 0,
  sendTimeoutMs: 60_000,
  headerLimitBytes: 16 * 1024,
  headerCountLimit: 98,
  urlLimitBytes: 8 * 1024,
};
/** Size of the first window of a stream and of a connection (RFC 9113 section 6.9.2). */
const WINDOW_BYTES = 65_535;
/** Bytes that the server may read of a source beyond the client's window. */
const AHEAD_BYTES = 128 * 1024;

/** A source without end, which counts the bytes that were read of it. */
class Endless implements BodySource {
  readBytes = 0;
  state: BodySource["state"] = "open";
  onChange: (() => void) | null = null;
  isCancelled = false;

  read(maxBytes: number): Uint8Array | null {
    if (this.state !== "open") return null;
    this.readBytes += maxBytes;
    return new Uint8Array(maxBytes);
  }

  fail(): void {
    this.state = "failed";
    this.onChange?.();
  }

  cancel(): void {
    this.isCancelled = true;
  }
}

/** Opens a client's session of `node:http2`, which ends after the test. */
function openSession(t: Owner, port: number): ClientHttp2Session {
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => {});
  t.after(() => session.destroy());
  return session;
}

async function openFrames(
  t: Owner,
  port: number,
  parameters: readonly (readonly [number, number])[] = [],
): Promise<FrameConnection> {
  const connection = await FrameConnection.open(port, { parameters });
  t.after(() => connection.destroy());
  return connection;
}

function reply(client: Client, body: string | Uint8Array | BodySource, fields = ""): void {
  client.reply({ status: 200, statusText: "", fields, body, lengthBytes: null });
}

describe("Http2Connection", { concurrency: true }, () => {
  it("serves many streams of one connection", TIMEOUT, async (t) => {
    const { port, finished } = await openListener(t, { onRequest: echo });
    const session = openSession(t, port);
    const answers = await Promise.all(
      Array.from({ length: 100 }, async (_, at) => {
        const stream = session.request({ ":method": "POST", ":path": `/${at}` });
        stream.end(`body ${at}`);
        return JSON.parse((await stream.setEncoding("utf8").toArray()).join("")) as unknown;
      }),
    );
    for (const [at, answer] of answers.entries()) {
      const { path, body } = answer as { path: string; body: string };
      assert.deepEqual({ path, body }, { path: `/${at}`, body: `body ${at}` });
    }
    assert.equal(finished.length, 100);
  });

  it("takes no more of a body than the window while its owner pauses it", TIMEOUT, async (t) => {
    let received = 0;
    const end = createSignal();
    let flow: BodyFlow | null = null;
    const { port } = await openListener(t, {
      onRequest: (client) => {
        flow = client.receiveBody({
          chunk: (bytes) => (received += bytes.length),
          end: () => {
            end.fire();
            reply(client, "all");
          },
        });
        flow.pause();
      },
    });
    const session = openSession(t, port);
    const stream = session.request({ ":method": "POST" });
    stream.on("error", () => {});
    const size = 1024 * 1024;
    stream.end(Buffer.alloc(size));
    await once(session, "remoteSettings");
    // The server answers the PING after it has read all that the window allows.
    while (stream.state.localWindowSize !== undefined && session.state.remoteWindowSize !== 0) {
      await new Promise((resolve) => session.ping(resolve));
      if ((stream.bufferSize ?? 0) <= size - WINDOW_BYTES) break;
    }
    assert.ok(received <= WINDOW_BYTES, `${received} bytes`);
    assert.ok(flow !== null);
    (flow as BodyFlow).resume();
    await end.fired;
    assert.equal(received, size);
    stream.resume();
    await once(stream, "close");
  });

  it("reads a source no faster than the client takes it", TIMEOUT, async (t) => {
    const source = new Endless();
    const { port } = await openListener(t, { onRequest: (client) => reply(client, source) });
    const connection = await openFrames(t, port);
    connection.send(get());
    const bodyBytes = (): number =>
      connection.frames
        .filter(({ type }) => type === TYPE.data)
        .reduce((sum, { payload }) => sum + payload.length, 0);
    while (bodyBytes() < WINDOW_BYTES) await connection.change();
    await connection.untilRead();
    assert.equal(bodyBytes(), WINDOW_BYTES);
    const before = source.readBytes;
    assert.ok(before <= WINDOW_BYTES + AHEAD_BYTES, `${before} bytes`);
    connection.send(windowUpdate(0, 500_000), windowUpdate(1, 500_000));
    while (bodyBytes() < WINDOW_BYTES + 500_000) await connection.change();
    assert.ok(source.readBytes <= WINDOW_BYTES + 500_000 + AHEAD_BYTES);
  });

  it("gives each of several streams its share", TIMEOUT, async (t) => {
    const { port } = await openListener(t, {
      onRequest: (client) => reply(client, new Endless()),
    });
    const connection = await openFrames(t, port, [[SETTING.initialWindowSize, 2 ** 30]]);
    connection.send(
      ...[1, 3, 5, 7].map((stream) => headers(stream, GET, { end: true })),
      windowUpdate(0, 4_000_000),
    );
    const bytesOf = (stream: number): number =>
      connection.frames
        .filter((candidate) => candidate.type === TYPE.data && candidate.stream === stream)
        .reduce((sum, { payload }) => sum + payload.length, 0);
    const shares = (): number[] => [1, 3, 5, 7].map(bytesOf);
    while (shares().reduce((sum, share) => sum + share) < 4_000_000) await connection.change();
    assert.ok(Math.min(...shares()) > 500_000, `shares ${shares().join(", ")}`);
  });

  it("tells the exchange when the client resets its stream", TIMEOUT, async (t) => {
    const arrival = createSignal();
    let left = 0;
    const { port, finished, untilFinished } = await openListener(t, {
      onRequest: (client) => {
        client.onAbort(() => left++);
        arrival.fire();
      },
    });
    const connection = await openFrames(t, port);
    connection.send(get());
    await arrival.fired;
    connection.send(rstStream(1, constants.NGHTTP2_CANCEL));
    await untilFinished(1);
    assert.equal(left, 1);
    assert.equal(finished[0]?.status, 499);
    await connection.untilRead();
  });

  for (const code of [constants.NGHTTP2_NO_ERROR, constants.NGHTTP2_CANCEL]) {
    for (const isPaused of [false, true]) {
      const name = `takes a body for incomplete after a reset with code ${code}${isPaused ? ", paused" : ""}`;
      it(name, TIMEOUT, async (t) => {
        const seen: string[] = [];
        const begin = createSignal();
        const { port, listener, finished, untilFinished } = await openListener(t, {
          onRequest: (client) => {
            client.onAbort(() => seen.push("left"));
            const flow = client.receiveBody({
              chunk() {},
              end: () => void seen.push("end"),
            });
            if (isPaused) flow.pause();
            begin.fire();
          },
        });
        const connection = await openFrames(t, port);
        connection.send(post(), data(1, "part"));
        await begin.fired;
        connection.send(rstStream(1, code));
        await untilFinished(1);
        await connection.untilRead();
        assert.deepEqual(seen, ["left"]);
        assert.equal(finished[0]?.status, 499);
        listener.stopAccepting();
        await listener.disconnected();
      });
    }
  }

  it("ends the exchanges of a connection that breaks", TIMEOUT, async (t) => {
    const { port, listener, untilFinished, finished } = await openListener(t, {
      onRequest: (client) => void client.receiveBody({ chunk() {}, end() {} }),
    });
    const connection = await openFrames(t, port);
    connection.send(post(), headers(3, POST), headers(5, GET, { end: true }));
    await connection.untilRead();
    connection.socket.resetAndDestroy();
    await untilFinished(3);
    assert.deepEqual(
      finished.map(({ status }) => status),
      [499, 499, 499],
    );
    listener.stopAccepting();
    await listener.disconnected();
  });

  it("resets the stream of a source that fails", TIMEOUT, async (t) => {
    const source = new Endless();
    const { port, finished, untilFinished } = await openListener(t, {
      onRequest: (client) => reply(client, source),
    });
    const connection = await openFrames(t, port);
    connection.send(get());
    await connection.frame(({ type }) => type === TYPE.data);
    source.fail();
    await untilFinished(1);
    await connection.frame(({ type }) => type === TYPE.rstStream);
    assert.equal(connection.resetOf(1), "INTERNAL_ERROR");
    assert.equal(finished[0]?.status, 502);
    await connection.untilRead();
  });

  it("answers instead of a source that fails before its first byte", TIMEOUT, async (t) => {
    const { port } = await openListener(t, {
      onRequest: (client) => {
        const source = new Endless();
        source.state = "failed";
        reply(client, source);
      },
    });
    const connection = await openFrames(t, port);
    connection.send(get());
    assert.equal((await connection.response(1)).status, 500);
  });

  it("refuses early, and tells the client to stop sending", TIMEOUT, async (t) => {
    const { port } = await openListener(t, { onRequest: (client) => client.refuse(413) });
    const connection = await openFrames(t, port);
    connection.send(post([["content-length", "1000000"]]), data(1, "part"));
    const { status, body } = await connection.response(1);
    assert.equal(status, 413);
    assert.match(body.toString(), /Payload Too Large/);
    await connection.frame(({ type }) => type === TYPE.rstStream);
    assert.equal(connection.resetOf(1), "NO_ERROR");
    connection.send(data(1, "more"), headers(3, GET, { end: true }));
    assert.equal((await connection.response(3)).status, 413);
  });

  it("keeps a connection whose uploads it refuses early", TIMEOUT, async (t) => {
    const timeouts = { headTimeoutMs: 60_000, keepAliveTimeoutMs: 60_000 };
    const { port } = await openListener(t, {
      onRequest: (client) => client.refuse(413),
      timeouts,
    });
    const session = openSession(t, port);
    const closed = new Promise<number>((resolve) => session.once("goaway", resolve));
    // Invalid heads are refused as well.
    for (const [authority, status] of [["a", 413] as const, ["a:b", 400] as const]) {
      for (let left = 150; left > 0; left--) {
        const stream = session.request({ ":method": "POST", ":authority": authority });
        stream.resume();
        stream.write(Buffer.alloc(WINDOW_BYTES));
        const [answer] = await Promise.all([once(stream, "response"), once(stream, "close")]);
        const [fields] = answer as [IncomingHttpHeaders];
        assert.equal(fields[":status"], status);
      }
    }
    // A connection that is idle for too long is checked for harm first.
    timeouts.keepAliveTimeoutMs = 1;
    assert.equal(await closed, constants.NGHTTP2_NO_ERROR);
  });

  it("sends a body of several pieces whole", TIMEOUT, async (t) => {
    const bytes = Buffer.alloc(300_000, "abc");
    const { port, finished, untilFinished } = await openListener(t, {
      onRequest: (client) => reply(client, new BytesSource(bytes)),
    });
    const stream = openSession(t, port).request({});
    const chunks = (await stream.toArray()) as Buffer[];
    assert.deepEqual(Buffer.concat(chunks), bytes);
    await untilFinished(1);
    assert.deepEqual([finished[0]?.status, finished[0]?.bodyBytes], [200, bytes.length]);
  });

  it("writes repeated fields, and none that HTTP/2 forbids", TIMEOUT, async (t) => {
    const block = [
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
      ["Content-Type", "text/plain"],
      ["Content-Type", "text/html"],
      ["Vary", "accept"],
      ["Vary", "origin"],
      ["HTTP2-Settings", "AAMAAABkAAQAAP__"],
      ["X-Byte", "\xe4"],
    ]
      .flat()
      .join("\n");
    const { port } = await openListener(t, {
      onRequest: (client) => reply(client, "text", block),
    });
    const connection = await openFrames(t, port);
    for (const stream of [1, 3]) {
      connection.send(headers(stream, GET, { end: true }));
      const { fields } = await connection.response(stream);
      const named = fields.filter(([name]) => name !== "date");
      assert.deepEqual(named, [
        ["content-length", "4"],
        ["set-cookie", "a=1"],
        ["set-cookie", "b=2"],
        ["content-type", "text/plain"],
        ["vary", "accept"],
        ["x-byte", "\xe4"],
      ]);
    }
  });

  it("announces the length to HEAD, and sends no body", TIMEOUT, async (t) => {
    const { port } = await openListener(t, { onRequest: (client) => reply(client, "12345") });
    const connection = await openFrames(t, port);
    connection.send(headers(1, [[":method", "HEAD"], ...GET.slice(1)], { end: true }));
    const { status, fields, body } = await connection.response(1);
    assert.deepEqual(
      [status, fields.find(([name]) => name === "content-length")?.[1], body.length],
      [200, "5", 0],
    );
  });

  it("refuses heads above the limits with their status", TIMEOUT, async (t) => {
    const { port, limited } = await openListener(t, { onRequest: echo });
    const connection = await openFrames(t, port);
    const large = Array.from({ length: 3 }, (_, at) => [`x-${at}`, "a".repeat(5_500)] as const);
    const block = headers(1, [...GET, ...large], { end: true });
    // The frame is larger than the server takes, so its second part is a CONTINUATION frame.
    const payload = block.subarray(9);
    connection.send(
      frame(TYPE.headers, FLAG.endStream, 1, payload.subarray(0, 16_000)),
      frame(TYPE.continuation, FLAG.endHeaders, 1, payload.subarray(16_000)),
    );
    assert.equal((await connection.response(1)).status, 431);
    const many = Array.from({ length: 99 }, (_, at) => [`x-${at}`, "a"] as const);
    connection.send(headers(3, [...GET, ...many], { end: true }));
    assert.equal((await connection.response(3)).status, 431);
    const long = GET.map(([name, value]) =>
      name === ":path" ? ([name, `/${"a".repeat(8_200)}`] as const) : ([name, value] as const),
    );
    connection.send(headers(5, long, { end: true }));
    assert.equal((await connection.response(5)).status, 414);
    assert.deepEqual(limited, ["headerLimit", "headerCountLimit", "urlLimit"]);
  });

  it("ends a connection with more than maxConcurrentStreams", TIMEOUT, async (t) => {
    const { port, counters } = await openListener(t, {
      onRequest() {},
      http2: { maxConcurrentStreams: 2 },
    });
    const connection = await openFrames(t, port);
    connection.send(...[1, 3].map((stream) => headers(stream, GET, { end: true })));
    await connection.untilRead();
    assert.equal(connection.goaway, null);
    connection.send(headers(5, GET, { end: true }));
    await connection.untilClosed();
    assert.equal(connection.goaway, "PROTOCOL_ERROR");
    assert.equal(counters.requests, 2);
  });

  it("answers open streams after GOAWAY, and then closes", TIMEOUT, async (t) => {
    const waiting: Client[] = [];
    const arrival = createSignal();
    const { port, listener, finished } = await openListener(t, {
      onRequest: (client) => {
        waiting.push(client);
        if (waiting.length === 2) arrival.fire();
      },
    });
    const connection = await openFrames(t, port);
    connection.send(get(), headers(3, GET, { end: true }));
    await arrival.fired;
    listener.stopAccepting();
    const goaway = await connection.frame(({ type }) => type === TYPE.goaway);
    assert.equal(goaway.payload.readUInt32BE(0), 3, "the last stream that is answered");
    // A client may have sent this before it received GOAWAY. It may send it again elsewhere.
    connection.send(headers(5, GET, { end: true }));
    await connection.untilRead();
    for (const client of waiting) reply(client, "answer");
    for (const stream of [1, 3]) {
      assert.equal((await connection.response(stream)).body.toString(), "answer");
    }
    await connection.untilClosed();
    await listener.disconnected();
    assert.equal(connection.goaway, "NO_ERROR");
    assert.equal(finished.length, 2);
  });

  it("closes an idle connection with GOAWAY", TIMEOUT, async (t) => {
    const timeouts = { headTimeoutMs: 60_000, keepAliveTimeoutMs: 60_000 };
    const { port } = await openListener(t, { onRequest: echo, timeouts });
    const connection = await openFrames(t, port);
    // Before its preface was read, a connection has no protocol, and ends without GOAWAY.
    timeouts.keepAliveTimeoutMs = 1;
    await connection.untilClosed();
    assert.equal(connection.goaway, "NO_ERROR");
  });

  it("cuts off a stream whose client takes nothing", TIMEOUT, async (t) => {
    const { port, limited, untilFinished } = await openListener(t, {
      onRequest: (client) => reply(client, new Endless()),
      limits: { ...LIMITS, sendTimeoutMs: 300 },
    });
    const connection = await openFrames(t, port);
    connection.send(get());
    await connection.frame(({ type }) => type === TYPE.rstStream);
    await untilFinished(1);
    assert.deepEqual(limited, ["sendTimeout"]);
    assert.equal(connection.resetOf(1), "INTERNAL_ERROR");
  });

  it("cuts off whole answers that a client opens no window for", TIMEOUT, async (t) => {
    const { port } = await openListener(t, {
      onRequest: echo,
      limits: { ...LIMITS, sendTimeoutMs: 300 },
    });
    const connection = await openFrames(t, port, [[SETTING.initialWindowSize, 0]]);
    connection.send(get());
    await connection.frame(({ type }) => type === TYPE.rstStream);
    assert.equal(connection.resetOf(1), "INTERNAL_ERROR");
    await connection.untilRead();
  });

  it("ends a connection that sends frames without content only", TIMEOUT, async (t) => {
    const { port, listener } = await openListener(t, { onRequest: echo });
    const connection = await openFrames(t, port);
    const pings = Buffer.concat(Array.from({ length: 1_000 }, () => ping()));
    connection.send(post());
    while (!connection.closed) {
      const isRoom = connection.socket.write(pings);
      // Answers are not kept: there are half a million.
      connection.frames.length = 0;
      if (!isRoom) await Promise.race([once(connection.socket, "drain"), connection.change()]);
      await new Promise((resolve) => setImmediate(resolve));
    }
    listener.stopAccepting();
    await listener.disconnected();
  });

  it(
    "ends a connection that begins more streams in one turn than twice `maxConcurrentStreams`",
    TIMEOUT,
    async (t) => {
      const { port, counters, listener } = await openListener(t, { onRequest() {} });
      const connection = await openFrames(t, port);
      const frames: Buffer[] = [];
      // In one segment, and fewer than nghttp2 allows.
      for (let stream = 1; stream < 1_900; stream += 2) {
        frames.push(headers(stream, GET, { end: true }), rstStream(stream, 8));
      }
      connection.send(...frames);
      await connection.frame(({ type }) => type === TYPE.goaway);
      assert.equal(connection.goaway, "ENHANCE_YOUR_CALM");
      connection.destroy();
      listener.stopAccepting();
      await listener.disconnected();
      assert.ok(counters.requests <= 256, `${counters.requests} requests`);
    },
  );

  it(
    "serves one that resets 900 streams in smaller groups, and ends it when it goes on",
    TIMEOUT,
    async (t) => {
      const { port, counters, listener } = await openListener(t, {
        onRequest(client) {
          if (client.head.target === "/last") reply(client, "last");
        },
      });
      const connection = await openFrames(t, port);
      let stream = 1;
      const resetHundred = async (): Promise<void> => {
        const frames: Buffer[] = [];
        for (const end = stream + 200; stream < end; stream += 2) {
          frames.push(headers(stream, GET, { end: true }), rstStream(stream, 8));
        }
        connection.frames.length = 0;
        connection.send(...frames, ping());
        await connection.frame(({ type }) => type === TYPE.ping || type === TYPE.goaway);
      };
      for (let group = 0; group < 9; group++) await resetHundred();
      connection.send(headers(stream, [...GET.slice(0, 3), [":path", "/last"]], { end: true }));
      await connection.frame((one) => one.type === TYPE.data && one.stream === stream);
      stream += 2;
      // nghttp2 allows 1,000 resets at once, and 33 more each second.
      while (connection.goaway === null) await resetHundred();
      assert.equal(connection.goaway, "INTERNAL_ERROR");
      connection.destroy();
      listener.stopAccepting();
      await listener.disconnected();
      assert.ok(counters.requests < 2_000, `${counters.requests} requests`);
    },
  );

  it("sends 100 (Continue) once the body is wanted", TIMEOUT, async (t) => {
    const { port } = await openListener(t, { onRequest: echo });
    const stream = openSession(t, port).request({ ":method": "POST", expect: "100-continue" });
    await once(stream, "continue");
    stream.end("body");
    const text = (await stream.setEncoding("utf8").toArray()).join("");
    assert.match(text, /"body":"body"/);
  });
});
