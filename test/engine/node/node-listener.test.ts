import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { Server, type Socket } from "node:net";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { connect as connectTls, type SecureVersion, type TLSSocket } from "node:tls";
import { BlockPool } from "../../../runtime/bodies/block-pool.ts";
import { HeldBody } from "../../../runtime/bodies/held-body.ts";
import type { Listener, ServedCertificate } from "../../../runtime/engine/engine.ts";
import { Http1Connection } from "../../../runtime/engine/node/http1-connection.ts";
import type { BodySource, Client } from "../../../runtime/http/client.ts";
import { TurnClock } from "../../../runtime/lib/turn-clock.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";
import { makeCertificate } from "../uws/openssl.ts";
import { connectTo, echo, openListener, readAll } from "./open-http1-listener.ts";

const GET = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

const LIMITS = {
  bodyTimeoutMs: 0,
  minBodyRateBytesPerSecond: 0,
  sendTimeoutMs: 0,
  headerLimitBytes: 16 * 1024,
  headerCountLimit: 98,
  urlLimitBytes: 8 * 1024,
};

/** Returns a head whose client waits for 100 (Continue). */
function expecting(target: string): string {
  return `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n`;
}

/** The status codes of all responses, and the lines of their bodies. */
function answersOf(text: string): string[] {
  return text.match(/^HTTP\/1\.1 \d{3}|^(?:GET|POST|PUT) \/.*$/gm) ?? [];
}

function certificate(
  dir: string,
  name: string,
  own: Partial<ServedCertificate> = {},
): ServedCertificate {
  const base = join(dir, name);
  makeCertificate({ base, altNames: `DNS:${name}.test,DNS:*.${name}.test` });
  const names = [`${name}.test`, `*.${name}.test`];
  return { certPath: `${base}.crt`, keyPath: `${base}.key`, names, covers: names, ...own };
}

async function connect(
  t: TestContext,
  { port }: Listener,
  options: { servername?: string; session?: Buffer; maxVersion?: SecureVersion } = {},
): Promise<TLSSocket> {
  // The certificates are self-signed.
  const socket = connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  t.after(() => socket.destroy());
  await once(socket, "secureConnect");
  return socket;
}

function namesOf(socket: TLSSocket): string | undefined {
  return socket.getPeerX509Certificate()?.subjectAltName?.split(",")[0];
}

/** Returns an emitter of `check` for each check of a connection of HTTP/1. */
function watchChecks(t: TestContext): EventEmitter {
  const checks = new EventEmitter();
  // oxlint-disable-next-line typescript/unbound-method -- called with its own `this`
  const { check } = Http1Connection.prototype;
  t.mock.method(
    Http1Connection.prototype,
    "check",
    function (this: Http1Connection, nowMs: number) {
      check.call(this, nowMs);
      checks.emit("check");
    },
  );
  return checks;
}

