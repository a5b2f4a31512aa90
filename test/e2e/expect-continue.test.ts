import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { STREAMING_HANDLERS } from "../fixtures/streaming-handlers.ts";
import { isNodeEngine } from "../helpers/engine.ts";
import { fieldOf } from "../helpers/raw-connection.ts";
import { startServer } from "../helpers/start-server.ts";

const HANDLERS = {
  ...STREAMING_HANDLERS,
  "spooled.ts": `
    export const config = { bodyBufferBytes: 10, overflow: "spool" };
    export { default } from "./echo.ts";`,
};

function head(path: string, ...fields: string[]): string {
  return [`POST ${path} HTTP/1.1`, "Host: a", ...fields, "", ""].join("\r\n");
}

describe("Expect: 100-continue", { timeout: 300_000 }, () => {
  it("is answered 100 before the body, wherever the body goes", async (t) => {
    const server = await startServer(t, { handlers: HANDLERS });
    const body = randomBytes(300_000);
    let connection = await server.connect();
    for (const path of ["/echo", "/spooled", "/echo"]) {
      connection.send(head(path, `Content-Length: ${body.length}`, "Expect: 100-continue"));
      assert.equal((await connection.response({ head: true })).status, 100);
      connection.send(body);
      const response = await connection.response();
      assert.equal(response.status, 200);
      assert.ok(response.body.equals(body));
      // An echo that begins before the client has sent the whole body announces that the connection ends.
      if (fieldOf(response, "connection") === "close") connection = await server.connect();
    }
  });

  it("is followed by the refusal, which does not wait for the body", async (t) => {
    const server = await startServer(t, { handlers: HANDLERS, flags: ["--body-limit", "1kb"] });
    for (const [path, status] of [
      ["/echo", 413],
      ["/spooled", 413],
      ["/nowhere", 404],
    ] as const) {
      const connection = await server.connect();
      connection.send(head(path, "Content-Length: 2000", "Expect: 100-continue"));
      // The Node engine leaves out the 100, since no handler wants the body.
      if (!isNodeEngine()) assert.equal((await connection.response({ head: true })).status, 100);
      const refusal = await connection.response();
      assert.equal(refusal.status, status);
      assert.equal(fieldOf(refusal, "connection"), "close");
      connection.destroy();
    }
  });

  it("is not waited for by a server that a client does not wait for", async (t) => {
    const server = await startServer(t, { handlers: HANDLERS });
    const connection = await server.connect();
    connection.send(`${head("/spooled", "Content-Length: 11", "Expect: 100-continue")}hello hello`);
    assert.equal((await connection.response({ head: true })).status, 100);
    assert.equal(String((await connection.response()).body), "hello hello");
    // In other letters, or another expectation: there is no 100, and the body is taken all the same.
    if (isNodeEngine()) {
      connection.send(`${head("/spooled", "Content-Length: 5", "Expect: 100-Continue")}hello`);
      assert.equal((await connection.response({ head: true })).status, 100);
      assert.equal(String((await connection.response()).body), "hello");
      connection.send(`${head("/spooled", "Content-Length: 5", "Expect: miracles")}hello`);
      assert.equal((await connection.response()).status, 417);
      return;
    }
    for (const value of ["100-Continue", "miracles"]) {
      connection.send(`${head("/spooled", "Content-Length: 5", `Expect: ${value}`)}hello`);
      assert.equal(String((await connection.response()).body), "hello");
    }
  });
});
