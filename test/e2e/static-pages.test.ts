import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fieldOf } from "../helpers/raw-connection.ts";
import { startServer } from "../helpers/start-server.ts";

const HTML = "text/html,*/*;q=0.8";

describe("pages of the public folder", { timeout: 180_000 }, () => {
  it("answer where no route does", async (t) => {
    const server = await startServer(t, {
      handlers: {
        "api/user.ts": `export default () => new Response("handler")`,
        "admin/_404.ts": `export default () => new Response("handler's 404", { status: 404 })`,
      },
      public: {
        "index.html": "app",
        "404.html": "root 404",
        "docs/404.html": "docs 404",
        "docs/a.txt": "a",
        "files/b.txt": "b",
        "files/.secret": "s",
        "files/sub/c.txt": "c",
        "app.3f9a1c2b.js": "js",
      },
      flags: ["--spa", "on", "--listing", "on", "--clean-urls", "redirect"],
    });
    const ask = async (line: string, accept: string) => {
      const connection = await server.connect();
      const fields = accept === "" ? [] : [`Accept: ${accept}`];
      connection.send([`${line} HTTP/1.1`, "Host: localhost", ...fields, "", ""].join("\r\n"));
      const response = await connection.response({ head: line.startsWith("HEAD ") });
      return { ...response, text: String(response.body) };
    };
    const rows: [line: string, accept: string, status: number, text: string | RegExp][] = [
      ["GET /", HTML, 200, "app"],
      ["GET /deep/link", HTML, 200, "app"],
      ["HEAD /deep/link", HTML, 200, ""],
      ["GET /v1.2/link", HTML, 200, "app"],
      // A program gets no page: rows of data, a script, a form.
      ["GET /deep/link", "application/json", 404, /^Not Found/],
      ["GET /assets/old.js", "*/*", 404, /^Not Found/],
      ["GET /assets/old.js", HTML, 404, "root 404"],
      ["POST /deep/link", HTML, 404, /^Not Found/],
      ["GET /api/user", HTML, 200, "handler"],
      ["GET /api/%ff", HTML, 200, "app"],
      // Handlers' fallbacks come after the application, and before the page.
      ["GET /admin/x", HTML, 200, "app"],
      ["GET /admin/x.js", HTML, 404, "handler's 404"],
      ["GET /docs/x/y.html", HTML, 404, "docs 404"],
      ["GET /docs/x", "", 404, "docs 404"],
      ["GET /404.html", HTML, 301, ""],
      ["GET /files", HTML, 301, ""],
      ["GET /files/", HTML, 200, /b\.txt/],
      ["GET /files/", "application/json", 200, /"name":"sub","type":"directory"/],
      ["GET /app.3f9a1c2b.js", "*/*", 200, "js"],
    ];
    for (const [line, accept, status, text] of rows) {
      const response = await ask(line, accept);
      const row = `${line} (${accept}): ${response.text.slice(0, 200)}`;
      assert.equal(response.status, status, row);
      if (typeof text === "string") assert.equal(response.text, text, row);
      else assert.match(response.text, text, row);
    }
    const fieldsOf = async (line: string, accept: string, name: string) =>
      fieldOf(await ask(line, accept), name);
    assert.equal(await fieldsOf("GET /deep/link", HTML, "cache-control"), "no-cache");
    assert.equal(await fieldsOf("GET /deep/link", HTML, "vary"), "accept");
    assert.equal(await fieldsOf("GET /assets/old.js", "*/*", "cache-control"), "no-store");
    assert.equal(await fieldsOf("GET /assets/old.js", HTML, "cache-control"), "no-store");
    assert.equal(await fieldsOf("GET /assets/old.js", HTML, "etag"), undefined);
    assert.match(
      (await fieldsOf("GET /app.3f9a1c2b.js", "*/*", "cache-control")) ?? "",
      /immutable/,
    );
    assert.equal(await fieldsOf("GET /files?a=b", HTML, "location"), "/files/?a=b");
    assert.ok(!(await ask("GET /files/", HTML)).text.includes("secret"));
  });
});
