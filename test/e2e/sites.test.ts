import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { TLSSocket } from "node:tls";
import { makeCertificate } from "../engine/uws/openssl.ts";
import { askServer } from "../helpers/ask-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { send } from "../helpers/send.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** A handler that names its folder and the worker's process. */
function handler(name: string): string {
  return `export default async (request, { params }) => {
    const bytes = (await request.arrayBuffer()).byteLength;
    return Response.json({ name: "${name}", params, bytes, pid: process.pid });
  };`;
}

const FILES = {
  "sites/one.example/public/index.html": "one",
  "sites/one.example/public/one.txt": "one",
  "sites/one.example/handlers/users/[id].ts": handler("one"),
  "sites/one.example/handlers/_404.ts": `export default () => new Response("none of one", { status: 404 });`,
  "two/index.html": "two",
  "handlers-of-two/users/[name].ts": handler("two"),
};

const SITES = {
  "one.example": {
    aliases: ["www.one.example", "*.one.example"],
    bodyLimit: 8,
    accessLog: "one.log",
    accessLogFormat: "$host $request_uri $status",
  },
  "*.two.example": {
    aliases: ["two.example", "[::1]"],
    public: "two",
    handlers: "handlers-of-two",
    pool: "shared",
  },
  "shared.example": { public: "two", handlers: "handlers-of-two", pool: "shared" },
  "empty.example": { public: false, accessLog: false },
};

/** The status of the health path while a busy machine keeps the worker silent for a second. */
const LATE = 503;

/** Asks a server for a path at a host. */
async function ask(server: TestServer, host: string, path = "/"): Promise<[number, string]> {
  const { status, text } = await send(server.http + path, { headers: { host } });
  return [status, text];
}

interface User {
  name: string | number;
  params: object;
  pid: number;
}

