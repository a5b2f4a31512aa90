import assert from "node:assert/strict";
import { existsSync, lstatSync, statSync, writeFileSync } from "node:fs";
import { type IncomingMessage, request, type RequestOptions } from "node:http";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { describe, it, type TestContext } from "node:test";
import { type AdminPage, toText } from "../../runtime/admin/admin-page.ts";
import { AdminServer, type AdminServerOptions } from "../../runtime/admin/admin-server.ts";
import { createLivePage } from "../../runtime/admin/live-page.ts";
import type { LiveReader } from "../../runtime/live/live-feed.ts";
import { createHealthPages } from "../../runtime/admin/health-pages.ts";
import { digestOf } from "../../runtime/config/admin-token.ts";
import { toError } from "../../runtime/lib/errors.ts";
import { STARTING } from "../../runtime/observe/readiness.ts";
import { createFakeLog, type FakeLog } from "../helpers/fake-log.ts";
import { RawConnection } from "../helpers/raw-connection.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const TOKEN = "correct-horse-battery";

const PAGES: AdminPage[] = [
  ...createHealthPages(() => STARTING),
  {
    path: "/echo",
    methods: ["GET"],
    access: "operator",
    about: "answers with its query",
    answer: ({ query }) => toText(200, query.get("say") ?? ""),
  },
  {
    path: "/act",
    methods: ["POST"],
    access: "operator",
    about: "acts",
    answer: () => Promise.resolve(toText(202, "done")),
  },
  {
    path: "/breaks",
    methods: ["GET"],
    access: "operator",
    about: "has a bug",
    answer: () => Promise.reject(new Error("bug")),
  },
];

interface Opened {
  admin: AdminServer;
  log: FakeLog;
  /** The bound address. */
  address: () => string;
}

async function open(t: TestContext, options: Partial<AdminServerOptions> = {}): Promise<Opened> {
  const log = createFakeLog();
  const admin = await AdminServer.open({
    address: { kind: "tcp", host: "127.0.0.1", port: 0 },
    log: log.log,
    tokenDigest: () => null,
    pages: PAGES,
    isSuccessor: false,
    ...options,
  });
  t.after(() => admin.close());
  return { admin, log, address: () => addressIn(log) };
}

function addressIn({ lines }: FakeLog): string {
  return String(lines.find(({ msg }) => msg === "admin listener is open")?.["address"]);
}

async function ask(
  { address }: Pick<Opened, "address">,
  path: string,
  options: RequestOptions = {},
): Promise<{ status: number | undefined; fields: Record<string, unknown>; body: string }> {
  const place = address();
  const where = place.startsWith("unix:")
    ? { socketPath: place.slice("unix:".length) }
    : { host: "127.0.0.1", port: Number(place.split(":").at(-1)) };
  const asking = request({ ...where, path, agent: false, ...options }).end();
  // Of this event the types say only that it has arguments.
  const [response] = (await once(asking, "response")) as [IncomingMessage];
  return { status: response.statusCode, fields: response.headers, body: await text(response) };
}

