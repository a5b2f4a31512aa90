import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { join } from "node:path";
import { once } from "node:events";
import { describe, it, type TestContext } from "node:test";
import type { Status } from "../../runtime/control/operations.ts";
import type { LiveSnapshot } from "../../runtime/live/snapshot.ts";
import { askServer } from "../helpers/ask-server.ts";
import { BrowserPage, hasBrowser } from "../helpers/browser.ts";
import { eventually } from "../helpers/eventually.ts";
import { shareServer } from "../helpers/shared-server.ts";
import { runCommand, startCommand } from "../helpers/run-command.ts";
import type { TestServer } from "../helpers/start-server.ts";

const TOKEN = "a-token-of-the-operators";
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };

const getServer = shareServer({
  workers: 2,
  handlers: {
    "index.ts": 'export default () => new Response("hello");',
    "fails.ts": `export default () => {
      const user: { name: string } | null = JSON.parse("null");
      return new Response(user!.name);
    };`,
    "held.ts": `import { existsSync } from "node:fs";
      import { setTimeout } from "node:timers/promises";
      export const config = { pool: "held" };
      export default async () => {
        while (!existsSync("release")) await setTimeout(10);
        return new Response("released");
      };`,
  },
  files: {
    "edgicorn.config.json": JSON.stringify({
      admin: 0,
      adminToken: TOKEN,
      queueLimit: 3,
      queueTimeout: "10m",
      requestTimeout: "10m",
      pools: { held: { concurrency: 1 } },
    }),
  },
});

async function adminOf(server: TestServer): Promise<string> {
  const { address } = await server.until(({ msg }) => msg === "admin listener is open");
  return `http://${String(address)}`;
}

/** Follows the events of the admin listener until a snapshot passes a check. */
async function untilSnapshot(
  t: TestContext,
  server: TestServer,
  check: (snapshot: LiveSnapshot) => boolean,
): Promise<LiveSnapshot> {
  const response = await fetch(`${await adminOf(server)}/live`, {
    headers: AUTHORIZED,
    signal: t.signal,
  });
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  assert.ok(response.body !== null);
  let text = "";
  // The body of a response yields bytes.
  for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(bytes).toString("utf8");
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      const snapshot = JSON.parse(event.replace(/^data: /, "")) as LiveSnapshot;
      if (check(snapshot)) return snapshot;
    }
  }
  return assert.fail("the stream has no end");
}

async function act(
  server: TestServer,
  name: string,
  { body = "", fields = {} }: { body?: string; fields?: Record<string, string> } = {},
): Promise<{ status: number; text: string }> {
  const response = await fetch(`${await adminOf(server)}/${name}`, {
    method: "POST",
    headers: { ...AUTHORIZED, "x-edgicorn-action": name, ...fields },
    body,
  });
  return { status: response.status, text: await response.text() };
}

