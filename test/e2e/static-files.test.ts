import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { CHANGES_PATH } from "../../runtime/lib/html-page.ts";
import { eventually } from "../helpers/eventually.ts";
import { openFilesOf, residentBytesOf } from "../helpers/proc.ts";
import { fieldOf, type RawConnection, type RawResponse } from "../helpers/raw-connection.ts";
import { startServer } from "../helpers/start-server.ts";

const BIG = randomBytes(10 * 1024 * 1024);

const HANDLERS = {
  "index.ts": `export default () => new Response("from the handler")`,
  "page.txt.ts": `export default () => new Response("from the handler")`,
};

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function ask(
  connection: RawConnection,
  line: string,
  ...fields: string[]
): Promise<RawResponse> {
  connection.send([`${line} HTTP/1.1`, "Host: localhost", ...fields, "", ""].join("\r\n"));
  return connection.response({ head: line.startsWith("HEAD ") });
}

function toGet(path: string, more = ""): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`;
}

describe("static files", { timeout: 600_000 }, () => {
  it("are served on a connection that goes on", async (t) => {
    const server = await startServer(t, {
      handlers: HANDLERS,
      public: {
        "page.txt": "page",
        "empty.txt": "",
        "big.bin": BIG,
        "one.bin": BIG.subarray(0, 1),
      },
    });
    const bigFile = join(server.publicDir, "big.bin");
    const isOpen = (): boolean => openFilesOf(server.pid).includes(bigFile);

    await t.test("whole, and before any handler", async () => {
      const connection = await server.connect();
      for (let round = 0; round < 3; round++) {
        assert.equal(String((await ask(connection, "GET /page.txt")).body), "page");
        assert.equal(digest((await ask(connection, "GET /big.bin")).body), digest(BIG));
        assert.deepEqual((await ask(connection, "GET /one.bin")).body, BIG.subarray(0, 1));
        assert.equal(String((await ask(connection, "GET /")).body), "from the handler");
      }
      await eventually(t, () => !isOpen());
    });

    await t.test(
      "but leave other methods to handlers, and refuse those that none takes",
      async () => {
        const connection = await server.connect();
        assert.equal(String((await ask(connection, "DELETE /page.txt")).body), "from the handler");
        const refused = await ask(connection, "DELETE /one.bin");
        assert.deepEqual([refused.status, fieldOf(refused, "allow")], [405, "GET, HEAD"]);
        assert.equal((await ask(connection, "DELETE /missing.bin")).status, 404);
      },
    );

    await t.test("an empty one", { timeout: 600_000 }, async () => {
      const connection = await server.connect();
      for (const method of ["HEAD", "GET"]) {
        const response = await ask(connection, `${method} /empty.txt`);
        assert.deepEqual([response.status, response.body.length], [200, 0]);
        assert.equal(fieldOf(response, "content-length"), "0");
      }
      assert.equal(String((await ask(connection, "GET /page.txt")).body), "page");
    });

    await t.test("and nothing for developers in production", async () => {
      const connection = await server.connect();
      const response = await ask(connection, `GET ${CHANGES_PATH}`, "Accept: text/html");
      assert.equal(response.status, 404);
      assert.ok(!String(response.body).includes("Route"));
    });

    await t.test("with several slashes for one", async () => {
      const connection = await server.connect();
      assert.equal(String((await ask(connection, "GET //page.txt")).body), "page");
    });

    await t.test(
      "with another tag when content of equal length and date takes its place",
      async () => {
        const connection = await server.connect();
        const path = join(server.publicDir, "packed.html");
        const date = new Date("1985-10-26T08:15:00Z");
        const put = (content: string): void => {
          writeFileSync(`${path}.new`, content);
          utimesSync(`${path}.new`, date, date);
          renameSync(`${path}.new`, path);
        };
        put("one");
        await eventually(t, async () => (await ask(connection, "GET /packed.html")).status === 200);
        const tag = fieldOf(await ask(connection, "HEAD /packed.html"), "etag") ?? "";
        const known = `If-None-Match: ${tag}`;
        assert.equal((await ask(connection, "GET /packed.html", known)).status, 304);
        put("two");
        await eventually(
          t,
          async () => (await ask(connection, "GET /packed.html", known)).status === 200,
        );
        assert.equal(String((await ask(connection, "GET /packed.html", known)).body), "two");
      },
    );

    await t.test("to several clients at once", async () => {
      const bodies = await Promise.all(
        Array.from({ length: 8 }, async () => (await server.fetch("/big.bin")).arrayBuffer()),
      );
      for (const body of bodies) assert.equal(digest(new Uint8Array(body)), digest(BIG));
      await eventually(t, () => !isOpen());
    });

    await t.test("to a slow reader, while others are served", async () => {
      const slow = await server.connect();
      slow.socket.pause();
      slow.send("GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
      for (let number = 0; number < 30; number++) {
        assert.equal(await (await server.fetch("/page.txt")).text(), "page");
      }
      slow.socket.resume();
      assert.equal(digest((await slow.response()).body), digest(BIG));
      assert.equal(String((await ask(slow, "GET /page.txt")).body), "page");
    });

    await t.test("by HEAD without a body", async () => {
      const connection = await server.connect();
      const head = await ask(connection, "HEAD /big.bin");
      assert.equal(fieldOf(head, "content-length"), String(BIG.length));
      assert.equal(String((await ask(connection, "GET /page.txt")).body), "page");
    });

    await t.test("in ranges", async () => {
      const connection = await server.connect();
      const size = BIG.length;
      const cases: [range: string, start: number, end: number][] = [
        ["bytes=0-0", 0, 0],
        ["bytes=0-499", 0, 499],
        ["bytes=500-999", 500, 999],
        ["bytes=262143-262145", 262_143, 262_145],
        ["bytes=-500", size - 500, size - 1],
        ["bytes=9500000-", 9_500_000, size - 1],
        [`bytes=${size - 1}-`, size - 1, size - 1],
        ["bytes=1-99999999", 1, size - 1],
      ];
      for (const [range, start, end] of cases) {
        const response = await ask(connection, "GET /big.bin", `Range: ${range}`);
        assert.equal(response.status, 206, range);
        assert.equal(fieldOf(response, "content-range"), `bytes ${start}-${end}/${size}`);
        assert.ok(response.body.equals(BIG.subarray(start, end + 1)), range);
      }
      const beyond = await ask(connection, "GET /big.bin", `Range: bytes=${size}-`);
      assert.equal(beyond.status, 416);
      assert.equal(fieldOf(beyond, "content-range"), `bytes */${size}`);
      const overlapping = "bytes=0-,0-,0-,0-,0-";
      for (const range of ["lines=1-2", overlapping]) {
        const whole = await ask(connection, "GET /big.bin", `Range: ${range}`);
        assert.deepEqual([whole.status, whole.body.length], [200, size]);
      }
    });

    await t.test("one byte of 10 GiB at once, with the memory of one byte", async () => {
      const size = 10 * 1024 ** 3;
      // A file with a hole: it takes no room on disk.
      writeFileSync(join(server.publicDir, "huge.bin"), "");
      truncateSync(join(server.publicDir, "huge.bin"), size);
      const connection = await server.connect();
      const ask1 = () => ask(connection, "GET /huge.bin", "Range: bytes=5000000000-5000000000");
      await eventually(t, async () => (await ask1()).status === 206);
      const before = residentBytesOf(server.pid);
      for (let round = 0; round < 20; round++) {
        const response = await ask1();
        assert.deepEqual([...response.body], [0]);
        assert.equal(fieldOf(response, "content-range"), `bytes 5000000000-5000000000/${size}`);
      }
      assert.ok(residentBytesOf(server.pid) - before < 32 * 1024 ** 2);
      rmSync(join(server.publicDir, "huge.bin"));
    });

    await t.test("in several ranges at once, of one version", async () => {
      const connection = await server.connect();
      const size = BIG.length;
      const ranges: [number, number][] = [
        [5_000_000, 5_300_000],
        [0, 0],
        [size - 3, size - 1],
      ];
      const asked = `Range: bytes=${ranges.map(([start, end]) => `${start}-${end}`).join(",")}`;
      const tag = fieldOf(await ask(connection, "HEAD /big.bin"), "etag") ?? "";
      const response = await ask(connection, "GET /big.bin", asked, `If-Range: ${tag}`);
      assert.equal(response.status, 206);
      const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(
        fieldOf(response, "content-type") ?? "",
      )?.[1];
      assert.ok(boundary !== undefined);
      const expected = ranges.map(([start, end]) => [
        Buffer.from(
          `--${boundary}\r\nContent-Type: application/octet-stream\r\n` +
            `Content-Range: bytes ${start}-${end}/${size}\r\n\r\n`,
        ),
        BIG.subarray(start, end + 1),
        Buffer.from("\r\n"),
      ]);
      const body = Buffer.concat([...expected.flat(), Buffer.from(`--${boundary}--\r\n`)]);
      assert.ok(response.body.equals(body));
      assert.equal(fieldOf(response, "content-length"), String(body.length));
      const small = await ask(connection, "GET /page.txt", "Range: bytes=0-0,3-3");
      assert.match(
        String(small.body),
        /0-0\/4\r\n\r\np\r\n--\w+\r\n.*\r\n.* 3-3\/4\r\n\r\ne\r\n--\w+--/,
      );
      const other = await ask(connection, "GET /big.bin", asked, 'If-Range: "other"');
      assert.deepEqual([other.status, other.body.length], [200, size]);
      const head = await ask(connection, "HEAD /big.bin", asked);
      assert.equal(head.status, 200);
      await eventually(t, () => !isOpen());
    });

    await t.test("not again to who has them already", async () => {
      const connection = await server.connect();
      for (const path of ["/page.txt", "/big.bin"]) {
        const first = await ask(connection, `GET ${path}`);
        const tag = fieldOf(first, "etag") ?? "";
        const modified = fieldOf(first, "last-modified") ?? "";
        assert.notEqual(tag, "");
        const same = [
          `If-None-Match: ${tag}`,
          `If-Modified-Since: ${modified}`,
          "If-None-Match: *",
        ];
        for (const field of same) {
          for (const method of ["GET", "HEAD"]) {
            const response = await ask(connection, `${method} ${path}`, field);
            assert.equal(response.status, 304, field);
            assert.equal(fieldOf(response, "etag"), tag);
          }
        }
        const other = await ask(connection, `GET ${path}`, 'If-None-Match: "other"');
        assert.equal(other.status, 200);
        const failed = await ask(connection, `GET ${path}`, 'If-Match: "other"');
        assert.equal(failed.status, 412);
      }
    });

    await t.test("never halfway: a client that leaves in the middle closes the file", async () => {
      // More than the kernel takes unread (10 MiB). A file with a hole takes no room on disk.
      const path = join(server.publicDir, "hole.bin");
      writeFileSync(path, "");
      truncateSync(path, 64 * 1024 ** 2);
      await eventually(t, async () => {
        const head = await ask(await server.connect(), "HEAD /hole.bin");
        return fieldOf(head, "content-length") === String(64 * 1024 ** 2);
      });
      const isHoleOpen = (): boolean => openFilesOf(server.pid).includes(path);
      for (const how of ["destroy", "reset"] as const) {
        const connection = await server.connect();
        connection.send("GET /hole.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
        await connection.bytes(100_000);
        connection.socket.pause();
        assert.ok(isHoleOpen());
        connection[how]();
        await eventually(t, () => !isHoleOpen());
      }
      rmSync(path);
      const asking = Array.from({ length: 20 }, async () => {
        const connection = await server.connect();
        // At once: on a slow machine the last connection would be idle for too long.
        connection.send("GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
        return connection;
      });
      for (const [number, connection] of (await Promise.all(asking)).entries()) {
        await connection.bytes(1 + number * 1_000);
        connection.destroy();
      }
      await eventually(t, () => !isOpen());
      assert.equal(String((await ask(await server.connect(), "GET /page.txt")).body), "page");
    });

    await t.test("pipelined, in order", async () => {
      const text = await server.raw(
        toGet("/page.txt") + toGet("/one.bin") + toGet("/page.txt", "Connection: close\r\n"),
      );
      assert.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, 3);
    });

    await t.test("as they are now, also when they change, come and go", async () => {
      const path = join(server.publicDir, "changing.txt");
      const content = async (): Promise<string> => (await server.fetch("/changing.txt")).text();
      const becomes = (expected: string): Promise<void> =>
        eventually(t, async () => (await content()) === expected);
      writeFileSync(path, "one");
      await becomes("one");
      writeFileSync(path, "and two");
      await becomes("and two");
      rmSync(path);
      await becomes("Not Found\n");
    });
  });
});
