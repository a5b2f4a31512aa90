import assert from "node:assert/strict";
import { createPrivateKey } from "node:crypto";
import { once } from "node:events";
import { describe, it, type TestContext } from "node:test";
import { createServer, type TLSSocket, type TlsOptions } from "node:tls";
import { generateKey, signCertificate } from "../../runtime/tls/sign-certificate.ts";
import type { UpstreamTls } from "../../runtime/upstream/server-options.ts";
import { Asked, GET, openRawUpstream, openServer, UPLOAD } from "./raw-upstream.ts";

const DAY_MS = 86_400_000;

/** A key and a certificate that is its own authority. */
function identity(name: string, untilMs = Date.now() + DAY_MS): { key: string; cert: string } {
  const key = generateKey();
  const cert = signCertificate(createPrivateKey(key), {
    commonName: name,
    names: [name],
    addresses: ["127.0.0.1"],
    notBefore: new Date(Date.now() - 2 * DAY_MS),
    notAfter: new Date(untilMs),
  });
  return { key, cert };
}

const INTERNAL = identity("api.internal");
const VERIFIED: UpstreamTls = {
  serverName: "api.internal",
  ca: INTERNAL.cert,
  certificate: null,
  verifies: true,
};

/** Opens an upstream that answers every request with the facts of its connection. */
async function openEncrypted(t: TestContext, options: TlsOptions = INTERNAL): Promise<number> {
  const sockets = new Set<TLSSocket>();
  const server = createServer(options, (socket) => {
    sockets.add(socket);
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1");
      if (!text.endsWith("\r\n\r\n")) return;
      text = "";
      const { CN = "none" } = socket.getPeerCertificate().subject ?? {};
      const facts = [socket.servername, socket.alpnProtocol, String(CN), socket.isSessionReused()];
      const body = facts.join(" ");
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    });
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

describe("openUpstreamServer() with TLS", { timeout: 60_000 }, () => {
  it("asks for the name, checks it, and speaks HTTP/1.1", async (t) => {
    const port = await openEncrypted(t, { ...INTERNAL, ALPNProtocols: ["h2", "http/1.1"] });
    const server = openServer(t, port, { tls: VERIFIED });
    const asked = await new Asked(server).until("end");
    assert.equal(asked.body.toString(), "api.internal http/1.1 none false");
    assert.equal(server.status().idleConnections, 1);
  });

  it("asks for no name when the server is named by its address, and checks the address", async (t) => {
    const port = await openEncrypted(t);
    const tls = { ...VERIFIED, serverName: "127.0.0.1" };
    const asked = await new Asked(openServer(t, port, { tls })).until("end");
    assert.match(asked.body.toString(), /^false /);
  });

  it("resumes its session on the next connection", async (t) => {
    const port = await openEncrypted(t);
    const server = openServer(t, port, { tls: VERIFIED });
    await new Asked(server).until("end");
    const asked = await new Asked(server, { ...GET, isFresh: true }).until("end");
    assert.match(asked.body.toString(), / true$/);
  });

  it("shows its own certificate", async (t) => {
    const client = identity("edgicorn.internal");
    const options = { ...INTERNAL, requestCert: true, rejectUnauthorized: false };
    const port = await openEncrypted(t, options);
    const tls = { ...VERIFIED, certificate: { chain: client.cert, key: client.key } };
    const asked = await new Asked(openServer(t, port, { tls })).until("end");
    assert.match(asked.body.toString(), / edgicorn\.internal /);
    const without = await new Asked(openServer(t, port, { tls: VERIFIED })).until("end");
    assert.match(without.body.toString(), / none /);
  });

  for (const [name, change, code] of [
    ["from an unknown authority", { ca: null }, "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["of another name", { serverName: "www.internal" }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ["of another address", { serverName: "127.0.0.2" }, "ERR_TLS_CERT_ALTNAME_INVALID"],
  ] as const) {
    it(`refuses a certificate ${name}, before a byte of the request leaves`, async (t) => {
      const port = await openEncrypted(t);
      const failure = await new Asked(
        openServer(t, port, { tls: { ...VERIFIED, ...change } }),
      ).failed();
      assert.deepEqual([failure.phase, failure.code, failure.sent], ["tls", code, false]);
      const trusting = { ...VERIFIED, ...change, verifies: false };
      await new Asked(openServer(t, port, { tls: trusting })).until("end");
    });
  }

  it("refuses a certificate that has expired", async (t) => {
    const expired = identity("api.internal", Date.now() - DAY_MS);
    const port = await openEncrypted(t, expired);
    const failure = await new Asked(
      openServer(t, port, { tls: { ...VERIFIED, ca: expired.cert } }),
    ).failed();
    assert.deepEqual([failure.phase, failure.code], ["tls", "CERT_HAS_EXPIRED"]);
  });

  it("tells that an upstream does not speak TLS", async (t) => {
    const { port } = await openRawUpstream(t, (peer) =>
      peer.send("HTTP/1.1 400 Bad Request\r\n\r\n"),
    );
    const failure = await new Asked(openServer(t, port, { tls: VERIFIED })).failed();
    assert.deepEqual([failure.phase, failure.sent, failure.begun], ["tls", false, false]);
    assert.match(failure.reason, /does not speak TLS/);
  });

  it("gives up a handshake that the upstream does not answer", async (t) => {
    const { port } = await openRawUpstream(t, () => {});
    const timeouts = { connectMs: 30, firstByteMs: 60_000, idleMs: 60_000 };
    const failure = await new Asked(openServer(t, port, { tls: VERIFIED, timeouts })).failed();
    assert.deepEqual([failure.phase, failure.timedOut], ["tls", true]);
  });

  it("carries bodies in both directions, with pauses", async (t) => {
    const size = 3_000_000;
    const server = createServer(INTERNAL, (socket) => {
      socket.on("error", () => {});
      let left = -1;
      socket.on("data", (bytes: Buffer) => {
        if (left === -1) {
          const end = bytes.indexOf("\r\n\r\n") + 4;
          left = size + end;
          socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
          left -= bytes.length;
          socket.write(bytes.subarray(end));
        } else {
          left -= bytes.length;
          socket.write(bytes);
        }
      });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const asked = new Asked(openServer(t, port, { tls: VERIFIED }), { ...UPLOAD, bodyBytes: size });
    let chunks = 0;
    asked.onChunk = () => {
      chunks += 1;
      if (chunks % 7 !== 0) return;
      asked.exchange.pause();
      setImmediate(() => asked.exchange.resume());
    };
    const body = Buffer.alloc(size, "0123456789abcdef!");
    for (let at = 0; at < size; at += 50_000) {
      const drained = asked.events.length;
      if (asked.exchange.write(body.subarray(at, at + 50_000))) continue;
      while (!asked.events.slice(drained).includes("drain")) await new Promise(setImmediate);
    }
    asked.exchange.end();
    await asked.until("end");
    assert.ok(asked.body.equals(body));
  });
});
