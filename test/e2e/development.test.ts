import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { CHANGES_PATH } from "../../runtime/lib/html-page.ts";
import { eventually } from "../helpers/eventually.ts";
import { runCommand } from "../helpers/run-command.ts";
import { fieldValue, send } from "../helpers/send.ts";
import { spawnServer, startServer, type TestServer } from "../helpers/start-server.ts";
import { writeAtOnce } from "../helpers/write-at-once.ts";

const HELLO = `export default () => new Response("hello");`;
const BROKEN = `export default () => {\n  const x = "<b>";\n  return new Response(;\n};\n`;
const BROWSER = { accept: "text/html,application/xhtml+xml", "sec-fetch-mode": "navigate" };
const PAGE_FETCH = { accept: "text/html", "sec-fetch-mode": "cors" };
const OLD_BROWSER = { accept: "text/html,application/xhtml+xml" };

function write(server: TestServer, path: string, source: string): void {
  writeAtOnce(join(server.handlersDir, path), source);
}

/** Reloads are the watcher's: what it has seen is told by the log. */
async function next(server: TestServer, what: string, change: () => void): Promise<void> {
  const seen = server.logs.length;
  change();
  await server.until(
    (line) => server.logs.indexOf(line) >= seen && line.msg?.startsWith(what) === true,
  );
}

/**
 * Waits until a path is answered with this text. Two saves that a busy machine sees apart cause two reloads, and the log line that a
 * test waited for may be that of the first one.
 */
async function becomes(
  t: TestContext,
  server: TestServer,
  { path = "/", text, headers = {} }: { path?: string; text: string; headers?: object },
): Promise<void> {
  await eventually(t, async () => {
    const answer = await send(server.http + path, { headers: { ...headers } });
    return answer.text === text;
  });
}

/** Not with `fetch`, which says itself what kind of request it is. */
async function ask(server: TestServer, headers: Record<string, string>): Promise<[number, string]> {
  const { status, text } = await send(server.http, { headers });
  return [status, text];
}