describe("sites", { timeout: 300_000 }, () => {
  it("answer for their hosts, and change in one reload or not at all", async (t) => {
    const write = (config: object): void =>
      writeFileSync(join(server.dir, "edgicorn.config.json"), JSON.stringify(config));
    const server = await startServer(t, {
      handlers: {
        "index.ts": `export default () => new Response("default")`,
        "users/me.ts": handler("default"),
      },
      files: {
        ...FILES,
        "edgicorn.config.json": JSON.stringify({ sites: SITES, healthPath: "/up" }),
      },
      workers: 1,
    });
    const answers: [host: string, path: string, status: number, text: string | null][] = [
      ["one.example", "/", 200, "one"],
      ["ONE.Example.:8080", "/", 200, "one"],
      ["www.one.example", "/one.txt", 200, "one"],
      ["any.one.example", "/one.txt", 200, "one"],
      ["one.example", "/nothing", 404, "none of one"],
      ["one.example", "/users", 404, "none of one"],
      ["a.b.one.example", "/one.txt", 404, null],
      ["a.b.one.example", "/", 200, "default"],
      ["two.example", "/", 200, "two"],
      ["x.two.example:99", "/", 200, "two"],
      ["x.two.example", "/one.txt", 404, null],
      ["[::1]:80", "/", 200, "two"],
      ["shared.example", "/", 200, "two"],
      // Handlers are those of the default site only.
      ["empty.example", "/", 404, null],
      ["unknown.example", "/", 200, "default"],
      ["127.0.0.1", "/", 200, "default"],
    ];
    for (const [host, path, status, text] of answers) {
      const [found, body] = await ask(server, host, path);
      assert.deepEqual([found, text === null ? null : body], [status, text], `${host} ${path}`);
    }

    const users = async (host: string, init?: Parameters<typeof send>[1]) => {
      const { status, text } = await send(`${server.http}/users/me`, {
        headers: { host },
        ...init,
      });
      // The shape of the handlers above.
      return status === 200 ? (JSON.parse(text) as User) : { name: status, params: {}, pid: 0 };
    };
    const own = await users("one.example");
    assert.deepEqual([own.name, own.params], ["one", { id: "me" }]);
    const [two, shared] = [await users("two.example"), await users("shared.example")];
    assert.deepEqual([two.name, two.params, shared.name], ["two", { name: "me" }, "two"]);
    assert.equal(two.pid, shared.pid, "two sites share a pool");
    const byDefault = await users("unknown.example");
    assert.deepEqual([byDefault.name, byDefault.params], ["default", {}]);
    assert.equal(new Set([own.pid, two.pid, byDefault.pid]).size, 3, "three pools");
    assert.equal((await users("empty.example")).name, 404);
    // A limit of one site.
    const large = { method: "POST", body: "123456789" };
    assert.equal(
      (await users("one.example", { ...large, headers: { host: "one.example" } })).name,
      413,
    );
    assert.equal(
      (await users("two.example", { ...large, headers: { host: "two.example" } })).name,
      "two",
    );

    const status = await askServer(["status"], server.dir);
    assert.match(
      status.stdout,
      /^4 sites: \*\.two\.example \(1 route\), empty\.example, one\.example \(1 route\)/m,
    );

    await server.untilAccess({ host: "two.example", path: "/users/me", status: 200 });
    const logged = new Set(server.accessLines.map(({ host }) => host));
    assert.ok(!logged.has("one.example") && !logged.has("empty.example"), [...logged].join());
    const ofOne = join(server.dir, "one.log");
    await eventually(t, () => readFileSync(ofOne, "utf8").includes("one.example /users/me 413\n"));
    assert.match(readFileSync(ofOne, "utf8"), /^one\.example \/ 200\n/);

    // Only the pool of the changed site gets new workers.
    writeFileSync(join(server.dir, "sites/one.example/handlers/users/[id].ts"), handler("new one"));
    const changed = await askServer(["reload", "--json"], server.dir);
    const { pools } = JSON.parse(changed.stdout) as { pools: { name: string; change: string }[] };
    assert.deepEqual(
      pools.map(({ name, change }) => `${name} ${change}`),
      ["default kept", "shared kept", "site-one-example replaced"],
    );
    assert.equal((await users("one.example")).name, "new one");
    assert.equal((await users("two.example")).pid, two.pid);

    // One wrong site refuses the whole reload.
    mkdirSync(join(server.dir, "three"));
    writeFileSync(join(server.dir, "three/index.html"), "three");
    const next = {
      ...SITES,
      "one.example": { public: "three" },
      "three.example": { public: "three" },
    };
    write({ sites: { ...next, "four.example": { bodyLimit: "much" } }, unknownHost: "refuse" });
    const refused = await askServer(["reload"], server.dir);
    assert.equal(refused.code, 78);
    assert.match(refused.stderr, /Cannot use sites\["four\.example"\]\.bodyLimit in edgicorn/);
    assert.deepEqual(await ask(server, "one.example"), [200, "one"]);
    assert.deepEqual(await ask(server, "three.example"), [200, "default"]);

    write({ sites: next, unknownHost: "refuse", healthPath: "/up" });
    const reloaded = await askServer(["reload"], server.dir);
    assert.equal(reloaded.code, 0, reloaded.stderr);
    assert.deepEqual(await ask(server, "one.example"), [200, "three"]);
    assert.deepEqual(await ask(server, "three.example"), [200, "three"]);
    assert.deepEqual(await ask(server, "shared.example"), [200, "two"]);
    assert.equal((await ask(server, "www.one.example"))[0], 421);
    assert.equal((await ask(server, "unknown.example"))[0], 421);
    // A balancer asks by address.
    let up: [number, string] = [0, ""];
    await eventually(t, async () => (up = await ask(server, "127.0.0.1", "/up"))[0] !== LATE);
    assert.deepEqual(up, [200, "ok\n"]);
    await server.untilAccess({ host: "unknown.example", status: 421 });
  });

  it("have certificates of their own, which decide about hosts of a connection", async (t) => {
    const dir = temporaryFolder(t);
    mkdirSync(join(dir, "two"));
    makeCertificate({ base: join(dir, "one"), altNames: "DNS:one.example" });
    makeCertificate({ base: join(dir, "two/x"), altNames: "DNS:two.example,DNS:also.example" });
    const sites = {
      "one.example": { certs: { cert: join(dir, "one.crt"), key: join(dir, "one.key") } },
      "two.example": { aliases: ["also.example"], certs: join(dir, "two") },
      "bare.example": {},
      "[::1]": {},
    };
    const config = { sites, unknownHost: "refuse", healthPath: "/up" };
    const server = await startServer(t, {
      handlers: { "index.ts": `export default () => new Response("default")` },
      files: { "edgicorn.config.json": JSON.stringify(config) },
      workers: 1,
      https: true,
    });
    const { msg } = await server.until((line) => line.msg?.startsWith("No certificate") === true);
    assert.equal(msg, "No certificate has the names bare.example: browsers refuse HTTPS there");
    /** Returns the status of the health path, which every site answers, and the certificate's first name. */
    const tellOnce = (servername: string, host: string): Promise<[number, string | undefined]> =>
      new Promise((resolve, reject) => {
        const options = { servername, headers: { host }, agent: false, rejectUnauthorized: false };
        const sent = request(`https://127.0.0.1:${server.port("https")}/up`, options, (answer) => {
          // A connection over TLS has such a socket.
          const { subjectaltname } = (answer.socket as TLSSocket).getPeerCertificate();
          answer.resume();
          resolve([answer.statusCode ?? 0, subjectaltname?.split(",")[0]]);
        });
        sent.once("error", reject);
        sent.end();
      });
    const tell: typeof tellOnce = async (servername, host) => {
      let told: Awaited<ReturnType<typeof tellOnce>> = [0, undefined];
      await eventually(t, async () => (told = await tellOnce(servername, host))[0] !== LATE);
      return told;
    };
    assert.deepEqual(await tell("one.example", "one.example"), [200, "DNS:one.example"]);
    assert.deepEqual(await tell("also.example", "two.example"), [200, "DNS:two.example"]);
    assert.deepEqual(await tell("one.example", "two.example:8443"), [421, "DNS:one.example"]);
    assert.deepEqual(await tell("one.example", "bare.example"), [200, "DNS:one.example"]);
    await assert.rejects(tell("unknown.example", "one.example"), /disconnected|handshake|alert/);

    const { unknownHost: _, ...open } = config;
    writeFileSync(join(server.dir, "edgicorn.config.json"), JSON.stringify(open));
    assert.equal((await askServer(["reload"], server.dir)).code, 0);
    assert.deepEqual(await tell("unknown.example", "unknown.example"), [200, "DNS:one.example"]);
    assert.deepEqual(await tell("unknown.example", "two.example"), [421, "DNS:one.example"]);
    assert.deepEqual(await tell("two.example", "two.example"), [200, "DNS:two.example"]);
  });
});