describe("AdminServer", { timeout: 60_000 }, () => {
  it("answers its pages by path and method, and lists them", async (t) => {
    const opened = await open(t);
    const echo = await ask(opened, "/echo?say=a%20b&x");
    assert.deepEqual([echo.status, echo.body], [200, "a b"]);
    assert.equal(echo.fields["cache-control"], "no-store");
    assert.equal(echo.fields["x-content-type-options"], "nosniff");
    const head = await ask(opened, "/echo?say=abc", { method: "HEAD" });
    assert.deepEqual([head.status, head.fields["content-length"], head.body], [200, "3", ""]);
    assert.equal((await ask(opened, "/act", { method: "POST" })).body, "done");
    const wrong = await ask(opened, "/act");
    assert.deepEqual([wrong.status, wrong.fields["allow"]], [405, "POST"]);
    assert.match((await ask(opened, "/")).body, /^\/livez +200 while the primary runs\n\/readyz /);
    const post = await ask(opened, "/", { method: "POST" });
    assert.deepEqual([post.status, post.fields["allow"]], [405, "GET, HEAD"]);
    const none = await ask(opened, "/metrics/");
    assert.equal(none.status, 404);
    assert.equal(
      none.body,
      "Cannot find /metrics/: expected one of /livez, /readyz, /echo, /act, /breaks\n",
    );
    assert.equal((await ask(opened, "/livez")).status, 200);
    assert.equal((await ask(opened, "/readyz?verbose")).body, "[-] server: starting\nnot ready\n");
  });

  it("survives a page with a bug, garbage, and clients that leave", async (t) => {
    const opened = await open(t);
    assert.deepEqual((await ask(opened, "/breaks")).status, 500);
    assert.ok(opened.log.lines.some(({ msg }) => msg === "admin page failed"));
    const port = Number(opened.address().split(":").at(-1));
    const garbage = await RawConnection.open(port);
    garbage.send("\0\x16\x03\x01 nonsense\r\n\r\n");
    assert.match(await garbage.untilClosed(), /^HTTP\/1.1 400 /);
    for (const part of ["GET /echo HT", "GET /act HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"]) {
      const left = await RawConnection.open(port);
      left.send(part);
      left.socket.destroy();
    }
    assert.equal((await ask(opened, "/echo?say=on")).body, "on");
  });

  it("asks for the token that is set at the moment, except of probes", async (t) => {
    let tokenDigest: string | null = digestOf(TOKEN);
    const opened = await open(t, { tokenDigest: () => tokenDigest });
    const refused = await ask(opened, "/echo");
    assert.equal(refused.status, 401);
    assert.match(String(refused.fields["www-authenticate"]), /Bearer realm="edgicorn", Basic/);
    // A path that is no page does not show more.
    assert.equal((await ask(opened, "/none")).status, 401);
    assert.equal((await ask(opened, "/")).status, 401);
    assert.equal((await ask(opened, "/livez")).status, 200);
    const headers = { authorization: `Bearer ${TOKEN}` };
    assert.equal((await ask(opened, "/echo", { headers })).status, 200);
    tokenDigest = digestOf("another-token-of-operators");
    assert.equal((await ask(opened, "/echo", { headers })).status, 401);
  });

  it("ends a stream whose token is revoked or changed", async (t) => {
    const readers: LiveReader[] = [];
    let tokenDigest: string | null = digestOf(TOKEN);
    const live = createLivePage(() => async (reader) => {
      readers.push(reader);
      reader.send('{"number":0}');
      return () => void readers.splice(readers.indexOf(reader), 1);
    });
    const opened = await open(t, { tokenDigest: () => tokenDigest, pages: [live] });
    const port = Number(opened.address().split(":").at(-1));
    const headers = { authorization: `Bearer ${TOKEN}` };
    const asking = request({ host: "127.0.0.1", port, path: "/live", agent: false, headers }).end();
    // Of this event the types say only that it has arguments.
    const [response] = (await once(asking, "response")) as [IncomingMessage];
    const events = response.setEncoding("utf8")[Symbol.asyncIterator]();
    assert.equal((await events.next()).value, 'data: {"number":0}\n\n');
    const [reader] = readers;
    reader?.send('{"number":1}');
    assert.equal((await events.next()).value, 'data: {"number":1}\n\n');
    tokenDigest = digestOf("another-token-of-operators");
    reader?.send('{"number":2}');
    await assert.rejects(async () => events.next(), { code: "ECONNRESET" });
    assert.equal(readers.length, 0, "its reader is gone");
  });

  it("refuses hosts that an attacker can point at it", async (t) => {
    const opened = await open(t);
    const headers = { host: "evil.example" };
    assert.equal((await ask(opened, "/echo", { headers })).status, 421);
  });

  it("binds a socket for its owner alone, in the place of a dead one, and removes it", async (t) => {
    const path = `${temporaryFolder(t)}/admin.sock`;
    const address = { kind: "unix", path } as const;
    const first = await open(t, { address });
    assert.equal((await ask(first, "/echo?say=1")).body, "1");
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const taken = await open(t, { address }).then(() => null, toError);
    assert.match(taken?.message ?? "", /another server has the socket, expected a free address/);

    // A successor takes the place in one step. The first one then leaves the file alone.
    const second = await open(t, { address, isSuccessor: true });
    assert.equal((await ask(first, "/echo?say=1")).body, "1");
    second.admin.takeOver();
    await second.log.until(({ msg }) => msg === "admin listener is open");
    first.admin.close();
    assert.equal((await ask(second, "/echo?say=2")).body, "2");
    second.admin.close();
    assert.equal(existsSync(path), false);

    writeFileSync(path, "a file of the operator");
    const refused = await open(t, { address }).then(() => null, toError);
    assert.match(refused?.message ?? "", /admin.sock is there and no socket/);
    assert.ok(lstatSync(path).isFile());
  });

  it("names the owner of a port in use, and waits for it as a successor", async (t) => {
    const first = await open(t);
    const port = Number(first.address().split(":").at(-1));
    const address = { kind: "tcp", host: "127.0.0.1", port } as const;
    const taken = await open(t, { address }).then(() => null, toError);
    assert.match(
      taken?.message ?? "",
      /^Cannot open the admin listener on 127.0.0.1:\d+: the port is in use by/,
    );
    const second = await open(t, { address, isSuccessor: true });
    second.admin.takeOver();
    assert.equal((await ask(first, "/echo?say=1")).body, "1");
    first.admin.close();
    await second.log.until(({ msg }) => msg === "admin listener is open");
    assert.equal((await ask(second, "/echo?say=2")).body, "2");
  });
});
