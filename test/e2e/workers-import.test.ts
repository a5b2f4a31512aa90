import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { runCommand } from "../helpers/run-command.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** A project as it is deployed to Cloudflare Workers: nothing in it is about this server. */
const PROJECT: Readonly<Record<string, string>> = {
  "wrangler.toml": `
name = "board"
main = "worker/main.ts"
compatibility_date = "2025-06-01"

[vars]
TITLE = "Notes"
LEVELS = { high = [1, 2] }

[[kv_namespaces]]
binding = "NOTES"
id = "0f2ac74b"

[[queues.producers]]
binding = "JOBS"
queue = "jobs"

[[queues.consumers]]
queue = "jobs"
max_batch_size = 1
max_retries = 0
dead_letter_queue = "jobs-dead"

[[queues.consumers]]
queue = "jobs-dead"

[triggers]
crons = ["30 4 * * *"]

[[services]]
binding = "SELF"
service = "board"

[[services]]
binding = "MAIL"
service = "mail"

[assets]
directory = "./client"
binding = "FILES"
not_found_handling = "single-page-application"
run_worker_first = ["/private/*", "!/private/open/*"]
`,
  ".dev.vars": "TOKEN=only-for-the-test\n",
  "client/index.html": "<h1>one page</h1>",
  "client/app.js": "console.log(1);",
  "client/app.js.map": "source",
  "client/drafts/deep/a.txt": "draft",
  "client/drafts/deep/b.txt": "done",
  "client/.assetsignore": "*.map\n/drafts/**/*.txt\n!b.txt\n",
  "client/private/report.txt": "report",
  "client/private/open/terms.txt": "terms",
  "worker/page.html": "<p>text</p>",
  "worker/main.ts": `
    import { WorkerEntrypoint } from "cloudflare:workers";
    import page from "./page.html";

    export default class Board extends WorkerEntrypoint<Env> {
      async fetch(request: Request): Promise<Response> {
        const { NOTES, JOBS, FILES, SELF, MAIL, TITLE, TOKEN, LEVELS } = this.env;
        const { pathname, searchParams } = new URL(request.url);
        if (pathname === "/title") return Response.json([TITLE, page, LEVELS.high[1]]);
        if (pathname === "/mail") return MAIL.fetch("http://mail/hello");
        if (pathname === "/self") return SELF.fetch("http://board/title");
        if (pathname.startsWith("/private/")) {
          const isKnown = request.headers.get("authorization") === "Bearer " + TOKEN;
          return isKnown ? FILES.fetch(request) : new Response("no entry", { status: 403 });
        }
        const name = pathname.slice("/notes/".length);
        if (request.method === "PUT") {
          await NOTES.put(name, await request.text());
          return new Response(null, { status: 204 });
        }
        if (request.method === "POST") {
          await JOBS.send({ note: name, fails: searchParams.has("fails") });
          return new Response(null, { status: 202 });
        }
        const note = pathname.startsWith("/notes/") ? await NOTES.get(name) : null;
        return new Response(note ?? "no note", { status: note === null ? 404 : 200 });
      }

      async queue(batch: MessageBatch<{ note: string; fails: boolean }>): Promise<void> {
        for (const { body } of batch.messages) {
          if (body.fails && batch.queue === "jobs") throw new Error("as the test asks");
          await this.env.NOTES.put(body.note, "done by " + batch.queue);
        }
      }

      async scheduled(controller: ScheduledController): Promise<void> {
        await this.env.NOTES.put("cron", controller.cron);
      }
    }
  `,
};

