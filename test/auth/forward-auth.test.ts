import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import pino from "pino";
import { CheckClient } from "../../runtime/auth/check-client.ts";
import { ForwardAuth, type ForwardAuthOptions } from "../../runtime/auth/forward-auth.ts";
import { WaitingRequests } from "../../runtime/auth/waiting-requests.ts";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { applyFilters, toRefusal } from "../../runtime/http/reply.ts";
import { findField } from "../../runtime/http/find-field.ts";
import { parseTarget } from "../../runtime/http/target-path.ts";
import { FakeClient } from "../dispatch/fake-client.ts";
import type { Owner } from "../helpers/temporary-folder.ts";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Starts a service that answers like this. Returns its URL, and the requests that it got. */
async function startService(
  t: Owner,
  answer: Answer,
): Promise<{ url: URL; requests: IncomingMessage[] }> {
  const requests: IncomingMessage[] = [];
  const server = createServer((incoming, response) => {
    requests.push(incoming);
    answer(incoming, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  // A server on a port has such an address.
  const { port } = server.address() as AddressInfo;
  return { url: new URL(`http://127.0.0.1:${port}/check?a=b`), requests };
}

interface Asked {
  client: FakeClient;
  /** `true`: the request passed. */
  passed: boolean;
  lines: string[];
}

/** Lets a request ask the service, and waits until it is decided. */
async function ask(
  url: URL,
  {
    client = new FakeClient(1),
    ...options
  }: Partial<ForwardAuthOptions> & { client?: FakeClient } = {},
): Promise<Asked> {
  const checks = new CheckClient(url);
  const lines: string[] = [];
  const auth = new ForwardAuth({
    log: pino({}, { write: (line: string) => lines.push(line) }),
    spool: null,
    blocks: new BlockPool(),
    waiting: new WaitingRequests(),
    name: url.href,
    ask: (_, fields, signal) => checks.ask(fields, signal),
    copy: ["x-user", "x-email"],
    copyToReply: [],
    requestFields: null,
    timeoutMs: 60_000,
    ...options,
  });
  const target = parseTarget(client.head.target);
  assert.ok(target.ok);
  const passed = await new Promise<boolean>((resolve) => {
    const reply = client.reply.bind(client);
    const refuse = client.refuse.bind(client);
    client.reply = (...args): void => {
      reply(...args);
      resolve(false);
    };
    client.refuse = (...args): void => {
      refuse(...args);
      resolve(false);
    };
    const responder = auth.check(client, () => resolve(true));
    if (responder !== "done") responder.answer(client, target);
  });
  return { client, passed, lines };
}

function request(fields: string): FakeClient {
  const client = new FakeClient(1);
  client.head.fields = `host\nexample.com${fields}`;
  client.head.clientAddress = "192.0.2.1";
  client.head.origin = "https://example.com:8443";
  return client;
}

const upgrade: Answer = (_, { socket }) =>
  void socket?.write("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");

describe("ForwardAuth", { timeout: 60_000 }, () => {
  it("passes a request with the copied fields of the answer, and never with the client's", async (t) => {
    const { url, requests } = await startService(t, (_, response) => {
      response.writeHead(204, { "X-User": "ann", "X-Role": "admin" }).end();
    });
    const target = "/public/..//%2e/staff/%2F?a=//b";
    const client = request(
      "\nx-user\nforged\nx_user\nforged\nX_Email\nforged\nx-email\nforged\nx-role\nown\nrange\nbytes=0-1\nif-none-match\n*\nx-forwarded-for\nforged\nx_forwarded_uri\nforged\ncookie\na=b",
    );
    client.head.target = target;
    const asked = await ask(url, { client });
    assert.equal(asked.passed, true);
    assert.equal(client.head.target, target);
    assert.equal(
      client.head.fields,
      "x-user\nann\nhost\nexample.com\nx-role\nown\nrange\nbytes=0-1\nif-none-match\n*\nx-forwarded-for\nforged\nx_forwarded_uri\nforged\ncookie\na=b",
    );
    const [got] = requests;
    assert.ok(got !== undefined);
    const { host, connection, ...rest } = got.headers;
    assert.deepEqual(
      [got.method, got.url, host, connection],
      ["GET", "/check?a=b", url.host, "keep-alive"],
    );
    assert.deepEqual(rest, {
      "x-role": "own",
      cookie: "a=b",
      "x-forwarded-method": "GET",
      "x-forwarded-proto": "https",
      "x-forwarded-host": "example.com:8443",
      "x-forwarded-uri": "/staff/%2F?a=//b",
      "x-forwarded-for": "192.0.2.1",
      "x-original-method": "GET",
      "x-original-uri": "/staff/%2F?a=//b",
    });
  });

  it("passes 401, 403 and redirects on, with fields and body", async (t) => {
    const answers: [number, Record<string, string>][] = [
      [401, { "WWW-Authenticate": "Bearer" }],
      [403, { "Content-Type": "text/html" }],
      [302, { Location: "https://login.example.com/?a=b" }],
    ];
    for (const [status, fields] of answers) {
      const { url } = await startService(t, (_, response) => {
        response.writeHead(status, { ...fields, "Set-Cookie": "a=b" }).end("text");
      });
      const { client, passed } = await ask(url, { client: request("\nx-user\nforged") });
      const [outcome] = client.outcomes;
      assert.ok(!passed && outcome?.kind === "answered");
      const { response } = outcome;
      assert.equal(response.status, status);
      for (const [name, value] of Object.entries({ ...fields, "set-cookie": "a=b" })) {
        assert.equal(findField(response.fields, name.toLowerCase()), value);
      }
      assert.doesNotMatch(response.fields, /connection|transfer-encoding|content-length|^date/m);
      assert.equal(String(response.body), "text");
      assert.equal(findField(client.head.fields, "x-user"), undefined);
    }
  });

  it("denies after any other answer, and where there is none", async (t) => {
    const cases: [name: string, answer: Answer, reason: RegExp][] = [
      ["500", (_, response) => response.writeHead(500).end(), /status 500/],
      ["404", (_, response) => response.writeHead(404).end(), /status 404/],
      ["304", (_, response) => response.writeHead(304).end(), /status 304/],
      ["no answer", (_, response) => response.destroy(), /socket hang up/],
      ["101", upgrade, /status 101/],
      [
        "half an answer",
        (_, response) => {
          response.writeHead(200, { "content-length": 9 });
          response.write("a", () => response.destroy());
        },
        /aborted/,
      ],
      ["too large", (_, response) => response.end(Buffer.alloc(2 * 1024 * 1024)), /more than/],
    ];
    for (const [name, answer, reason] of cases) {
      const { url } = await startService(t, answer);
      const { client, passed, lines } = await ask(url);
      assert.equal(passed, false, name);
      assert.deepEqual(
        client.outcomes,
        [{ kind: "refused", status: 502, retryAfterSeconds: undefined }],
        name,
      );
      assert.match(lines.join(""), reason);
    }
    const overloaded = await startService(t, (_, response) => response.writeHead(503).end());
    const { client } = await ask(overloaded.url);
    assert.deepEqual(client.outcomes, [{ kind: "refused", status: 503, retryAfterSeconds: 1 }]);
    const { passed, lines } = await ask(new URL("http://127.0.0.1:1/"));
    assert.equal(passed, false);
    assert.match(lines.join(""), /ECONNREFUSED/);
  });

  it("denies when the service takes too long", async (t) => {
    const { url } = await startService(t, () => {});
    const { client, lines } = await ask(url, { timeoutMs: 1 });
    assert.deepEqual(client.outcomes, [
      { kind: "refused", status: 502, retryAfterSeconds: undefined },
    ]);
    assert.match(lines.join(""), /no answer within 1 ms/);
  });

  it("gives up the check when the client leaves", async (t) => {
    const watched = new EventEmitter();
    const left = once(watched, "left");
    const client = request("");
    const { url } = await startService(t, (incoming) => {
      incoming.on("close", () => watched.emit("left"));
      client.leave();
    });
    void ask(url, { client });
    await left;
    assert.deepEqual(client.outcomes, [{ kind: "left" }]);
  });

  it("asks again on a fresh connection when the service closed an idle one", async (t) => {
    let count = 0;
    const { url, requests } = await startService(t, (incoming, response) => {
      count++;
      if (count === 2) incoming.socket.destroy();
      else response.writeHead(200).end();
    });
    const checks = new CheckClient(url);
    const { signal } = new AbortController();
    assert.equal((await checks.ask([], signal)).status, 200);
    // The event loop returns the connection to the agent.
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await checks.ask([], signal)).status, 200);
    assert.equal(requests.length, 3);
  });

  it("holds the body of a request meanwhile", async (t) => {
    const client = new FakeClient(1, { method: "POST", bodyBytes: 4 });
    const { url } = await startService(t, (_, response) => {
      client.sendBody(Buffer.from("body"));
      response.writeHead(200).end();
    });
    const { passed } = await ask(url, { client });
    assert.equal(passed, true);
    const received: string[] = [];
    client.receiveBody({
      chunk: (bytes) => received.push(String(Buffer.from(bytes))),
      end: () => received.push("end"),
    });
    assert.deepEqual(received, ["body", "end"]);
  });

  it("sends only the fields that it is told to, also such as the service replaces", async (t) => {
    const { url, requests } = await startService(t, (_, response) => {
      response.writeHead(200, { authorization: "Bearer new", "set-cookie": ["a=1", "b=2"] }).end();
    });
    const client = request("\nauthorization\nBearer old\ncookie\na=b\nx-a\nb");
    const options = {
      copy: ["authorization"],
      copyToReply: ["set-cookie"],
      requestFields: ["cookie", "authorization"],
    };
    await ask(url, { client, ...options });
    const { cookie, authorization, "x-a": other } = requests[0]?.headers ?? {};
    assert.deepEqual([cookie, authorization, other], ["a=b", "Bearer old", undefined]);
    assert.equal(findField(client.head.fields, "authorization"), "Bearer new");
    const { fields } = applyFilters(toRefusal(404), client);
    assert.match(fields, /\nset-cookie\na=1\nset-cookie\nb=2$/);
  });
});
