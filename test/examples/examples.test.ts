import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fieldValue, send } from "../helpers/send.ts";
import { startServer } from "../helpers/start-server.ts";

const ROOT = join(import.meta.dirname, "../..");
const FORM = { "content-type": "application/x-www-form-urlencoded" };

describe("handlers/", { timeout: 600_000 }, () => {
  it("import no package, so that they run without devDependencies", () => {
    const dir = join(ROOT, "handlers");
    const packages = readdirSync(dir, { recursive: true, encoding: "utf8" })
      .filter((name) => /\.tsx?$/.test(name))
      .flatMap((name) => [...readFileSync(join(dir, name), "utf8").matchAll(/ from "([^"]+)"/g)])
      .map(([, specifier = ""]) => specifier)
      .filter((specifier) => !/^(?:\.{1,2}\/|node:|edgicorn$)/.test(specifier));
    assert.deepEqual(packages, []);
  });

  it("answers as its files promise, over HTTP and HTTPS", async (t) => {
    const server = await startServer(t, {
      handlers: join(ROOT, "handlers"),
      public: join(ROOT, "public"),
      https: true,
    });
    for (const origin of [server.http, server.https]) {
      await t.test(`index.ts at ${origin}`, () => checkLandingPage(origin));
      await t.test(`hello.ts at ${origin}`, () => checkHello(origin));
      await t.test(`api/users at ${origin}`, () => checkUsers(origin));
      await t.test(`contact.ts at ${origin}`, () => checkContact(origin));
      await t.test(`_404.ts at ${origin}`, () => checkNotFound(origin));
    }
    const line = await server.until((entry) => entry["messageLength"] === 17);
    assert.equal(line.msg, "contact form received");
    assert.equal(line["route"], "/contact");
    assert.ok(!server.stderr.includes("I wrote a program"), "what clients write stays out of logs");
    // A worker of a busy machine may be late with a sign of life.
    const troubles = server.logs.filter(
      ({ level, silentForMs }) => level !== "info" && silentForMs === undefined,
    );
    assert.deepEqual(troubles, [], "nothing went wrong");
  });
});

async function checkLandingPage(origin: string): Promise<void> {
  const page = await send(`${origin}/`);
  assert.equal(page.status, 200);
  assert.equal(fieldValue(page, "content-type"), "text/html; charset=utf-8");
  assert.match(fieldValue(page, "content-security-policy") ?? "", /^default-src 'none'/);
  assert.match(page.text, /<h1>Put a file in a folder/);
  assert.match(page.text, /Rendered by worker process <code>\d+<\/code>/);
  assert.doesNotMatch(page.text, /https?:\/\/(?!localhost)|<script/, "nothing from elsewhere");
  const links = [...page.text.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, link = ""]) => link);
  assert.ok(links.length >= 6);
  for (const link of links) {
    const { status } = await send(origin + link);
    assert.equal(status, 200, link);
  }
}

async function checkHello(origin: string): Promise<void> {
  const hello = await send(`${origin}/hello`);
  assert.equal(hello.text, "Hello, world!\n");
  const head = await send(`${origin}/hello`, { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(head.text, "");
}

async function checkUsers(origin: string): Promise<void> {
  const all = await send(`${origin}/api/users`);
  assert.equal(fieldValue(all, "content-type"), "application/json");
  assert.match(fieldValue(all, "server-timing") ?? "", /^handler;dur=\d+\.\d\d$/);
  const users = JSON.parse(all.text) as { id: string; name: string }[];
  assert.deepEqual(
    users.map(({ id }) => id),
    ["1", "2", "3"],
  );
  assert.equal((await send(`${origin}/api/users?q=HOPPER`)).text, JSON.stringify([users[1]]));
  assert.equal((await send(`${origin}/api/users?q=nobody`)).text, "[]");
  assert.equal((await send(`${origin}/api/users/3`)).text, JSON.stringify(users[2]));

  const missing = await send(`${origin}/api/users/%22`);
  assert.equal(missing.status, 404);
  assert.deepEqual(JSON.parse(missing.text), { error: 'No user has the id "' });
  const refused = await send(`${origin}/api/users/2`, { method: "POST", body: "{}" });
  assert.equal(refused.status, 405);
  assert.equal(fieldValue(refused, "allow"), "GET, HEAD, OPTIONS");
  const options = await send(`${origin}/api/users`, { method: "OPTIONS" });
  assert.equal(options.status, 204);
  assert.equal(fieldValue(options, "allow"), "GET, HEAD, OPTIONS");
}

async function checkContact(origin: string): Promise<void> {
  const post = (fields: Record<string, string>) => {
    const body = new URLSearchParams(fields).toString();
    return send(`${origin}/contact`, { method: "POST", headers: FORM, body });
  };
  const empty = await send(`${origin}/contact`);
  assert.equal(empty.status, 200);
  assert.match(empty.text, /<form method="post">/);
  assert.doesNotMatch(empty.text, /role="alert"/);

  const again = await post({ name: '"><i>', message: "<b>" });
  assert.equal(again.status, 422);
  assert.match(again.text, /value="&quot;&gt;&lt;i&gt;"/);
  assert.match(again.text, />&lt;b&gt;<\/textarea>/);
  assert.match(again.text, /role="alert">Please write at least 10 characters</);
  assert.match((await post({ name: " ", message: "" })).text, /Please tell us your name/);

  const taken = await post({ name: "Ada & Co", message: "I wrote a program" });
  assert.equal(taken.status, 303);
  assert.equal(taken.text, "");
  const location = fieldValue(taken, "location") ?? "";
  assert.equal(location, "/contact?thanks=Ada+%26+Co");
  assert.match((await send(origin + location)).text, /Thank you, Ada &amp; Co!/);

  const notAForm = await send(`${origin}/contact`, { method: "POST", body: "{}" });
  assert.equal(notAForm.status, 400);
}

async function checkNotFound(origin: string): Promise<void> {
  const plain = await send(`${origin}/nowhere`);
  assert.equal(plain.status, 404);
  assert.equal(plain.text, "Not Found\n");
  const page = await send(`${origin}/%3Cb%3E`, { headers: { accept: "text/html" } });
  assert.equal(page.status, 404);
  assert.match(page.text, /<h1>Nothing here<\/h1>/);
  assert.doesNotMatch(page.text, /<b>/);
}