describe("NodeListener", { timeout: 300_000 }, () => {
  it("answers pipelined requests in their order, wherever their bytes are split", async (t) => {
    const listener = await openListener(t, echo);
    const wire = Buffer.from(
      `${GET}POST /b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc` +
        "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n" +
        "GET http://b/d HTTP/1.0\r\n\r\n",
    );
    const expected = ["GET /a ", "POST /b abc", "PUT /c de", "GET /d "].flatMap((line) => [
      "HTTP/1.1 200",
      line,
    ]);
    for (let at = 0; at <= wire.length; at += 3) {
      const socket = await connectTo(t, listener);
      const all = readAll(socket);
      socket.write(wire.subarray(0, at));
      // A turn of the event loop of this process, which is also the server's.
      await new Promise((resolve) => setImmediate(resolve));
      socket.write(wire.subarray(at));
      assert.deepEqual(answersOf(await all), expected, `split at byte ${at}`);
      socket.destroy();
    }
  });

  it("names the protocol of each request for the access log", async (t) => {
    const protocols: (string | undefined)[] = [];
    const listener = await openListener(t, (client) => {
      protocols.push(client.head.protocol);
      client.refuse(404);
    });
    const socket = await connectTo(t, listener);
    const all = readAll(socket);
    socket.write(`${GET}GET /d HTTP/1.0\r\n\r\n`);
    await all;
    assert.deepEqual(protocols, [undefined, "HTTP/1.0"]);
  });

  it("answers OPTIONS * itself", async (t) => {
    const listener = await openListener(t, () => assert.fail("no part of the server is asked"));
    const socket = await connectTo(t, listener);
    const all = readAll(socket);
    socket.write("OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert.match(await all, /^HTTP\/1\.1 200 OK\r\nallow: GET, [^\r]+\r\ncontent-length: 0\r\n/i);
  });

  it("answers a client that has ended its side", async (t) => {
    const waiting: Client[] = [];
    const listener = await openListener(t, (client) => {
      waiting.push(client);
      setImmediate(() => setImmediate(() => echo(client)));
      client.holdBody({
        start() {},
        chunk() {},
        end() {},
        release(sink) {
          sink.end();
          return { pause() {}, resume() {} };
        },
      });
    });
    const socket = await connectTo(t, listener);
    const all = readAll(socket);
    socket.end(GET);
    assert.deepEqual(answersOf(await all).slice(-2), ["HTTP/1.1 200", "GET /a "]);
    assert.equal(waiting.length, 1);
  });

  it("answers 100 once the decision about a request is made", async (t) => {
    const listener = await openListener(t, (client) => {
      const held = new HeldBody({ spool: null, blocks: new BlockPool() });
      client.holdBody(held);
      setImmediate(() => {
        if (client.head.target === "/a") echo(client);
        else client.refuse(401);
      });
    });
    const socket = await connectTo(t, listener);
    const all = readAll(socket);
    socket.write(expecting("/a"));
    await once(socket, "data");
    socket.write(`abc${expecting("/b")}`);
    const lines = ["HTTP/1.1 100", "HTTP/1.1 200", "POST /a abc", "HTTP/1.1 401"];
    assert.deepEqual(answersOf(await all), lines);
  });

  it("passes on a paused body whose client has ended its side", async (t) => {
    for (const isWhole of [true, false]) {
      let onFinished: ((status: number) => void) | null = null;
      const finished = new Promise<number>((resolve) => (onFinished = resolve));
      const chunks: string[] = [];
      const listener = await openListener(
        t,
        (client) => {
          const flow = client.receiveBody({
            chunk(bytes) {
              chunks.push(Buffer.from(bytes).toString("latin1"));
              flow.pause();
              setImmediate(() => setImmediate(() => flow.resume()));
            },
            end() {
              const body = `GET ${client.head.target} ${chunks.join("")}\n`;
              client.reply({ status: 200, statusText: "", fields: "", body, lengthBytes: null });
            },
          });
        },
        { onFinished: (_, status) => onFinished?.(status) },
      );
      const socket = await connectTo(t, listener);
      const all = readAll(socket);
      const head = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
      socket.end(`${head}1\r\na\r\n1\r\nb\r\n${isWhole ? "0\r\n\r\n" : ""}`);
      const answers = answersOf(await all).slice(-2);
      assert.deepEqual(answers, isWhole ? ["HTTP/1.1 200", "GET /a ab"] : []);
      assert.equal(await finished, isWhole ? 200 : 499);
      assert.deepEqual(chunks, ["a", "b"]);
    }
  });

  it("notices a client that has closed its connection while it waits", async (t) => {
    let onFinished: ((status: number) => void) | null = null;
    const finished = new Promise<number>((resolve) => (onFinished = resolve));
    let onBegun: (() => void) | null = null;
    const begun = new Promise<void>((resolve) => (onBegun = resolve));
    const listener = await openListener(t, () => onBegun?.(), {
      onFinished: (_, status) => onFinished?.(status),
    });
    const socket = await connectTo(t, listener);
    socket.write(GET);
    await begun;
    socket.destroy();
    assert.equal(await finished, 499);
    await listener.idle();
  });

  it("breaks the connection when a body of unknown length fails, also for HTTP/1.0", async (t) => {
    for (const version of ["1.0", "1.1"]) {
      const pieces = [Buffer.from("piece")];
      const source: BodySource & { state: BodySource["state"] } = {
        state: "open",
        onChange: null,
        read: () => pieces.pop() ?? null,
        cancel() {},
      };
      const listener = await openListener(t, (client) => {
        client.reply({ status: 200, statusText: "", fields: "", body: source, lengthBytes: null });
      });
      const socket = await connectTo(t, listener);
      const closed = new Promise<boolean>((resolve) => socket.once("close", resolve));
      let text = "";
      socket.once("end", () => socket.end());
      socket.on("data", (bytes: Buffer) => {
        text += String(bytes);
        if (!text.includes("piece")) return;
        source.state = "failed";
        source.onChange?.();
      });
      socket.write(`GET / HTTP/${version}\r\nHost: a\r\n\r\n`);
      // Chunks show by themselves that the last one is missing.
      assert.equal(await closed, version === "1.0", `HTTP/${version} was reset`);
      assert.ok(!text.endsWith("0\r\n\r\n"));
    }
  });

  it("closes idle connections and slow heads after their time", async (t) => {
    const patient = { headTimeoutMs: 600_000, keepAliveTimeoutMs: 600_000 };
    const cases = [
      [{ keepAliveTimeoutMs: 1 }, "", /^$/],
      [{ headTimeoutMs: 1 }, "GET / HT", /^HTTP\/1\.1 408 .*Connection: close/s],
    ] as const;
    for (const [own, bytes, answer] of cases) {
      const listener = await openListener(t, echo, { timeouts: { ...patient, ...own } });
      const socket = await connectTo(t, listener);
      socket.write(bytes);
      assert.match(await readAll(socket), answer);
      socket.end();
      await listener.disconnected();
    }
  });

  for (const line of ["\r\n", "\r"]) {
    it(`stays idle after ${JSON.stringify(line)} between requests`, async (t) => {
      const timeouts = { headTimeoutMs: 1, keepAliveTimeoutMs: 60_000 };
      const listener = await openListener(t, echo, { timeouts });
      const socket = await connectTo(t, listener);
      const checks = watchChecks(t);
      const all = readAll(socket);
      socket.write(`${GET}${line}`);
      await once(socket, "data");
      // The listener may check its connections before the rest of these bytes has come.
      for (const _ of [1, 2]) await once(checks, "check");
      socket.end(`${"\r\n\r\n".slice(line.length)}${GET}`);
      const answer = ["HTTP/1.1 200", "GET /a "];
      assert.deepEqual(answersOf(await all), [...answer, ...answer]);
    });
  }

  it("ends a connection that has ended with half of an empty line", async (t) => {
    const listener = await openListener(t, echo);
    const socket = await connectTo(t, listener);
    const all = readAll(socket);
    socket.end(`${GET}\r`);
    assert.deepEqual(answersOf(await all).slice(-2), ["HTTP/1.1 200", "GET /a "]);
  });

  it("ends a connection whose client sends the rest of a body for too long", async (t) => {
    const clock = new TurnClock();
    let aheadMs = 0;
    t.mock.method(clock, "now", () => performance.now() + aheadMs);
    const listener = await openListener(
      t,
      (client) => {
        client.receiveBody({ chunk() {}, end() {} });
        // The answer was 31 s ago.
        aheadMs = -31_000;
        client.reply({ status: 200, statusText: "", fields: "", body: "a", lengthBytes: null });
        // Every byte from now on is new.
        aheadMs = 600_000;
      },
      { clock },
    );
    const socket = await connectTo(t, listener);
    const all = readAll(socket);
    socket.write("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n");
    await once(socket, "data");
    socket.write("part");
    assert.match(await all, /^HTTP\/1\.1 200 .*Keep-Alive: timeout/s);
  });

  it("ends each connection with its next response once it accepts no more", async (t) => {
    const listener = await openListener(t, echo);
    const socket = await connectTo(t, listener);
    socket.write(GET);
    await once(socket, "readable");
    socket.read();
    listener.stopAccepting();
    const all = readAll(socket);
    socket.write(GET);
    assert.match(await all, /^HTTP\/1\.1 200 .*\r\nConnection: close\r\n/s);
    socket.end();
    await listener.disconnected();
  });

  it("leaves a client that reads slowly the time of sendTimeout", async (t) => {
    const clock = new TurnClock();
    let aheadMs = 0;
    t.mock.method(clock, "now", () => performance.now() + aheadMs);
    const listening = t.mock.method(Server.prototype, "listen");
    const sockets: Socket[] = [];
    const left = new EventEmitter();
    let answered = 0;
    const listener = await openListener(
      t,
      (client) => {
        answered++;
        // The kernel takes no more. The present response is the last one, and began 10 s ago.
        if (sockets.some(({ writableLength }) => writableLength > 0)) {
          aheadMs = -10_000;
          listener.stopAccepting();
          left.emit("left");
        }
        const body = "a".repeat(5_000);
        client.reply({ status: 200, statusText: "", fields: "", body, lengthBytes: null });
      },
      { clock, limits: { ...LIMITS, sendTimeoutMs: 600_000 } },
    );
    // Only a server has this method.
    for (const { this: server } of listening.mock.calls) {
      (server as Server).on("connection", (socket: Socket) => void sockets.push(socket));
    }
    const socket = await connectTo(t, listener);
    const checks = watchChecks(t);
    const begun = once(left, "left");
    for (let at = 0; at < 10; at++) socket.write(GET.repeat(1_000));
    await begun;
    await once(checks, "check");
    assert.equal((await readAll(socket)).match(/a{5000}/g)?.length, answered);
    socket.end();
    await listener.disconnected();
  });

  it("reports a connection that cannot be accepted, and goes on", async (t) => {
    const listening = t.mock.method(Server.prototype, "listen");
    const seen: unknown[] = [];
    const listener = await openListener(t, echo, { onError: (error) => void seen.push(error) });
    const errors = ["ENFILE", "ENOBUFS"].map((code) => new Error(`accept ${code}`));
    // The kernel cannot be made to fail here. Node reports its failure by this event.
    // Only a server has this method.
    const servers = listening.mock.calls.map((call) => call.this as Server);
    const own = servers.filter((server) => server.listening);
    for (const error of errors) for (const server of own) server.emit("error", error);
    assert.deepEqual(seen, errors);
    const socket = await connectTo(t, listener);
    const answer = readAll(socket);
    socket.end(GET);
    assert.deepEqual(answersOf(await answer).slice(-2), ["HTTP/1.1 200", "GET /a "]);
  });

  it("closes connections above maxConnections", async (t) => {
    let refused = 0;
    const listener = await openListener(t, echo, {
      maxConnections: 1,
      onConnectionRefused: () => void refused++,
    });
    const first = await connectTo(t, listener);
    const second = await connectTo(t, listener);
    assert.equal(await readAll(second), "");
    assert.equal(refused, 1);
    const answer = readAll(first);
    first.end(GET);
    assert.deepEqual(answersOf(await answer).slice(-2), ["HTTP/1.1 200", "GET /a "]);
  });
});

describe("NodeListener with TLS", { timeout: 300_000 }, () => {
  it("serves certificates by name, and others to new connections after a change", async (t) => {
    const dir = temporaryFolder(t);
    const [a, b, c] = ["a", "b", "c"].map((name) => certificate(dir, name));
    assert.ok(a !== undefined && b !== undefined && c !== undefined);
    const seen: (readonly string[] | undefined)[] = [];
    const listener = await openListener(t, echo, {
      certificates: [a, b],
      onRequest: (client, served) => {
        seen.push(served?.names);
        echo(client);
      },
    });
    const old = await connect(t, listener, { servername: "x.b.test" });
    assert.equal(namesOf(old), "DNS:b.test");
    assert.equal(namesOf(await connect(t, listener, { servername: "x.y.b.test" })), "DNS:a.test");
    assert.equal(namesOf(await connect(t, listener)), "DNS:a.test");

    listener.prepareCertificates([c]).commit();
    const next = await connect(t, listener, { servername: "x.b.test" });
    assert.equal(namesOf(next), "DNS:c.test");
    for (const socket of [old, next]) {
      const all = readAll(socket);
      socket.write(`GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      assert.deepEqual(answersOf(await all), ["HTTP/1.1 200", "GET /a "]);
    }
    assert.deepEqual(seen, [b.names, c.names]);
  });

  it("resumes sessions, also after a change of the certificates", async (t) => {
    const dir = temporaryFolder(t);
    const served = certificate(dir, "a");
    const listener = await openListener(t, echo, { certificates: [served] });
    const first = await connect(t, listener, { servername: "a.test" });
    const [session] = (await once(first, "session")) as [Buffer];
    listener.prepareCertificates([served]).commit();
    const again = await connect(t, listener, { servername: "a.test", session });
    assert.equal(again.isSessionReused(), true);
  });

  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    it(`takes no other certificate for that of a resumed session (${version})`, async (t) => {
      const dir = temporaryFolder(t);
      const [a, b] = ["a", "b"].map((name) => certificate(dir, name));
      assert.ok(a !== undefined && b !== undefined);
      const seen: (readonly string[] | undefined)[] = [];
      const listener = await openListener(t, echo, {
        certificates: [a, b],
        onRequest: (client, served) => {
          seen.push(served?.names);
          echo(client);
        },
      });
      for (const servername of ["x.b.test", "a.test"]) {
        const first = await connect(t, listener, { servername, maxVersion: version });
        // With TLS 1.3 the session arrives after the handshake, with TLS 1.2 within it.
        if (version === "TLSv1.3") await once(first, "session");
        const session = first.getSession();
        assert.ok(session !== undefined);
        const again = await connect(t, listener, { servername, session, maxVersion: version });
        assert.equal(again.isSessionReused(), true);
        const all = readAll(again);
        again.write("GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        await all;
      }
      // With TLS 1.2 OpenSSL does not tell the name.
      const isNamed = version === "TLSv1.3";
      assert.deepEqual(seen, isNamed ? [b.names, a.names] : [undefined, undefined]);
    });
  }

  it("refuses connections that name no known host, where the first certificate asks for it", async (t) => {
    const dir = temporaryFolder(t);
    const served = certificate(dir, "a", { onlyByName: true });
    const listener = await openListener(t, echo, { certificates: [served] });
    assert.equal(namesOf(await connect(t, listener, { servername: "a.test" })), "DNS:a.test");
    await assert.rejects(connect(t, listener, { servername: "b.test" }));
    await assert.rejects(connect(t, listener));
  });

  it("keeps its certificates when others cannot be loaded", async (t) => {
    const dir = temporaryFolder(t);
    const [a, b] = ["a", "b"].map((name) => certificate(dir, name));
    assert.ok(a !== undefined && b !== undefined);
    const listener = await openListener(t, echo, { certificates: [a] });
    const mixed = { ...b, keyPath: a.keyPath };
    assert.throws(() => listener.prepareCertificates([mixed]), { code: "ERR_CERTIFICATE" });
    assert.equal(namesOf(await connect(t, listener)), "DNS:a.test");
  });
});