describe("edgicorn dev", { timeout: 600_000 }, () => {
  it("shows in the browser why handlers do not compile, and serves on to all others", async (t) => {
    const server = await startServer(t, {
      command: "dev",
      handlers: { "index.ts": HELLO, "_404.ts": HELLO.replace("hello", "nothing") },
      public: { "style.css": "css" },
      workers: 1,
    });
    assert.equal(fieldValue(await send(server.http), "x-edgicorn-stale"), undefined);
    await next(server, "reload refused", () => write(server, "index.ts", BROKEN));
    for (const headers of [BROWSER, OLD_BROWSER]) {
      const response = await send(`${server.http}/anything`, { headers });
      assert.equal(response.status, 500);
      assert.equal(fieldValue(response, "content-type"), "text/html; charset=utf-8");
      assert.equal(fieldValue(response, "cache-control"), "no-store");
      const page = response.text;
      assert.match(page, /<h1 class="bad">Cannot compile handlers: 1 error<\/h1>/);
      assert.match(page, /<h2>handlers\/index\.ts:3:23<\/h2>\n<p>Unexpected &quot;;&quot;<\/p>/);
      assert.match(page, /2 \| {3}const x = &quot;&lt;b&gt;&quot;;/);
      assert.match(page, /<mark>&gt; {4}3 \| {3}return new Response\(;<\/mark>/);
      assert.match(page, /<\/mark>\n {7}\| {23}<span class="caret">\^<\/span>/);
      assert.ok(!page.includes("<b>"));
    }
    for (const headers of [{}, PAGE_FETCH]) {
      assert.deepEqual(await ask(server, headers), [200, "hello"]);
    }
    const stale = await send(server.http);
    assert.equal(fieldValue(stale, "x-edgicorn-stale"), "handlers do not compile");
    assert.equal((await send(`${server.http}/style.css`, { headers: BROWSER })).text, "css");
    // A program too learns why a route does not exist yet.
    await next(server, "reloaded", () => write(server, "index.ts", HELLO));
    await next(server, "reload refused", () => write(server, "bad.ts", BROKEN));
    const missing = await send(`${server.http}/bad`);
    assert.equal(missing.status, 500);
    assert.equal(fieldValue(missing, "content-type"), "text/plain; charset=utf-8");
    assert.match(missing.text, /^Cannot compile handlers: 1 error\nhandlers\/bad\.ts:3:23: /);
    await next(server, "reloaded", () => rmSync(join(server.handlersDir, "bad.ts")));
    await becomes(t, server, { path: "/bad", text: "nothing" });

    await next(server, "reloaded", () => write(server, "index.ts", HELLO.replace("hello", "new")));
    await becomes(t, server, { text: "new", headers: BROWSER });

    await next(server, "reload refused", () => write(server, "index.ts", "\nthrow Error('top');"));
    const [status, page] = await ask(server, BROWSER);
    assert.equal(status, 500);
    assert.match(page, /<h2>handlers\/index\.ts:2[\d:]*<\/h2>\n<p>Error: top<\/p>/);
    const program = await send(server.http);
    assert.equal(fieldValue(program, "x-edgicorn-stale"), "handlers do not load");

    await next(server, "reloaded", () => write(server, "index.ts", HELLO));
    const configs: [text: string, page: RegExp][] = [
      [
        "export default { worker: 3 };",
        /Cannot use worker in edgicorn\.config\.ts:.*did you mean &quot;workers&quot;/,
      ],
      ["\nexport default {;", /<h2>edgicorn\.config\.ts:2<\/h2>.*export default \{;/s],
    ];
    for (const [text, shown] of configs) {
      await next(server, "reload refused", () =>
        writeAtOnce(join(server.dir, "edgicorn.config.ts"), text),
      );
      const [code, settings] = await ask(server, BROWSER);
      assert.equal(code, 500);
      assert.match(settings, /<h1 class="bad">Cannot use the settings<\/h1>/);
      assert.match(settings, shown);
      const kept = await send(server.http);
      assert.deepEqual([kept.status, kept.text], [200, "hello"]);
      assert.equal(fieldValue(kept, "x-edgicorn-stale"), "settings are wrong");
    }
    await next(server, "reloaded", () => rmSync(join(server.dir, "edgicorn.config.ts")));
    const mended = await send(server.http, { headers: BROWSER });
    assert.deepEqual([mended.status, mended.text], [200, "hello"]);
    assert.equal(fieldValue(mended, "x-edgicorn-stale"), undefined);
  });

  it("lists the routes where none matches, and tells pages when the handlers were built anew", async (t) => {
    const server = await startServer(t, {
      command: "dev",
      handlers: {
        "about.ts": HELLO,
        "users/[id].ts": `export const GET = () => { throw new TypeError("<i>no user</i>"); };`,
      },
      public: { "style.css": "css" },
      workers: 1,
    });
    const page = await send(`${server.http}/abuot`, { headers: BROWSER });
    assert.equal(page.status, 404);
    assert.match(page.text, /Did you mean <a href="\/about">\/about<\/a>\?/);
    assert.match(page.text, /<td>GET, HEAD[^<]*<\/td><td><code>\/users\/:id<\/code>/);
    assert.match(page.text, /handlers\/users\/\[id\]\.ts/);
    const odd = await send(`${server.http}/%3Cscript%3E`, { headers: BROWSER });
    assert.ok(!odd.text.includes("<script>e"), odd.text);
    assert.match(odd.text, /No route for \/&lt;script&gt;/);
    const program = await send(`${server.http}/stlye.css`);
    assert.equal(fieldValue(program, "content-type"), "text/plain; charset=utf-8");
    assert.match(
      program.text,
      /^No route for \/stlye\.css \(404\)\n.*\nDid you mean \/style\.css\?\n$/,
    );

    const failed = await send(`${server.http}/users/1`, { headers: BROWSER });
    assert.equal(failed.status, 500);
    assert.match(failed.text, /<h1 class="bad">TypeError: &lt;i&gt;no user/);
    assert.match(failed.text, /<span class="caret">\^<\/span>/);
    // Frames of ours are behind the toggle only.
    const [shown = "", all = ""] = failed.text.split("<details>");
    assert.ok(!shown.includes("dist/"), shown);
    assert.match(all, /frames of Node and Edgicorn.*dist\//s);
    // The policy lets the page's own script run, and no other.
    const script = /<script>(.*)<\/script>/s.exec(failed.text)?.[1] ?? "";
    const hash = createHash("sha256").update(script).digest("base64");
    const policy = fieldValue(failed, "content-security-policy") ?? "";
    assert.ok(policy.includes(`script-src 'sha256-${hash}'`), policy);
    const form = await send(`${server.http}/users/1`, { method: "POST", headers: BROWSER });
    assert.equal(form.status, 405);

    const changes = async (): Promise<string> => (await send(`${server.http}${CHANGES_PATH}`)).text;
    // A server that started quickly takes its own files for changes, and reloads once.
    let before = "";
    await eventually(t, async () => {
      before = await changes();
      return (await changes()) === before;
    });
    await next(server, "reload", () => write(server, "about.ts", BROKEN));
    await eventually(t, async () => (await changes()) !== before);
    assert.ok(!server.stderr.includes(CHANGES_PATH));
  });

  it("starts although handlers do not compile, and serves them when they do", async (t) => {
    const server = await startServer(t, {
      command: "dev",
      handlers: { "index.ts": `export { default } from "../lib/app.ts";` },
      files: { "lib/app.ts": BROKEN },
      workers: 1,
      flags: ["--health-path", "/health"],
    });
    assert.match(
      server.stderr,
      /waiting for a change of the handlers: Cannot compile.*lib\/app\.ts:3:23/,
    );
    const [status, page] = await ask(server, BROWSER);
    assert.equal(status, 500);
    assert.match(page, /<h2>lib\/app\.ts:3:23<\/h2>/);
    const [code, text] = await ask(server, {});
    assert.equal(code, 500);
    assert.match(text, /^Cannot compile handlers: 1 error\nlib\/app\.ts:3:23: Unexpected ";"\n$/);
    assert.equal((await server.fetch("/health")).status, 503);
    const head = await send(server.http, { method: "HEAD", headers: BROWSER });
    assert.equal(head.status, 500);
    assert.equal((await runCommand(["status"], server.dir)).code, 0);
    assert.match((await runCommand(["generations"], server.dir)).stdout, /^no generations/);

    // It is outside of the handlers: the build that failed has named it.
    await next(server, "reloaded", () => {
      mkdirSync(join(server.dir, "lib"), { recursive: true });
      writeAtOnce(join(server.dir, "lib/app.ts"), HELLO);
    });
    await becomes(t, server, { text: "hello", headers: BROWSER });
    assert.equal((await server.fetch("/health")).status, 200);
  });

  it("sees what is saved while it starts, and what comes to be later", async (t) => {
    const workspace = { name: "plain", version: "1.0.0", main: "i.cjs" };
    const server = spawnServer(t, {
      command: "dev",
      handlers: {
        "index.ts": HELLO,
        "plain.ts": `import plain from "plain"; export default () => new Response(plain);`,
      },
      files: {
        "packages/plain/package.json": JSON.stringify(workspace),
        "packages/plain/i.cjs": `module.exports = "one";`,
      },
      workers: 1,
      publicFromFile: true,
    });
    mkdirSync(join(server.dir, "node_modules"));
    symlinkSync("../packages/plain", join(server.dir, "node_modules/plain"));
    // It has read the handlers, and does not serve yet.
    await server.until(({ msg }) => msg === "worker ready");
    write(server, "index.ts", HELLO.replace("hello", "saved early"));
    await server.until(({ msg }) => msg === "reloaded");
    await becomes(t, server, { text: "saved early" });

    const save = (path: string, text: string) => (): void => {
      mkdirSync(join(server.dir, path, ".."), { recursive: true });
      writeAtOnce(join(server.dir, path), text);
    };
    await next(server, "reloaded", save("public/late.txt", "late"));
    await becomes(t, server, { path: "/late.txt", text: "late" });
    await next(server, "reloaded", save("packages/plain/i.cjs", `module.exports = "two";`));
    await becomes(t, server, { path: "/plain", text: "two" });
    await next(
      server,
      "reloaded",
      save("edgicorn.config.ts", `export default { healthPath: "/up" }`),
    );
    await becomes(t, server, { path: "/up", text: "ok\n" });
    await next(server, "reload refused", () =>
      write(server, "index.ts", `export { default } from "../lib/late.ts";`),
    );
    await next(server, "reloaded", save("lib/late.ts", HELLO));
    await becomes(t, server, { text: "hello" });
    // A site is in its place at once, as from a checkout.
    save("new/a.example/public/page.txt", "site")();
    await next(server, "reloaded", () =>
      renameSync(join(server.dir, "new"), join(server.dir, "sites")),
    );
    await becomes(t, server, { path: "/page.txt", text: "site", headers: { host: "a.example" } });
  });

  it("stops in order while it waits for handlers that compile", async (t) => {
    const server = await startServer(t, { command: "dev", handlers: { "index.ts": BROKEN } });
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });
});

describe("edgicorn start", { timeout: 600_000 }, () => {
  it("shows nobody why a reload was refused", async (t) => {
    const server = await startServer(t, { handlers: { "index.ts": HELLO }, workers: 1 });
    write(server, "index.ts", BROKEN);
    assert.equal((await runCommand(["reload"], server.dir)).code, 70);
    assert.deepEqual(await ask(server, BROWSER), [200, "hello"]);
  });
});
