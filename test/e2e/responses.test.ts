import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it, type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { isNodeEngine } from "../helpers/engine.ts";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { fieldOf, RawConnection, type RawResponse } from "../helpers/raw-connection.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

/** What `fixtures/handlers/respond.ts` is asked for. */
interface Plan {
  status?: number;
  statusText?: string;
  headers?: [name: string, value: string][];
  body?: string;
  times?: number;
  bytes?: number;
}

function toRequest(plan: Plan, method = "GET", fields = ""): string {
  const query = encodeURIComponent(JSON.stringify(plan));
  return `${method} /respond?plan=${query} HTTP/1.1\r\nHost: localhost\r\n${fields}\r\n`;
}

async function openTls(server: TestServer): Promise<RawConnection> {
  const port = server.port("https");
  const socket = connectTls({ port, host: "localhost", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  return RawConnection.over(socket);
}

/** Sends a request on a connection that is used for all, so each answer also shows that the one before ended well. */
async function ask(connection: RawConnection, plan: Plan, method = "GET"): Promise<RawResponse> {
  connection.send(toRequest(plan, method));
  return connection.response({ head: method === "HEAD" });
}

/** Its fields without the two that every response has. */
function ownFields({ fields }: RawResponse): RawResponse["fields"] {
  return fields.filter(([name]) => !/^(?:date|content-length|keep-alive)$/i.test(name));
}

async function checkResponses(t: TestContext, open: () => Promise<RawConnection>): Promise<void> {
  await t.test("statuses and their phrases", async () => {
    const connection = await open();
    const cases: [plan: Plan, status: number, statusText: string][] = [
      [{}, 200, "OK"],
      [{ status: 201 }, 201, "Created"],
      [{ status: 404 }, 404, "Not Found"],
      [{ status: 418 }, 418, "I'm a Teapot"],
      [{ status: 599 }, 599, ""],
      [{ status: 200, statusText: "Fine" }, 200, "Fine"],
      [{ status: 404, statusText: "Nothing to see here" }, 404, "Nothing to see here"],
      // Bytes outside of ASCII have no meaning there (RFC 9112 section 4).
      [{ status: 404, statusText: "caf\u00e9" }, 404, "Not Found"],
    ];
    for (const [plan, status, statusText] of cases) {
      const response = await ask(connection, { body: "x", ...plan });
      assert.deepEqual([response.status, response.statusText], [status, statusText]);
      assert.equal(String(response.body), "x");
    }
  });

  await t.test("fields that are ours, once each, and none that name the software", async () => {
    const connection = await open();
    const { fields } = await ask(connection, { bytes: 3 });
    const names = fields.map(([name]) => name.toLowerCase());
    assert.deepEqual(names.toSorted(), ["content-length", "date", "keep-alive"]);
  });

  await t.test("fields of the handler as they are, in order and twice", async () => {
    const connection = await open();
    const response = await ask(connection, {
      bytes: 0,
      headers: [
        ["x-empty", ""],
        ["set-cookie", "a=1; Path=/; HttpOnly"],
        ["set-cookie", "b=2"],
        ["x-bytes", "caf\u00e9 \u00ff"],
      ],
    });
    assert.deepEqual(
      ownFields(response)
        .map(([name, value]) => `${name}: ${value}`)
        .toSorted(),
      [
        "set-cookie: a=1; Path=/; HttpOnly",
        "set-cookie: b=2",
        "x-bytes: caf\u00e9 \u00ff",
        "x-empty: ",
      ],
    );
  });

  await t.test("what the handler says of framing, connection and time does not count", async () => {
    const connection = await open();
    const lies: Plan["headers"] = [
      ["connection", "close"],
      ["keep-alive", "timeout=1"],
      ["transfer-encoding", "chunked"],
      ["content-length", "3"],
      ["date", "yesterday"],
      ["upgrade", "h2c"],
      ["trailer", "x"],
    ];
    const response = await ask(connection, { body: "four", headers: lies });
    assert.equal(String(response.body), "four");
    assert.equal(fieldOf(response, "content-length"), "4");
    assert.notEqual(fieldOf(response, "date"), "yesterday");
    assert.equal(fieldOf(response, "keep-alive"), isNodeEngine() ? "timeout=74" : "timeout=7");
    assert.deepEqual(ownFields(response), [["content-type", "text/plain;charset=UTF-8"]]);
  });

  await t.test("lengths, up to bodies that leave in many pieces", async () => {
    const connection = await open();
    for (const bytes of [
      0, 1, 5_333, 5_334, 15_999, 16_000, 16_001, 65_536, 1_048_576, 4_194_304,
    ]) {
      const { body } = await ask(connection, { bytes });
      assert.equal(body.length, bytes);
      assert.ok(body.every((byte) => byte === 120));
    }
    // Of text, the length is not that in characters.
    for (const characters of [1, 1_000, 2_000]) {
      const { body } = await ask(connection, { body: "\u20ac", times: characters });
      assert.equal(String(body), "\u20ac".repeat(characters));
    }
  });

  await t.test("statuses without a body, after which the connection is in order", async () => {
    const connection = await open();
    for (const status of [204, 304]) {
      for (const method of ["GET", "HEAD", "POST"]) {
        connection.send(
          toRequest({ status, headers: [["etag", '"1"']] }, method, "Content-Length: 0\r\n"),
        );
        const response = await connection.response();
        assert.equal(response.status, status);
        assert.equal(fieldOf(response, "etag"), '"1"');
        assert.equal(fieldOf(response, "transfer-encoding"), undefined);
        // RFC 9110 section 8.6: never with 204, and with 304 only what 200 would have had.
        assert.equal(fieldOf(response, "content-length"), undefined);
        const next = await ask(connection, { body: "next" });
        assert.equal(String(next.body), "next");
      }
    }
  });

  await t.test("HEAD tells the length that GET has, without a body", async () => {
    const connection = await open();
    for (const plan of [
      { body: "hello" },
      { bytes: 100_000 },
      { body: "" },
      { status: 404, body: "no" },
    ]) {
      const head = await ask(connection, plan, "HEAD");
      const get = await ask(connection, plan);
      assert.equal(head.status, get.status);
      assert.equal(fieldOf(head, "content-length"), fieldOf(get, "content-length"));
      assert.deepEqual(ownFields(head), ownFields(get));
    }
    // A handler that knows the length and spares the body.
    const spared = await ask(connection, { headers: [["content-length", "12345"]] }, "HEAD");
    assert.equal(fieldOf(spared, "content-length"), "12345");
    const next = await ask(connection, { body: "next" });
    assert.equal(String(next.body), "next");
  });

  await t.test("a response body that is a stream", async () => {
    const connection = await open();
    connection.send("GET /streams?chunks=40&size=5000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const { body } = await connection.response();
    assert.equal(body.length, 200_000);
    connection.send("HEAD /streams?chunks=40&size=5000 HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert.equal((await connection.response({ head: true })).status, 200);
    assert.equal(String((await ask(connection, { body: "next" })).body), "next");
  });

  await t.test("Connection: close closes after the answer", async () => {
    const connection = await open();
    connection.send(toRequest({ body: "last" }, "GET", "Connection: close\r\n"));
    assert.equal(String((await connection.response()).body), "last");
    assert.equal(await connection.untilClosed(), "");
  });
}

describe("responses on the wire", { timeout: 180_000 }, () => {
  it("are right on connections that go on, plain and through TLS", async (t) => {
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS, https: true });
    await t.test("http", async (scheme) => checkResponses(scheme, () => server.connect()));
    await t.test("https", async (scheme) => checkResponses(scheme, () => openTls(server)));

    await t.test("Connection: close after each kind of answer", async () => {
      const plans: [plan: Plan, method: string, end: RegExp][] = [
        [{ body: "hello" }, "GET", /\r\n\r\nhello$/],
        [{}, "GET", /\r\n\r\n$/],
        [{ body: "hello" }, "HEAD", /content-length: 5\r\n.*\r\n\r\n$/is],
        [{ status: 204 }, "GET", /^HTTP\/1\.1 204 .*\r\n\r\n$/s],
        [{ status: 304 }, "GET", /^HTTP\/1\.1 304 .*\r\n\r\n$/s],
        [{ bytes: 1_000_000 }, "GET", /x{1000000}$/],
      ];
      for (const [plan, method, end] of plans) {
        const text = await server.raw(toRequest(plan, method, "Connection: close\r\n"));
        assert.match(text, end, `${method} ${JSON.stringify(plan)}`);
      }
    });
  });
});
