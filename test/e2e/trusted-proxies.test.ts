import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { findPython, skipWithoutPython } from "../helpers/python.ts";
import { PYTHON_FIXTURES } from "../helpers/python-server.ts";
import { RawConnection } from "../helpers/raw-connection.ts";
import { Reloads } from "../helpers/reloads.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

const PROXY = "127.0.0.2";
const STRANGER = "127.0.0.3";

/** Fields that the proxy adds for a client that forged what it could. */
const FORWARDED = [
  "X-Forwarded-For: 6.6.6.6, 192.0.2.7",
  "X_Forwarded_For: 6.6.6.6",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Host: shop.example",
  "X-Real-IP: 6.6.6.6",
  "Forwarded: for=6.6.6.6;host=evil.example",
  "X-Request-Id: trace-77",
];

async function ask(
  server: TestServer,
  from: string,
  { path = "/inspect", fields = FORWARDED }: { path?: string; fields?: readonly string[] } = {},
): Promise<{ status: number; seen: Record<string, unknown> }> {
  const connection = await open(server, from);
  connection.send(toHead(path, fields));
  const { status, body } = await connection.response();
  connection.destroy();
  const text = String(body);
  const seen = text.startsWith("{") ? (JSON.parse(text) as Record<string, unknown>) : { text };
  return { status, seen };
}

async function open(server: TestServer, from: string): Promise<RawConnection> {
  const port = server.port("http");
  const socket = connect({ port, host: "127.0.0.1", localAddress: from, allowHalfOpen: true });
  await once(socket, "connect");
  return RawConnection.over(socket);
}

function toHead(path: string, fields: readonly string[]): string {
  return [`GET ${path} HTTP/1.1`, "Host: inner", ...fields, "", ""].join("\r\n");
}

/** Returns the fields of a request that describe its client, and its host. */
function forwardingOf({ headers }: Record<string, unknown>): Record<string, string> {
  // The fixture answers with pairs.
  const pairs = headers as [string, string][];
  const names = /^(?:host|forwarded|x[-_](?:forwarded|real|request).*)$/;
  return Object.fromEntries(pairs.filter(([name]) => names.test(name)));
}

function start(t: TestContext, config: object): Promise<TestServer> {
  return startServer(t, {
    handlers: FIXTURE_HANDLERS,
    workers: 1,
    files: { "edgicorn.config.json": JSON.stringify(config) },
  });
}

describe("trustedProxies", { timeout: 300_000 }, () => {
  it("shows handlers, limits and logs the client that the proxy names, and believes no other peer", async (t) => {
    const config = { trustedProxies: [PROXY], maxRequestsPerAddress: 1 };
    const server = await start(t, config);

    const { seen } = await ask(server, PROXY);
    assert.deepEqual(
      [seen["clientAddress"], seen["url"], seen["requestId"]],
      ["192.0.2.7", "https://shop.example/inspect", "trace-77"],
    );
    assert.deepEqual(forwardingOf(seen), {
      host: "shop.example",
      "x-forwarded-for": "192.0.2.7",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "shop.example",
      "x-real-ip": "192.0.2.7",
      "x-request-id": "trace-77",
    });
    const line = await server.untilAccess({ path: "/inspect" });
    assert.deepEqual(
      [line["clientAddress"], line["scheme"], line["host"], line["requestId"]],
      ["192.0.2.7", "https", "shop.example", "trace-77"],
    );

    const { seen: forged } = await ask(server, STRANGER);
    assert.deepEqual([forged["clientAddress"], forged["url"]], [STRANGER, "http://inner/inspect"]);
    assert.deepEqual(forwardingOf(forged), { host: "inner" });
    assert.notEqual(forged["requestId"], "trace-77");
    const { field, peer } = await server.until(
      ({ msg }) => msg?.includes("trustedProxies") === true,
    );
    assert.deepEqual([field, peer], ["x-forwarded-for", STRANGER]);

    // An invalid head of a client is logged with the client's address.
    const bad = [...FORWARDED, "Transfer-Encoding: gzip"];
    assert.equal((await ask(server, PROXY, { path: "/bad", fields: bad })).status, 400);
    assert.equal((await server.untilAccess({ path: "/bad" }))["clientAddress"], "192.0.2.7");

    // The limit counts clients, not the proxy.
    const busy = await open(server, PROXY);
    busy.send(toHead("/never-answers", FORWARDED));
    const second = (address: string) =>
      ask(server, PROXY, { fields: [`X-Forwarded-For: ${address}`] });
    assert.equal((await second("192.0.2.8")).status, 200);
    assert.equal((await second("192.0.2.7")).status, 429);
    busy.destroy();

    // A reload moves the trust.
    writeFileSync(
      join(server.dir, "edgicorn.config.json"),
      JSON.stringify({ trustedProxies: `${STRANGER}/32` }),
    );
    await new Reloads(server).next();
    assert.equal((await ask(server, PROXY)).seen["clientAddress"], PROXY);
    assert.equal((await ask(server, STRANGER)).seen["requestId"], "trace-77");
  });

  it("does not read addresses of the PROXY protocol", async (t) => {
    const server = await start(t, {});
    const connection = await open(server, STRANGER);
    const signature = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
    // Version 2, TCP over IPv4: from 192.0.2.7:1 to 192.0.2.1:2.
    const header = Buffer.from("2111000cc0000207c000020100010002", "hex");
    connection.send(Buffer.concat([signature, header, Buffer.from(toHead("/inspect", []))]));
    const { body } = await connection.response();
    // The fixture answers with an object.
    const seen = JSON.parse(String(body)) as Record<string, unknown>;
    assert.equal(seen["clientAddress"], STRANGER);
    connection.destroy();
  });

  it("shows a Python application the same client", { skip: skipWithoutPython() }, async (t) => {
    const server = await startServer(t, {
      handlers: {},
      workers: 1,
      flags: ["--trusted-proxies", PROXY, "--app", "behaviours:app"].concat([
        "--python",
        findPython([]) ?? "python3",
        "--app-dir",
        PYTHON_FIXTURES,
      ]),
    });
    const { seen } = await ask(server, PROXY, { path: "/environ" });
    const facts = ["REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "HTTP_X_FORWARDED_FOR"] as const;
    assert.deepEqual(
      [...facts, "HTTP_FORWARDED"].map((name) => seen[name]),
      ["192.0.2.7", "https", "shop.example", "192.0.2.7", undefined],
    );
    await ask(server, PROXY, { path: "/say" });
    const line = await server.until(({ msg }) => msg?.includes("a note") === true);
    assert.equal(line["requestId"], "trace-77");
  });
});
