import assert from "node:assert/strict";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { buildGeneration } from "../../runtime/generation/build.ts";
import { eventually } from "../helpers/eventually.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

/** Answers at once; or once a file is there; or with a stream that ends once a file is there. Each says its version. */
function handlerOf(version: number): string {
  return `
    import { existsSync } from "node:fs";
    const isThere = async (file) => {
      while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    export default async (request, { log, waitUntil }) => {
      const { searchParams } = new URL(request.url);
      const file = searchParams.get("file");
      switch (searchParams.get("how")) {
        case "late":
          log.info({ file }, "began");
          await isThere(file);
          return new Response("version ${version}");
        case "stream":
          return new Response(new ReadableStream({
            start(controller) { controller.enqueue(new TextEncoder().encode("version ${version}")); },
            async pull(controller) { await isThere(file); controller.close(); },
          }));
        case "afterwards":
          waitUntil(isThere(file).then(() => log.info("written")));
          return new Response("version ${version}");
        default:
          return new Response("version ${version}");
      }
    }`;
}

/** A server whose handlers say how often they were changed. */
class VersionedServer {
  readonly server: TestServer;
  #version = 1;

  private constructor(server: TestServer) {
    this.server = server;
  }

  static async start(t: TestContext, flags: readonly string[] = []): Promise<VersionedServer> {
    const handlers = { "index.ts": handlerOf(1) };
    const quiet = ["--log-level", "debug", "--access-log", "off"];
    const options = { handlers, workers: 1, flags: [...quiet, ...flags] };
    return new VersionedServer(await startServer(t, options));
  }

  /** Asks for something that ends when `release` is called with this name. */
  hold(how: "late" | "stream" | "afterwards", name: string): Promise<Response> {
    return this.server.fetch(`/?how=${how}&file=${this.#file(name)}`);
  }

  /** Waits until the handler of a late answer has begun. */
  async untilBegan(name: string): Promise<void> {
    await this.server.until(({ msg, file }) => msg === "began" && file === this.#file(name));
  }

  release(name: string): void {
    writeFileSync(this.#file(name), "");
  }

  async reload(): Promise<void> {
    const { server } = this;
    writeFileSync(join(server.handlersDir, "index.ts"), handlerOf(++this.#version));
    const reloads = (): number => server.logs.filter(({ msg }) => msg === "reloaded").length;
    const before = reloads();
    server.kill("SIGHUP");
    await server.until(() => reloads() > before);
  }

  #file(name: string): string {
    return join(this.server.dir, name);
  }
}

function generationsOf(server: TestServer): string[] {
  return readdirSync(join(server.dir, ".edgicorn/generations"));
}

function leasesOf(server: TestServer): string[] {
  return generationsOf(server)
    .flatMap((id) => namesIn(join(server.dir, ".edgicorn/generations", id)))
    .filter((name) => name.startsWith("lease-"));
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    // Removed since the folder above it was read.
    return [];
  }
}

const SHORT_GRACE = ["--drain-grace", "100ms"];

/** Long enough for a grace of 100 ms to have ended what it ends. */
const AFTER_GRACE_MS = 500;

describe("a generation", { timeout: 180_000 }, () => {
  it("stays as long as a server runs it, however often others build the same handlers", async (t) => {
    const { server: first } = await VersionedServer.start(t);
    const { handlersDir, dir } = first;
    const order = { handlersDir, stateDir: join(dir, ".edgicorn"), mode: "production" } as const;
    for (let count = 0; count < 6; count++) await buildGeneration(order);
    // Its own folder, and the five newest ones.
    assert.equal(generationsOf(first).length, 6);

    const [[, pid] = [0, 0]] = first.workers;
    process.kill(pid, "SIGKILL");
    await first.until(({ msg, workerId }) => msg === "worker ready" && workerId === 2);
    assert.equal(await (await first.fetch("/")).text(), "version 1");
  });

  it("is given free when the server has ended", async (t) => {
    const versioned = await VersionedServer.start(t);
    const { server } = versioned;
    assert.deepEqual(leasesOf(server), [`lease-${server.pid}`]);
    await versioned.reload();
    await versioned.reload();
    // Its own, and the one that a rollback goes to.
    await eventually(t, () => leasesOf(server).length === 2);
    server.kill("SIGTERM");
    await server.exit;
    assert.deepEqual(leasesOf(server), []);
  });

  it("that was replaced answers what it has, however short the grace of a stop is", async (t) => {
    const versioned = await VersionedServer.start(t, SHORT_GRACE);
    const late = versioned.hold("late", "late");
    await versioned.untilBegan("late");
    const stream = await versioned.hold("stream", "stream");
    await versioned.reload();
    assert.equal(await (await versioned.server.fetch("/")).text(), "version 2");
    await delay(AFTER_GRACE_MS);
    versioned.release("late");
    versioned.release("stream");
    const response = await late;
    assert.deepEqual([response.status, await response.text()], [200, "version 1"]);
    assert.equal(await stream.text(), "version 1");
    await versioned.server.until(({ msg }) => msg === "worker exited");
  });

  it("that was replaced too often is ended, the younger ones are not", async (t) => {
    const versioned = await VersionedServer.start(t, SHORT_GRACE);
    const streams: Response[] = [];
    for (let version = 1; version <= 5; version++) {
      streams.push(await versioned.hold("stream", "all"));
      await versioned.reload();
    }
    await versioned.server.until(({ msg }) => msg?.startsWith("closing an old pool") === true);
    const [oldest, ...others] = streams;
    await assert.rejects(async () => await oldest?.text());
    versioned.release("all");
    const texts = await Promise.all(others.map((stream) => stream.text()));
    assert.deepEqual(texts, ["version 2", "version 3", "version 4", "version 5"]);
  });

  it("that was replaced finishes what it left to waitUntil() when the server stops", async (t) => {
    const versioned = await VersionedServer.start(t);
    const { server } = versioned;
    await (await versioned.hold("afterwards", "go")).text();
    await versioned.reload();
    server.kill("SIGTERM");
    await server.until(({ msg }) => msg?.startsWith("stopping") === true);
    // The one that serves is gone first: it had nothing to do.
    await server.until(({ msg, workerId }) => msg === "worker exited" && workerId === 2);
    versioned.release("go");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assert.ok(server.logs.some(({ msg }) => msg === "written"));
    assert.deepEqual(leasesOf(server), []);
  });

  it("that is being started does not hold up a stop", async (t) => {
    const { server } = await VersionedServer.start(t);
    const source = `console.error("loading"); await new Promise(() => setInterval(() => {}, 1000));`;
    writeFileSync(join(server.handlersDir, "index.ts"), source);
    server.kill("SIGHUP");
    await server.until(({ msg }) => msg === "loading");
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    // The stop waited neither for the boot timeout nor for the grace.
    assert.ok(!server.logs.some(({ setting }) => setting === "drainGrace"));
    assert.doesNotMatch(server.stderr, /bootTimeout/);
    assert.ok(server.logs.some(({ msg }) => msg?.startsWith("reload given up") === true));
    assert.deepEqual(leasesOf(server), []);
  });
});
