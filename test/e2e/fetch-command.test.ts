import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { CommandHost } from "../helpers/command-host.ts";
import type { CommandResult } from "../helpers/run-command.ts";
import { startCommand } from "../helpers/run-command.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const PROJECT = {
  "edgicorn.config.mjs": `export default {
    httpsRedirect: true,
    bindings: { HITS: { counter: "hits" }, GREETING: "hello" },
    sites: { "shop.example": {} },
  };`,
  "handlers/users/[id].ts": `
    console.log("on the standard output of a worker");
    export const GET = async (request, { params, env, log }) =>
      Response.json({ ...params, greeting: env.GREETING, hits: await env.HITS.add("a"), url: request.url,
        agent: request.headers.get("user-agent"), from: request.headers.get("x-from") });
    export const POST = async (request) => {
      const bytes = new Uint8Array(await request.arrayBuffer());
      const sum = bytes.reduce((total, byte) => (total + byte) % 65521, 0);
      return new Response([bytes.length, sum, request.headers.get("content-type")].join(), { status: 201 });
    };
    export const PUT = () => { throw new Error("a secret reason"); };
    export const DELETE = () => Response.json({ no: true }, { status: 409 });`,
  "handlers/_middleware.ts": `
    export default async (request, context, next) => {
      const response = await next();
      return new Response(response.body, { status: response.status, headers: { ...Object.fromEntries(response.headers), "x-by": "middleware" } });
    };`,
  "handlers/stream.ts": `
    export default (request, context) => {
      context.waitUntil(new Promise((resolve) => setTimeout(resolve, 50)).then(() => console.log("waited")));
      const texts = ["a", "b", "c"];
      return new Response(new ReadableStream({ pull(controller) {
        const text = texts.shift();
        if (text === undefined) controller.close();
        else controller.enqueue(new TextEncoder().encode(text));
      } }));
    };`,
  // Once its first part was printed.
  "handlers/breaks-off.ts": `
    import { existsSync } from "node:fs";
    export default () => new Response(new ReadableStream({ async pull(controller) {
      if (pulls++ === 0) {
        controller.enqueue(new TextEncoder().encode("part"));
        return;
      }
      while (!existsSync("printed")) await new Promise((resolve) => setTimeout(resolve, 5));
      controller.error(new Error("broken"));
    } }));
    let pulls = 0;`,
  "handlers/never-ends.ts": `
    export default () => new Response(new ReadableStream({ start(controller) {
      controller.enqueue(new TextEncoder().encode("first"));
    } }));`,
  "sites/shop.example/handlers/index.ts": `export default (request) => new Response("shop " + request.url);`,
};

describe("edgicorn fetch", { timeout: 300_000 }, () => {
  const cleanups: (() => void | Promise<void>)[] = [];
  const owner = { after: (callback: () => void | Promise<void>) => void cleanups.push(callback) };
  let dir = "";
  let host: CommandHost;
  const call = (...args: string[]): Promise<CommandResult> => host.run(["fetch", ...args], dir);
  before(() => {
    dir = temporaryFolder(owner);
    for (const [path, text] of Object.entries(PROJECT)) {
      mkdirSync(dirname(join(dir, path)), { recursive: true });
      writeFileSync(join(dir, path), text);
    }
    host = new CommandHost(owner);
  });
  after(async () => {
    for (const callback of cleanups.toReversed()) await callback();
  });

  it("prints the body alone, and keeps the data of bindings", async () => {
    const answers: unknown[] = [];
    for (const fields of [[], ["-H", "x-from: me", "-H", "user-agent: own"]]) {
      const { code, stdout, stderr } = await call("/users/7", ...fields);
      assert.equal(code, 0);
      assert.match(stderr, /on the standard output of a worker/);
      answers.push(JSON.parse(stdout));
    }
    const usual = { id: "7", greeting: "hello", url: "http://localhost/users/7" };
    assert.deepEqual(answers, [
      { ...usual, hits: 1, agent: "edgicorn-fetch", from: null },
      { ...usual, hits: 2, agent: "own", from: "me" },
    ]);
    // The folder of the build is gone, and the stores stay.
    assert.deepEqual(readdirSync(join(dir, ".edgicorn")), ["stores"]);
  });

  it("sends bodies of all sizes, and prints the head", async () => {
    const bytes = Buffer.alloc(
      900_000,
      Uint8Array.from({ length: 251 }, (_, index) => index),
    );
    writeFileSync(join(dir, "large.bin"), bytes);
    const sum = bytes.reduce((total, byte) => (total + byte) % 65521, 0);
    const large = await call(
      "/users/7",
      "-d",
      "@large.bin",
      "-H",
      "content-type: a/b",
      "--include",
    );
    assert.match(large.stdout, /^HTTP\/1\.1 201 Created\n/);
    assert.match(large.stdout, /^x-by: middleware$/m);
    assert.ok(large.stdout.endsWith(`\n\n${bytes.length},${sum},a/b`), large.stdout);
    const small = await call("/users/7", "-d", "a=1", "-d", "b=2");
    assert.equal(small.stdout.split(",")[0], "7");
    assert.match(small.stdout, /urlencoded$/);
  });

  it("exits with 22 for a status from 400 on, with the reason on standard error", async () => {
    const threw = await call("/users/7", "-X", "PUT");
    assert.equal(threw.code, 22);
    assert.doesNotMatch(threw.stdout, /secret reason/);
    assert.match(threw.stderr, /secret reason/);
    const conflict = await call("/users/7", "-X", "DELETE");
    assert.deepEqual([conflict.code, conflict.stdout], [22, '{"no":true}']);
    const missing = await call("/nothing");
    assert.deepEqual([missing.code, missing.stdout], [22, ""]);
    assert.match(
      missing.stderr,
      /^Cannot fetch \/nothing: found no route, expected one of .*\/users\/:id/m,
    );
  });

  it("chooses the site by host", async () => {
    const shop = await call("https://shop.example/");
    assert.deepEqual([shop.code, shop.stdout], [0, "shop https://shop.example/"]);
  });

  it("prints a stream to its end, and waits for promises of waitUntil", async () => {
    const whole = await call("/stream");
    assert.deepEqual([whole.code, whole.stdout], [0, "abc"]);
    assert.match(whole.stderr, /waited/);
    const { child, result } = startCommand(["fetch", "/breaks-off"], dir);
    child.stdout?.once("data", () => writeFileSync(join(dir, "printed"), ""));
    const broken = await result;
    assert.deepEqual([broken.code, broken.stdout], [70, "part"]);
    assert.match(broken.stderr, /Cannot read the whole answer: its body broke off/);
  });

  it("ends a stream without an end at SIGINT, and leaves nothing behind", async () => {
    const { child, result } = startCommand(["fetch", "/never-ends"], dir);
    child.stdout?.once("data", () => child.kill("SIGINT"));
    const { code, stdout } = await result;
    assert.deepEqual([code, stdout], [70, "first"]);
    assert.deepEqual(readdirSync(join(dir, ".edgicorn")), ["stores"]);
  });

  it("refuses what it cannot read", async () => {
    const noFile = await call("/users/7", "-d", "@none.bin");
    assert.equal(noFile.code, 78);
    assert.match(noFile.stderr, /^Cannot read "none\.bin": ENOENT/);
    writeFileSync(join(dir, "handlers/broken.ts"), "export default (");
    const broken = await call("/users/7");
    assert.equal(broken.code, 70);
    assert.match(broken.stderr, /broken\.ts/);
    assert.ok(!existsSync(join(dir, ".edgicorn/generations")));
  });
});
