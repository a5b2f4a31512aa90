import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { findPython, skipWithoutPython } from "../helpers/python.ts";
import { type LogLine, startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";

const skip = skipWithoutPython();

/** A WSGI application whose answer is an expression. */
function wsgi(expression: string): string {
  return [
    "from ._shared import NAME",
    "def application(environ, start_response):",
    '    start_response("200 OK", [("Content-Type", "text/plain")])',
    `    return [repr((${expression})).encode()]`,
    "",
  ].join("\n");
}

const PLACE = 'NAME, environ["SCRIPT_NAME"], environ["PATH_INFO"]';

const ASGI = `
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    place = scope["root_path"], scope["path"], scope.get("path_params")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": repr(place).encode()})
`;

function reloaded({ msg }: LogLine): boolean {
  return msg === "reloaded";
}

function refused({ msg }: LogLine): boolean {
  return msg?.startsWith("reload refused") === true;
}

describe("Python files as handlers", { timeout: 600_000, skip }, () => {
  const owner = new SuiteOwner();
  let server: TestServer;

  before(async () => {
    server = await startServer(owner, {
      handlers: {
        "hello.js": 'export default () => new Response("hello");',
        "legacy/[...path].py": wsgi(`${PLACE}, __name__`),
        "legacy/_shared.py": 'NAME = "shared"',
        "api/_shared.py": "NAME = 1",
        "api/[id].get.py": wsgi(`${PLACE}, environ["wsgiorg.routing_args"]`),
        "users/[id]/[...path].py": ASGI,
        "helpers.py": "VALUE = 1",
      },
      workers: 1,
      flags: ["--python", findPython() ?? "python3"],
    });
  });
  after(() => owner.end());

  const rows: [method: string, path: string, status: number, body: string][] = [
    ["GET", "/hello", 200, "hello"],
    ["GET", "/legacy", 200, "('shared', '/legacy', '', 'handlers.legacy.[___path]')"],
    ["POST", "/legacy/a%20b/", 200, "('shared', '/legacy', '/a b/', 'handlers.legacy.[___path]')"],
    ["GET", "/api/7", 200, "(1, '/api/7', '', ((), {'id': '7'}))"],
    ["GET", "/api/a%2Fb/", 200, "(1, '/api/a/b', '/', ((), {'id': 'a/b'}))"],
    ["HEAD", "/api/7", 200, ""],
    ["POST", "/api/7", 405, "Method Not Allowed\n"],
    ["OPTIONS", "/api/7", 204, ""],
    ["GET", "/users/7/x%20y", 200, "('/users/7', '/users/7/x y', {'id': '7', 'path': 'x y'})"],
    ["GET", "/helpers", 404, "Not Found\n"],
  ];
  for (const [method, path, status, body] of rows) {
    it(`answers ${method} ${path}`, async () => {
      const response = await server.fetch(path, { method });
      assert.deepEqual([response.status, await response.text()], [status, body]);
      if (status === 405) assert.equal(response.headers.get("allow"), "GET, HEAD, OPTIONS");
    });
  }

  it("follows a change, refuses a broken file, and lists the file as the handler", async () => {
    const file = join(server.handlersDir, "legacy/[...path].py");
    writeFileSync(file, "app = 1 / 0");
    server.kill("SIGHUP");
    const reason = JSON.stringify(await server.until(refused));
    assert.match(reason, /Cannot load the application handlers\/legacy\/\[\.\.\.path\]\.py/);
    assert.match(reason, /handlers\/legacy\/\[\.\.\.path\]\.py:1: ZeroDivisionError/);
    assert.match(await (await server.fetch("/legacy")).text(), /shared/);
    writeFileSync(file, wsgi('"changed"'));
    server.kill("SIGHUP");
    await server.until(reloaded);
    assert.equal(await (await server.fetch("/legacy")).text(), "'changed'");
  });
});
