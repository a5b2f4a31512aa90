import assert from "node:assert/strict";
import { once } from "node:events";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import {
  Asked,
  GET,
  openRawUpstream,
  openServer,
  type Peer,
  TIMEOUTS,
  UPLOAD,
} from "./raw-upstream.ts";

const HELLO = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/** Answers each request without a body in the same way. */
function answering(answer: string): (peer: Peer) => Promise<void> {
  return async (peer) => {
    for (;;) {
      await peer.until("\r\n\r\n");
      peer.send(answer);
    }
  };
}

/** Waits until a connection is gone that the server closes without an event. */
async function untilIdle(
  server: { status(): { idleConnections: number } },
  count: number,
): Promise<void> {
  while (server.status().idleConnections !== count) await new Promise(setImmediate);
}

/** The text that a stream has brought. */
class Received {
  #text: string;
  readonly #stream: Duplex;

  constructor(stream: Duplex, start: string) {
    this.#text = start;
    this.#stream = stream;
    stream.on("data", (bytes: Buffer) => {
      this.#text += bytes.toString("latin1");
    });
  }

  async until(text: string): Promise<void> {
    while (this.#text !== text) await once(this.#stream, "data");
  }
}

describe("openUpstreamServer()", { timeout: 300_000 }, () => {
  it("sends one head, and reads one response", async (t) => {
    const heads: string[] = [];
    const { port } = await openRawUpstream(t, async (peer) => {
      heads.push(await peer.until("\r\n\r\n"));
      peer.send(HELLO);
    });
    const asked = await new Asked(openServer(t, port), {
      ...GET,
      target: "/a?b",
      fields: "host\nx\naccept\n*/*",
    }).until("end");
    assert.deepEqual(heads, ["GET /a?b HTTP/1.1\r\nhost: x\r\naccept: */*\r\n\r\n"]);
    assert.deepEqual(asked.events, ["head", "chunk", "end"]);
    assert.deepEqual(asked.head?.status, 200);
    assert.equal(asked.body.toString(), "hello");
    assert.equal(asked.exchange.isRequestSent, true);
  });

  it("speaks over a Unix socket", async (t) => {
    const path = join(temporaryFolder(t), "app.sock");
    await openRawUpstream(t, answering(HELLO), (server) => server.listen(path));
    const asked = await new Asked(openServer(t, { kind: "unix", path })).until("end");
    assert.equal(asked.body.toString(), "hello");
  });

  it("sends no event within the call of open", async (t) => {
    const { port } = await openRawUpstream(t, answering(HELLO));
    const server = openServer(t, port);
    const asked = new Asked(server);
    assert.deepEqual(asked.events, []);
    await asked.until("end");
    const again = new Asked(server);
    assert.deepEqual(again.events, []);
    await again.until("end");
  });

  describe("keeps connections", () => {
    it("and uses the one that served last", async (t) => {
      const { port, peers } = await openRawUpstream(t, answering(HELLO));
      const server = openServer(t, port);
      await Promise.all([new Asked(server).until("end"), new Asked(server).until("end")]);
      for (let count = 0; count < 5; count += 1) await new Asked(server).until("end");
      const { opened, requests, reused, idleConnections, busyConnections } = server.status();
      assert.deepEqual(
        [opened, requests, reused, idleConnections, busyConnections],
        [2, 7, 5, 2, 0],
      );
      assert.equal(peers.length, 2);
    });

    it("and can send the next request within the end of the last one", async (t) => {
      const { port, peers } = await openRawUpstream(t, answering(HELLO));
      const server = openServer(t, port);
      const second = await new Promise<Asked>((resolve) => {
        const first = new Asked(server);
        first.onEnd = () => resolve(new Asked(server));
      });
      await second.until("end");
      assert.equal(peers.length, 1);
    });

    it("but opens a new one for a request that asks for it", async (t) => {
      const { port, peers } = await openRawUpstream(t, answering(HELLO));
      const server = openServer(t, port);
      await new Asked(server).until("end");
      await new Asked(server, { ...GET, isFresh: true }).until("end");
      assert.equal(peers.length, 2);
    });

    it("up to a number", async (t) => {
      const { port } = await openRawUpstream(t, answering(HELLO));
      const server = openServer(t, port, { limits: { idleConnections: 2 } });
      await Promise.all(Array.from({ length: 5 }, () => new Asked(server).until("end")));
      assert.equal(server.status().idleConnections, 2);
    });

    it("unless none may be kept, and says so", async (t) => {
      const { port, peers } = await openRawUpstream(t, async (peer) => {
        assert.match(await peer.until("\r\n\r\n"), /\r\nconnection: close\r\n/);
        peer.send(HELLO);
      });
      const server = openServer(t, port, { limits: { idleConnections: 0 } });
      await new Asked(server).until("end");
      await peers[0]?.closed();
      assert.equal(server.status().idleConnections, 0);
    });

    it("until their time is over", async (t) => {
      const { port, peers } = await openRawUpstream(t, answering(HELLO));
      const server = openServer(t, port, { limits: { keepAliveMs: 20 } });
      await new Asked(server).until("end");
      await peers[0]?.closed();
      assert.equal(server.status().idleConnections, 0);
    });

    it("no longer than the upstream says in Keep-Alive", async (t) => {
      const { port } = await openRawUpstream(
        t,
        answering("HTTP/1.1 200 OK\r\nKeep-Alive: max=5, timeout=0\r\nContent-Length: 0\r\n\r\n"),
      );
      const server = openServer(t, port);
      await new Asked(server).until("end");
      assert.equal(server.status().idleConnections, 0);
    });

    for (const [name, answer] of [
      [
        "that the upstream closes",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
      ],
      ["of HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"],
      ["with bytes behind the response", `${HELLO}HTTP/1.1 200 OK\r\n`],
    ] as const) {
      it(`but none ${name}`, async (t) => {
        const { port, peers } = await openRawUpstream(t, answering(answer));
        const server = openServer(t, port);
        await new Asked(server).until("end");
        assert.equal(server.status().idleConnections, 0);
        await peers[0]?.closed();
      });
    }

    it("and closes an idle one on which bytes come", async (t) => {
      const { port, peers } = await openRawUpstream(t, answering(HELLO));
      const server = openServer(t, port);
      await new Asked(server).until("end");
      peers[0]?.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n");
      await untilIdle(server, 0);
      const asked = await new Asked(server).until("end");
      assert.equal(asked.head?.status, 200);
      assert.equal(peers.length, 2);
    });

    for (const [name, close] of [
      ["ends", (peer: Peer) => void peer.socket.end()],
      ["resets", (peer: Peer) => void peer.socket.resetAndDestroy()],
    ] as const) {
      it(`and drops an idle one that the upstream ${name}`, async (t) => {
        const { port, peers } = await openRawUpstream(t, answering(HELLO));
        const server = openServer(t, port);
        await new Asked(server).until("end");
        if (peers[0] !== undefined) close(peers[0]);
        await untilIdle(server, 0);
        await new Asked(server).until("end");
        assert.equal(peers.length, 2);
      });
    }

    it("and tells that a kept one was stale, so that the caller may repeat the request", async (t) => {
      const { port } = await openRawUpstream(t, async (peer, index) => {
        await peer.until("\r\n\r\n");
        peer.send(HELLO);
        await peer.until("\r\n\r\n");
        if (index === 0) peer.socket.destroy();
        else peer.send(HELLO);
      });
      const server = openServer(t, port);
      await new Asked(server).until("end");
      const { phase, sent, begun, reused, timedOut } = await new Asked(server).failed();
      assert.deepEqual(
        { phase, sent, begun, reused, timedOut },
        { phase: "first-byte", sent: true, begun: false, reused: true, timedOut: false },
      );
      const fresh = await new Asked(server, { ...GET, isFresh: true }).until("end");
      assert.equal(fresh.body.toString(), "hello");
    });
  });

  describe("sends bodies", () => {
    it("of known size with the head", async (t) => {
      const { port, peers } = await openRawUpstream(t, async (peer) => {
        await peer.until("bytes\xff");
        peer.send(HELLO);
      });
      const body = Buffer.from("bytes\xff", "latin1");
      const asked = new Asked(openServer(t, port), { ...GET, method: "POST", body });
      body.fill(0);
      await asked.until("end");
      assert.equal(peers.length, 1);
    });

    it("of large size, although the caller changes the bytes after the call", async (t) => {
      const size = 3_000_000;
      const { port } = await openRawUpstream(t, async (peer) => {
        assert.match(await peer.until("\r\n\r\n"), /\r\ncontent-length: 3000000\r\n/);
        while (peer.received.length < size) await once(peer.socket, "data");
        peer.send(
          peer.received === "a".repeat(size)
            ? HELLO
            : "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n",
        );
      });
      const body = Buffer.alloc(size, "a");
      const asked = new Asked(openServer(t, port), { ...GET, method: "POST", body });
      body.fill("b");
      assert.equal((await asked.until("end")).head?.status, 200);
    });

    it("that follow, in chunks", async (t) => {
      const { port } = await openRawUpstream(t, async (peer) => {
        const text = await peer.until("0\r\n\r\n");
        assert.match(
          text,
          /\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n8\r\n, world!\r\n0\r\n\r\n$/,
        );
        peer.send(HELLO);
      });
      const asked = new Asked(openServer(t, port), UPLOAD);
      asked.exchange.write(Buffer.from("hello"));
      asked.exchange.write(Buffer.alloc(0));
      asked.exchange.write(Buffer.from(", world!"));
      asked.exchange.end();
      await asked.until("end");
      assert.equal(asked.exchange.isRequestSent, true);
    });

    it("that follow, of announced size", async (t) => {
      const { port } = await openRawUpstream(t, async (peer) => {
        assert.match(await peer.until("hello"), /\r\ncontent-length: 5\r\n\r\nhello$/);
        peer.send(HELLO);
      });
      const server = openServer(t, port);
      const asked = new Asked(server, { ...UPLOAD, bodyBytes: 5 });
      asked.exchange.write(Buffer.from("hel"));
      asked.exchange.write(Buffer.from("lo"));
      asked.exchange.end();
      await asked.until("end");
      assert.equal(server.status().idleConnections, 1);
    });

    for (const [name, text] of [
      ["longer", "hello!"],
      ["shorter", "hell"],
    ] as const) {
      it(`that are ${name} than announced as failures`, async (t) => {
        const { port, peers } = await openRawUpstream(t, async () => {});
        const asked = new Asked(openServer(t, port), { ...UPLOAD, bodyBytes: 5 });
        asked.exchange.write(Buffer.from(text));
        asked.exchange.end();
        assert.match((await asked.failed()).reason, new RegExp(name));
        await peers[0]?.closed();
      });
    }

    it("no faster than the upstream takes them", async (t) => {
      const { port, peers } = await openRawUpstream(t, (peer) => void peer.socket.pause());
      const asked = new Asked(openServer(t, port), UPLOAD);
      const piece = Buffer.alloc(65_536, "x");
      let sent = 0;
      while (asked.exchange.write(piece)) {
        sent += piece.length;
        if (sent % (8 * piece.length) === 0) await new Promise(setImmediate);
        assert.ok(sent < 200_000_000);
      }
      assert.equal(asked.exchange.isRequestSent, false);
      while (peers.length === 0) await new Promise(setImmediate);
      peers[0]?.socket.resume();
      await asked.until("drain");
    });

    it("with a length of zero when there is none, for methods that expect one", async (t) => {
      const { port } = await openRawUpstream(t, async (peer) => {
        for (;;) {
          const head = await peer.until("\r\n\r\n");
          peer.send(
            `HTTP/1.1 ${/content-length: 0/.test(head) ? 201 : 202} X\r\nContent-Length: 0\r\n\r\n`,
          );
        }
      });
      const server = openServer(t, port);
      const statuses: unknown[] = [];
      for (const method of ["POST", "PUT", "PATCH", "GET", "DELETE", "HEAD", "OPTIONS"])
        statuses.push((await new Asked(server, { ...GET, method }).until("end")).head?.status);
      assert.deepEqual(statuses, [201, 201, 201, 202, 202, 202, 202]);
    });

    it("after a 100, or not at all when the upstream refuses first", async (t) => {
      const { port } = await openRawUpstream(t, async (peer, index) => {
        await peer.until("\r\n\r\n");
        if (index === 1) peer.send("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
        else {
          peer.send("HTTP/1.1 100 Continue\r\n\r\n");
          await peer.until("hello");
          peer.send(HELLO);
        }
      });
      const server = openServer(t, port);
      const request = { ...UPLOAD, bodyBytes: 5, fields: "host\nx\nexpect\n100-continue" };
      const asked = await new Asked(server, request).until("100");
      asked.exchange.write(Buffer.from("hello"));
      asked.exchange.end();
      assert.deepEqual((await asked.until("end")).events, ["100", "head", "chunk", "end"]);
      const refused = await new Asked(server, { ...request, isFresh: true }).until("end");
      assert.equal(refused.head?.status, 417);
      assert.equal(refused.exchange.isRequestSent, false);
      // The connection still waits for the body: only the first one is kept.
      assert.equal(server.status().idleConnections, 1);
    });

    it("and reads the answer of an upstream that closes without reading the body", async (t) => {
      const { port, peers } = await openRawUpstream(t, (peer) => void peer.socket.pause());
      const asked = new Asked(openServer(t, port), UPLOAD);
      const piece = Buffer.alloc(65_536, "x");
      let unflushed = 0;
      // The system takes some bytes that the upstream does not read: they make it reset the connection.
      for (let count = 0; count < 6; count += 1) {
        if (asked.exchange.write(piece)) continue;
        unflushed += 1;
        while (asked.events.filter((event) => event === "drain").length < unflushed)
          await new Promise(setImmediate);
      }
      const [peer] = peers;
      assert.ok(peer !== undefined);
      peer.send("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge");
      peer.socket.destroy();
      // A write after the reset, and before the answer is read.
      asked.exchange.write(piece);
      await asked.until("end");
      assert.deepEqual([asked.head?.status, asked.body.toString()], [413, "large"]);
    });

    for (const [name, request] of [
      ["a line end in the target", { ...GET, target: "/ HTTP/1.1\r\nx: y" }],
      ["a space in the target", { ...GET, target: "/a b" }],
      ["an empty target", { ...GET, target: "" }],
      ["a space in the method", { ...GET, method: "GET /x" }],
      ["a line end in a field", { ...GET, fields: "host\nx\r\ny: z" }],
      ["an odd block", { ...GET, fields: "host\nx\nevil" }],
      ["a length of its own", { ...GET, fields: "host\nx\ncontent-length\n5" }],
      ["a coding of its own", { ...GET, fields: "host\nx\nTransfer-Encoding\nchunked" }],
      ["a line end in the upgrade", { ...GET, upgrade: "x\r\ny: z" }],
    ] as const) {
      it(`but refuses a request with ${name}`, async (t) => {
        const { port, peers } = await openRawUpstream(t, answering(HELLO));
        const server = openServer(t, port);
        const failure = await new Asked(server, request).failed();
        assert.equal(failure.sent, false);
        assert.equal(peers.length, 0);
        assert.equal(server.inFlight, 0);
      });
    }
  });

  describe("stops the response", () => {
    it("while it is paused, and goes on", async (t) => {
      const size = 20_000_000;
      const { port, peers } = await openRawUpstream(t, async (peer) => {
        await peer.until("\r\n\r\n");
        peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        peer.send(Buffer.alloc(size, "x"));
      });
      const asked = new Asked(openServer(t, port));
      asked.onChunk = () => asked.exchange.pause();
      await asked.until("chunk");
      const taken = asked.size;
      // The upstream fills the buffers of the system, and then waits.
      await new Promise(setImmediate);
      assert.equal(asked.size, taken);
      assert.ok((peers[0]?.socket.writableLength ?? 0) > 0);
      asked.onChunk = () => {};
      asked.exchange.resume();
      await asked.until("end");
      assert.equal(asked.size, size);
    });

    it("between the chunks of one read", async (t) => {
      const { port } = await openRawUpstream(
        t,
        answering(
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n",
        ),
      );
      const server = openServer(t, port);
      const asked = new Asked(server);
      asked.onChunk = () => asked.exchange.pause();
      for (const body of ["a", "ab", "abc"]) {
        await asked.received(body.length);
        await new Promise(setImmediate);
        assert.equal(asked.body.toString(), body);
        asked.exchange.resume();
      }
      await asked.until("end");
      // The next exchange is not paused.
      const next = await new Asked(server).until("end");
      assert.equal(next.body.toString(), "abc");
      assert.equal(server.status().opened, 1);
    });

    it("and still reads a body to the end of the connection", async (t) => {
      const { port } = await openRawUpstream(t, async (peer) => {
        await peer.until("\r\n\r\n");
        peer.socket.end("HTTP/1.1 200 OK\r\n\r\nhello");
      });
      const asked = new Asked(openServer(t, port));
      asked.onChunk = () => asked.exchange.pause();
      await asked.until("chunk");
      asked.exchange.resume();
      assert.equal((await asked.until("end")).body.toString(), "hello");
    });
  });

  describe("fails", () => {
    it("when no server listens, with the code", async (t) => {
      const { port } = await openRawUpstream(t, () => {});
      const path = join(temporaryFolder(t), "none.sock");
      const failure = await new Asked(openServer(t, { kind: "unix", path })).failed();
      assert.deepEqual([failure.phase, failure.code, failure.sent], ["connect", "ENOENT", false]);
      assert.match(failure.reason, /socket file does not exist \(ENOENT\)/);
      assert.ok(port > 0);
    });

    it("when the upstream refuses the connection", async (t) => {
      const server = openServer(t, 1);
      const failure = await new Asked(server).failed();
      assert.deepEqual(
        [failure.phase, failure.code, failure.sent, failure.begun],
        ["connect", "ECONNREFUSED", false, false],
      );
      assert.equal(server.inFlight, 0);
      assert.equal(server.status().busyConnections, 0);
    });

    for (const [phase, bytes] of [
      ["first-byte", ""],
      ["head", "HTTP/1.1 20"],
      ["body", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"],
      ["body", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
    ] as const) {
      it(`when the upstream closes after ${JSON.stringify(bytes)}`, async (t) => {
        const { port } = await openRawUpstream(t, async (peer) => {
          await peer.until("\r\n\r\n");
          peer.socket.end(bytes);
        });
        const failure = await new Asked(openServer(t, port)).failed();
        assert.deepEqual(
          [failure.phase, failure.begun, failure.reused],
          [phase, bytes !== "", false],
        );
      });
    }

    it("when the upstream resets a body that ends with the connection", async (t) => {
      const { port, peers } = await openRawUpstream(t, answering("HTTP/1.1 200 OK\r\n\r\nhello"));
      const asked = await new Asked(openServer(t, port)).until("chunk");
      peers[0]?.socket.resetAndDestroy();
      const failure = await asked.failed();
      assert.deepEqual([failure.phase, failure.code], ["body", "ECONNRESET"]);
    });

    it("when the response has no single meaning, and closes the connection", async (t) => {
      const { port, peers } = await openRawUpstream(
        t,
        answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
      );
      const failure = await new Asked(openServer(t, port)).failed();
      assert.deepEqual(
        [failure.phase, failure.reason],
        ["head", "the upstream sent two different Content-Length values"],
      );
      await peers[0]?.closed();
    });

    it("when the answer does not begin in time", async (t) => {
      const { port, peers } = await openRawUpstream(t, () => {});
      const server = openServer(t, port, { timeouts: { ...TIMEOUTS, firstByteMs: 30 } });
      const failure = await new Asked(server).failed();
      assert.deepEqual([failure.phase, failure.timedOut], ["first-byte", true]);
      assert.equal(failure.reason, "the upstream sent no answer within 30 ms");
      await peers[0]?.closed();
    });

    it("when the head of the answer comes byte by byte, and is not whole in time", async (t) => {
      const { port, peers } = await openRawUpstream(t, async (peer) => {
        await peer.until("\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nX-Slow: ");
        const drip = setInterval(() => peer.send("a"), 50);
        await peer.closed();
        clearInterval(drip);
      });
      // The first byte must be in time on a busy machine, too.
      const timeouts = { ...TIMEOUTS, firstByteMs: 1_500 };
      const failure = await new Asked(openServer(t, port, { timeouts })).failed();
      assert.deepEqual([failure.phase, failure.timedOut, failure.begun], ["head", true, true]);
      assert.equal(failure.reason, "the upstream sent no whole head of its answer within 1500 ms");
      await peers[0]?.closed();
    });

    it("when the answer stops for too long", async (t) => {
      const { port } = await openRawUpstream(
        t,
        answering("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello"),
      );
      const server = openServer(t, port);
      const failure = await new Asked(server, {
        ...GET,
        timeouts: { ...TIMEOUTS, idleMs: 30 },
      }).failed();
      assert.deepEqual([failure.phase, failure.timedOut], ["body", true]);
    });

    it("when the upstream takes no bytes of the request for too long", async (t) => {
      const { port } = await openRawUpstream(t, (peer) => void peer.socket.pause());
      const server = openServer(t, port, { timeouts: { ...TIMEOUTS, idleMs: 50 } });
      const asked = new Asked(server, {
        ...GET,
        method: "POST",
        body: Buffer.alloc(64 * 1024 * 1024),
      });
      const failure = await asked.failed();
      assert.deepEqual([failure.phase, failure.timedOut, failure.sent], ["send", true, true]);
    });

    it("not while the caller has not sent its body, or is paused", async (t) => {
      const { port } = await openRawUpstream(t, async (peer) => {
        await peer.until("0\r\n\r\n");
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhel");
        await peer.until("more");
      });
      // The answer to the whole body must be in time on a busy machine, too.
      const server = openServer(t, port, {
        timeouts: { ...TIMEOUTS, firstByteMs: 1_500, idleMs: 1_500 },
      });
      // Another exchange shows that the time of the limits has passed.
      const passed = async (): Promise<void> => {
        await new Asked(server, { ...GET, isFresh: true }).failed();
      };
      const asked = new Asked(server, UPLOAD);
      await passed();
      assert.equal(asked.failure, null);
      asked.onChunk = () => asked.exchange.pause();
      asked.exchange.end();
      await asked.until("chunk");
      await passed();
      assert.equal(asked.failure, null);
      asked.exchange.resume();
      assert.equal((await asked.failed()).timedOut, true);
    });

    it("all exchanges when it is destroyed, and none is left", async (t) => {
      const { port, peers } = await openRawUpstream(t, () => {});
      const server = openServer(t, port);
      const asked = [new Asked(server), new Asked(server)];
      while (peers.length < 2) await new Promise(setImmediate);
      server.destroy();
      for (const one of asked) assert.match((await one.failed()).reason, /removed/);
      assert.equal(server.inFlight, 0);
      await Promise.all(peers.map((peer) => peer.closed()));
      assert.match((await new Asked(server).failed()).reason, /removed/);
    });
  });

  it("tells of no event after an abort, and closes the connection", async (t) => {
    let settled = 0;
    const { port, peers } = await openRawUpstream(t, async (peer) => {
      await peer.until("\r\n\r\n");
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    });
    const server = openServer(t, port, { onSettled: () => (settled += 1) });
    const asked = new Asked(server);
    asked.onChunk = () => asked.exchange.abort();
    await asked.until("chunk");
    await peers[0]?.closed();
    assert.deepEqual(asked.events, ["head", "chunk"]);
    assert.deepEqual([server.inFlight, settled], [0, 1]);
    asked.exchange.abort();
    asked.exchange.resume();
    assert.deepEqual([server.inFlight, settled], [0, 1]);
  });

  it("aborts a connection that is still opening", async (t) => {
    const { port } = await openRawUpstream(t, answering(HELLO));
    const server = openServer(t, port);
    const asked = new Asked(server);
    asked.exchange.abort();
    assert.equal(server.inFlight, 0);
    await new Asked(server).until("end");
    assert.deepEqual(asked.events, []);
  });

  it("closes after what is in flight, and refuses new requests", async (t) => {
    const { port, peers } = await openRawUpstream(t, () => {});
    const server = openServer(t, port);
    const asked = new Asked(server);
    while (peers.length === 0) await new Promise(setImmediate);
    const closing = server.close(60_000);
    const refused = await new Asked(server).failed();
    assert.equal(refused.sent, false);
    peers[0]?.send(HELLO);
    await asked.until("end");
    await closing;
    await peers[0]?.closed();
  });

  it("hands over the socket after an upgrade, and waits for the tunnel when it closes", async (t) => {
    const { port } = await openRawUpstream(t, async (peer) => {
      const head = await peer.until("\r\n\r\n");
      assert.match(head, /\r\nconnection: upgrade\r\nupgrade: echo\r\n/);
      peer.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nfirst",
      );
      await peer.until("ping");
      peer.send("pong");
    });
    const server = openServer(t, port);
    const asked = new Asked(server, { ...GET, upgrade: "echo" });
    const { socket, first } = await asked.upgraded();
    assert.deepEqual([asked.head?.status, asked.head?.fields], [101, "upgrade\necho"]);
    assert.deepEqual([server.inFlight, server.status().tunnels], [0, 1]);
    const closing = server.close(60_000);
    const text = new Received(socket, first.toString());
    await text.until("first");
    socket.write("ping");
    await text.until("firstpong");
    socket.end();
    await once(socket, "close");
    await closing;
    assert.equal(server.status().tunnels, 0);
  });

  it("breaks tunnels off that last longer than the grace period", async (t) => {
    const { port } = await openRawUpstream(
      t,
      answering("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"),
    );
    const server = openServer(t, port);
    const { socket } = await new Asked(server, { ...GET, upgrade: "echo" }).upgraded();
    const closed = once(socket, "close");
    await server.close(1);
    await closed;
  });
});