describe("the status page", { timeout: 240_000 }, () => {
  it("names failures with error, file and line, and has percentiles by route", async (t) => {
    const server = await getServer();
    for (let count = 0; count < 5; count++) await server.fetch("/");
    const failed = await server.fetch("/fails?token=secret");
    assert.equal(failed.status, 500);
    const snapshot = await untilSnapshot(
      t,
      server,
      ({ windowMs, failures }) => windowMs > 0 && failures.length > 0,
    );
    const [failure] = snapshot.failures;
    assert.deepEqual(
      [failure?.count, failure?.status, failure?.method, failure?.route, failure?.path],
      [1, 500, "GET", "/fails", "/fails"],
    );
    assert.match(failure?.message ?? "", /^TypeError: Cannot read properties of null/);
    assert.match(failure?.place ?? "", /handlers\/fails\.ts:3$/);
    const root = snapshot.routes.find(({ route }) => route === "/");
    assert.ok((root?.sinceStart?.p99Ms ?? 0) > 0);
    assert.equal(root?.requests, 5);
    assert.doesNotMatch(JSON.stringify(snapshot), /secret/);
    const { stdout } = await askServer(["status", "--json"], server.dir);
    const { live } = JSON.parse(stdout) as Status;
    assert.equal(live?.failures[0]?.place, failure?.place);
    const text = (await askServer(["status"], server.dir)).stdout;
    assert.match(
      text,
      /recent failures:\n +\S+ \S+ ago +once +500 +GET \/fails +handlers\/fails\.ts:3 +TypeError/,
    );
  });

  it("acts with token, field and site only, as the commands do", async (t) => {
    const server = await getServer();
    const admin = await adminOf(server);
    const denied = await fetch(`${admin}/reload`, {
      method: "POST",
      headers: { "x-edgicorn-action": "reload" },
    });
    assert.equal(denied.status, 401);
    const cases: Record<string, string>[] = [
      { "x-edgicorn-action": "drain" },
      { origin: "https://evil.example" },
      { "sec-fetch-site": "cross-site" },
    ];
    for (const fields of cases) assert.equal((await act(server, "reload", { fields })).status, 403);
    assert.equal((await fetch(`${admin}/reload`, { headers: AUTHORIZED })).status, 405);
    assert.equal((await act(server, "drain", { body: "{" })).status, 400);
    assert.equal((await act(server, "recycle", { body: '{"worker": 999}' })).status, 422);
    assert.equal((await act(server, "recycle", { body: "x".repeat(9_000) })).status, 413);

    const { generation } = JSON.parse((await act(server, "reload")).text) as { generation: string };
    await untilSnapshot(t, server, (now) => now.server.generation === generation);

    const drained = await act(server, "drain", { body: '{"draining": true}' });
    assert.deepEqual(JSON.parse(drained.text), { draining: true });
    assert.equal((await fetch(`${admin}/readyz`)).status, 503);
    assert.equal((await server.fetch("/")).status, 200, "it serves on");
    assert.match((await askServer(["status"], server.dir)).stdout, /^warning: draining/);
    assert.match((await askServer(["drain", "off"], server.dir)).stdout, /^in rotation/);
    assert.equal((await fetch(`${admin}/readyz`)).status, 200);

    const before = await untilSnapshot(t, server, ({ workers }) =>
      workers.some(({ state, pool }) => state === "ready" && pool === "default"),
    );
    const worn = before.workers.find(({ pool }) => pool === "default")?.id ?? 0;
    const recycled = await askServer(["recycle", String(worn), "--json"], server.dir);
    assert.deepEqual(JSON.parse(recycled.stdout), { worker: worn, pool: "default" });
    const after = await untilSnapshot(
      t,
      server,
      ({ workers }) =>
        !workers.some(({ id }) => id === worn) &&
        workers.filter(({ pool, state }) => pool === "default" && state === "ready").length === 2,
    );
    assert.deepEqual(
      after.events.slice(0, 4).map(({ kind }) => kind),
      ["recycle", "drain", "drain", "reload"],
    );
    assert.deepEqual((await askServer(["recycle", "999"], server.dir)).code, 78);
  });

  it("prints the same figures with top, without a terminal", async () => {
    const { dir } = await getServer();
    const printed = await runCommand(["top", "--json"], dir);
    const snapshot = JSON.parse(printed.stdout) as LiveSnapshot;
    assert.deepEqual([printed.code, printed.stderr, snapshot.windowMs > 0], [0, "", true]);
    const text = await runCommand(["top"], dir);
    assert.match(text.stdout, /^edgicorn .*\nrequests .*p99/);
    assert.match(text.stdout, /^worker +pool +state +oldest request/m);
    const following = startCommand(["top", "--json", "--interval", "1s"], dir);
    assert.ok(following.child.stdout !== null);
    await Promise.race([untilData(following.child.stdout), following.result]);
    following.child.kill("SIGTERM");
    const { code, stdout } = await following.result;
    assert.equal(code, 0);
    for (const line of stdout.trim().split("\n")) assert.doesNotThrow(() => JSON.parse(line));
    const wrong = await runCommand(["top", "--interval", "10ms"], dir);
    assert.deepEqual([wrong.code, /--interval/.test(wrong.stderr)], [78, true]);
  });

  it("drops readers that leave or take nothing, and bounds them", async (t) => {
    const server = await getServer();
    const { port } = new URL(await adminOf(server));
    const head = `GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${TOKEN}\r\n\r\n`;
    const readers = await Promise.all(
      Array.from({ length: 16 }, async () => {
        const socket = createConnection(Number(port), "127.0.0.1");
        t.after(() => socket.destroy());
        socket.write(head);
        await untilData(socket);
        return socket;
      }),
    );
    const asked = await fetch(`${await adminOf(server)}/live`, {
      method: "HEAD",
      headers: AUTHORIZED,
    });
    assert.deepEqual([asked.status, asked.headers.get("content-type")], [200, "text/event-stream"]);
    const refused = await fetch(`${await adminOf(server)}/live`, { headers: AUTHORIZED });
    assert.deepEqual(
      [refused.status, await refused.text()],
      [503, "too many clients watch this server\n"],
    );
    for (const socket of readers) socket.destroy();
    await eventually(t, async () => {
      const leaving = new AbortController();
      const again = await fetch(`${await adminOf(server)}/live`, {
        headers: AUTHORIZED,
        signal: leaving.signal,
      });
      leaving.abort();
      return again.status === 200;
    });
  });

  it(
    "shows charts and buttons in Chromium while the queue is full",
    { skip: !hasBrowser() && "Chromium is not installed" },
    async (t) => {
      const server = await getServer();
      const held = Array.from({ length: 8 }, () =>
        server.fetch("/held").then(({ status }) => status),
      );
      const page = await BrowserPage.open(t, { width: 1280, height: 900, fields: AUTHORIZED });
      await page.visit(`${await adminOf(server)}/`);
      await page.until(`document.querySelector("#problems")?.textContent.includes("queueLimit")
        || document.querySelector("#tables")?.textContent.includes("queueLimit")`);
      // Four requests are refused; one is with the worker, and three wait for it.
      await page.until(`[...document.querySelectorAll("#tiles > div")]
        .some((tile) => tile.textContent.startsWith("Queue3"))`);
      await page.until(`[...document.querySelectorAll("canvas")].filter((canvas) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.some((value) => value > 0);
      }).length === 3`);
      assert.match(
        String(await page.evaluate(`document.querySelector("#tables").textContent`)),
        /GET \/held/,
      );
      // By keyboard: the dialog has the focus on its Cancel.
      const recycle = `[...document.querySelectorAll("button")].find((button) => button.textContent.startsWith("Recycle"))`;
      await page.evaluate(`${recycle}.focus()`);
      await page.press("Enter");
      await page.until(`document.querySelector("dialog").open`);
      assert.equal(await page.evaluate("document.activeElement.textContent"), "Cancel");
      await page.press("Enter");
      await page.until(`!document.querySelector("dialog").open`);
      assert.equal(await page.evaluate(`document.querySelector("#outcome").hidden`), true);
      await page.evaluate(`${recycle}.click()`);
      await page.evaluate(`document.querySelector("#confirm-yes").click()`);
      await page.until(`document.querySelector("#outcome").textContent.includes("Recycle: done")`);
      await page.until(
        `document.querySelector("#tables").textContent.includes("is replaced on command")`,
      );
      // Sorts by any column.
      await page.evaluate(
        `[...document.querySelectorAll("th button")].find(({ textContent }) => textContent === "route").click()`,
      );
      assert.equal(
        await page.evaluate(`document.querySelectorAll('th[aria-sort="ascending"]').length > 0`),
        true,
      );
      writeFileSync(join(server.dir, "release"), "");
      const statuses = await Promise.all(held);
      assert.deepEqual(
        statuses.toSorted((one, other) => one - other),
        [200, 200, 200, 200, 503, 503, 503, 503],
      );
      assert.deepEqual(page.complaints, []);
    },
  );
});

/** Waits for the first bytes of a stream. */
async function untilData(stream: NodeJS.EventEmitter): Promise<void> {
  await once(stream, "data");
}