describe("edgicorn import wrangler.toml", { timeout: 300_000 }, () => {
  const [servers, folders] = [new SuiteOwner(), new SuiteOwner()];
  after(async () => {
    // A server that still runs would write into its folder.
    try {
      await servers.end();
    } finally {
      await folders.end();
    }
  });
  let imported: Promise<string> | null = null;
  const folder = (): Promise<string> => (imported ??= importProject(folders));
  let started: Promise<TestServer> | null = null;
  const start = (): Promise<TestServer> =>
    (started ??= folder().then((cwd) => serve(servers, cwd)));

  it("makes a config with which the project passes the check", async () => {
    const flags = ["--http", "0", "--https", "off"];
    const { code, stdout, stderr } = await runCommand(["check", ...flags], await folder());
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^ok: /);
    assert.doesNotMatch(stderr, /warn/i);
  });

  it("makes a project of files alone pass the check, too", async (t) => {
    const dir = temporaryFolder(t);
    mkdirSync(join(dir, "dist"));
    writeFileSync(join(dir, "dist/index.html"), "hi");
    writeFileSync(join(dir, "wrangler.toml"), 'assets = { directory = "dist" }\n');
    const done = await runCommand(["import", "wrangler.toml"], dir);
    assert.equal(done.code, 0, done.stdout + done.stderr);
    const { code, stdout, stderr } = await runCommand(["check", "--http", "0"], dir);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^ok: 0 routes/);
  });

  it("serves variables, imported text and a call of itself", async () => {
    const server = await start();
    const expected = ["Notes", "<p>text</p>", 2];
    assert.deepEqual(await (await server.fetch("/title")).json(), expected);
    assert.deepEqual(await (await server.fetch("/self")).json(), expected);
  });

  it("calls the project beside it, which no visitor reaches", async () => {
    const server = await start();
    assert.equal(await (await server.fetch("/mail")).text(), "mail /hello");
    const own = "GET /hello HTTP/1.1\r\nHost: mail.internal\r\nConnection: close\r\n\r\n";
    const answer = await server.raw(own);
    assert.match(answer, /^HTTP\/1\.1 404 /);
    assert.doesNotMatch(answer, /mail \/hello/);
  });

  it("keeps values", async () => {
    const server = await start();
    const put = await server.fetch("/notes/a", { method: "PUT", body: "milk" });
    assert.equal(put.status, 204);
    assert.equal(await (await server.fetch("/notes/a")).text(), "milk");
    assert.equal((await server.fetch("/notes/none")).status, 404);
  });

  it("receives both queues", async (t) => {
    const server = await start();
    const noteOf = async (name: string): Promise<string> =>
      (await server.fetch(`/notes/${name}`)).text();
    assert.equal((await server.fetch("/notes/job", { method: "POST" })).status, 202);
    assert.equal((await server.fetch("/notes/dead?fails", { method: "POST" })).status, 202);
    await eventually(t, async () => (await noteOf("job")) === "done by jobs");
    await eventually(t, async () => (await noteOf("dead")) === "done by jobs-dead");
  });

  it("runs at its times", async () => {
    const server = await start();
    const { code, stderr } = await runCommand(["cron", "run", "/**:path"], await folder());
    assert.equal(code, 0, stderr);
    assert.equal(await (await server.fetch("/notes/cron")).text(), "30 4 * * *");
  });

  /** Sends a request with fields that `fetch` of Node does not let a caller set. */
  const ask = async (line: string, fields = ""): Promise<string> =>
    (await start()).raw(`${line} HTTP/1.1\r\nHost: board\r\nConnection: close\r\n${fields}\r\n`);
  const PAGE = "Sec-Fetch-Mode: navigate\r\nAccept: text/html\r\n";

  it("answers with files, and with the page of the application where a visitor opens one", async () => {
    assert.match(await ask("GET /app.js"), /^HTTP\/1\.1 200 [^]*console\.log\(1\);$/);
    assert.match(await ask("GET /deep/link", PAGE), /^HTTP\/1\.1 200 [^]*one page/);
    assert.match(await ask("GET /title", PAGE), /^HTTP\/1\.1 200 [^]*one page/);
    assert.match(await ask("GET /deep/link"), /^HTTP\/1\.1 404 [^]*no note$/);
    const form = `${PAGE}Content-Length: 0\r\n`;
    assert.match(await ask("POST /notes/form", form), /^HTTP\/1\.1 202 /);
  });

  it("asks the module in place of files that .assetsignore names", async () => {
    const paths = [
      "/app.js.map",
      "//app.js.map",
      "/APP.js.map",
      "/drafts/deep/a.txt",
      "/.assetsignore",
    ];
    for (const path of paths) {
      assert.match(await ask(`GET ${path}`), /^HTTP\/1\.1 404 [^]*no note$/, path);
    }
    assert.match(await ask("GET /drafts/deep/b.txt"), /^HTTP\/1\.1 200 [^]*done$/);
  });

  it("asks the module before it sends files that the project guards", async () => {
    const paths = [
      "/private/report.txt",
      "/%70rivate/report.txt",
      "//private/report.txt",
      "/x/../private/report.txt",
      "/private//report.txt",
    ];
    for (const path of paths) {
      for (const fields of ["", PAGE, "Upgrade: x\r\n", `${PAGE}Upgrade: x\r\n`]) {
        const refused = await ask(`GET ${path}`, fields);
        assert.match(refused, /^HTTP\/1\.1 (?:403|404|400) /, path);
        assert.doesNotMatch(refused, /\r\n\r\n[^]*report$/, path);
      }
    }
    const token = "Authorization: Bearer only-for-the-test\r\n";
    assert.match(await ask("GET /private/report.txt", token), /^HTTP\/1\.1 200 [^]*report$/);
    assert.match(await ask("GET /private/open/terms.txt"), /^HTTP\/1\.1 200 [^]*terms$/);
  });
});

/** Another project beside it, which its module calls. */
const OTHER: Readonly<Record<string, string>> = {
  "wrangler.json": '{ "name": "mail", "main": "./index.ts" }',
  "index.ts": `
    export default {
      fetch: (request: Request): Response => new Response("mail " + new URL(request.url).pathname),
    };
  `,
};

/** Writes the project into a folder of its own, which it returns, and imports it there. */
async function importProject(owner: SuiteOwner): Promise<string> {
  const parent = temporaryFolder(owner);
  const dir = join(parent, "board");
  mkdirSync(join(parent, "other"));
  for (const [name, text] of Object.entries(OTHER)) {
    writeFileSync(join(parent, "other", name), text);
  }
  for (const [name, text] of Object.entries(PROJECT)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  const { code, stdout, stderr } = await runCommand(["import", "wrangler.toml"], dir);
  // A secret is left to look at, and the bindings of the other project.
  assert.equal(code, 1, stdout + stderr);
  assert.match(stdout, /2 lines need a look/);
  for (const [name, text] of Object.entries(PROJECT)) {
    assert.equal(readFileSync(join(dir, name), "utf8"), text, "the project is as it was");
  }
  return dir;
}

function serve(owner: SuiteOwner, cwd: string): Promise<TestServer> {
  const handlers = join(cwd, "handlers");
  return startServer(owner, { handlers, publicFromFile: true, cwd });
}
