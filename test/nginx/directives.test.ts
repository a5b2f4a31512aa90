import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { connect, type SecureVersion } from "node:tls";
import { send, fieldValue } from "../helpers/send.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { createSite } from "../rules/ask-rules.ts";

// Rows of docs/nginx.md that neither the comparison with Nginx nor a test of the part covers (evidence.ts).

describe("rules in place of directives", () => {
  it("method with deny refuses all methods but the others", () => {
    const ask = createSite([
      { path: "/api/**", method: ["POST", "PUT"], deny: ["0.0.0.0/0", "::/0"] },
    ]);
    const statusOf = (method: string, target = "/api/x"): number => ask({ method, target }).status;
    const statuses = ["GET", "HEAD", "POST", "PUT"].map((method) => statusOf(method));
    assert.deepEqual(statuses, [200, 200, 403, 403]);
    assert.equal(statusOf("POST", "/other"), 200);
  });

  it("an address and a password must both be right", () => {
    const users = { ada: "$apr1$abcdefgh$prTPVrJcZSUV5JTgFyzIZ/" };
    const ask = createSite([{ allow: "10.0.0.0/8", basicAuth: { users } }]);
    const token = Buffer.from("ada:lovelace").toString("base64");
    const fields = { host: "localhost", authorization: `Basic ${token}` };
    assert.equal(ask({ clientAddress: "11.0.0.1", fields }).status, 403);
    assert.equal(ask({ clientAddress: "10.0.0.1" }).status, 401);
  });

  it("header refuses links from a site that is named", () => {
    const ask = createSite([
      {
        path: "/images/**",
        header: { referer: "https://thief.example/*" },
        respond: { status: 403 },
      },
    ]);
    const statusOf = (referer: string): number =>
      ask({ target: "/images/a.png", fields: { host: "localhost", referer } }).status;
    assert.equal(statusOf("https://thief.example/page"), 403);
    assert.equal(statusOf("https://own.example/page"), 200);
    assert.equal(ask("/images/a.png").status, 200);
  });

  it("respond answers 204 without a body", () => {
    const { status, body, served } = createSite([{ path: "/pixel", respond: { status: 204 } }])(
      "/pixel",
    );
    assert.deepEqual([status, body ?? "", served], [204, "", null]);
  });
});

describe("directives that concern files and connections", { timeout: 300_000 }, () => {
  const owner = new SuiteOwner();
  let server: TestServer;

  before(async () => {
    const upstream = createServer((_, response) => void response.writeHead(500).end("inside"));
    upstream.listen(0, "127.0.0.1");
    await once(upstream, "listening");
    owner.after(() => {
      upstream.closeAllConnections();
      upstream.close();
    });
    // A server on a port has such an address.
    const { port } = upstream.address() as AddressInfo;
    const rules = [
      {
        path: "/app/**",
        proxy: `http://127.0.0.1:${port}`,
        errorPages: { "5xx": "/broken.html" },
      },
      { path: "/data.bin", setFields: { "content-type": "application/vnd.own" } },
      { path: "/bare.txt", removeFields: ["last-modified", "etag"] },
    ];
    server = await startServer(owner, {
      handlers: {},
      public: { "data.bin": "data", "bare.txt": "bare", "broken.html": "<p>broken" },
      files: { "edgicorn.config.json": JSON.stringify({ rules }) },
      https: true,
      workers: 1,
    });
  });
  after(() => owner.end());

  it("the type of a file is changed by setFields", async () => {
    const changed = await send(`${server.http}/data.bin`);
    assert.deepEqual([changed.status, changed.text], [200, "data"]);
    const types = changed.fields.filter(([name]) => name === "content-type");
    assert.deepEqual(types, [["content-type", "application/vnd.own"]]);
  });

  it("removeFields takes a field of a file", async () => {
    const bare = await send(`${server.http}/bare.txt`);
    assert.deepEqual([bare.status, bare.text], [200, "bare"]);
    assert.equal(fieldValue(bare, "last-modified"), undefined);
    assert.equal(fieldValue(bare, "etag"), undefined);
    assert.notEqual(fieldValue(await send(`${server.http}/data.bin`), "etag"), undefined);
  });

  it("errorPages replaces an error of an upstream", async () => {
    const { status, text } = await send(`${server.http}/app/x`);
    assert.deepEqual([status, text], [500, "<p>broken"]);
  });

  it("a client resumes a session of TLS 1.2 and of TLS 1.3", async () => {
    for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
      assert.equal(await resumes(server.port("https"), version), true, version);
    }
  });
});

/** Connects twice, with the session of the first connection. Returns whether the server takes it up. */
async function resumes(port: number, version: SecureVersion): Promise<boolean> {
  const options = {
    port,
    host: "127.0.0.1",
    servername: "localhost",
    rejectUnauthorized: false,
    minVersion: version,
    maxVersion: version,
  };
  const first = connect(options);
  // With TLS 1.3 it comes after the handshake, perhaps with the first answer.
  const session = once(first, "session") as Promise<[Buffer]>;
  await once(first, "secureConnect");
  first.resume().write("GET /data.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
  const [ticket] = await session;
  first.destroy();
  const second = connect({ ...options, session: ticket });
  await once(second, "secureConnect");
  const isResumed = second.isSessionReused();
  second.destroy();
  return isResumed;
}
