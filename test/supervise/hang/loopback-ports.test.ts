import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { describe, it, type TestContext } from "node:test";
import {
  findLoopbackPorts,
  parseListeners,
} from "../../../runtime/supervise/hang/loopback-ports.ts";

const HEAD =
  "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

/** As Linux 6.1 writes them. */
const LINES = {
  inspector:
    "   0: 0100007F:9D13 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 5183 1 0000000000000000 100 0 0 10 0",
  everywhere:
    "   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1608 1 00000000486fab83 100 0 0 10 0",
  connected:
    "  12: 0100007F:9D14 0100007F:A1F1 01 00000000:00000000 00:00000000 00000000     0        0 5184 1 0000000000000000 20 4 30 10 -1",
  bigEndian:
    " 123: 7F000001:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000 65534        0 99 1 0000000000000000 100 0 0 10 0",
};

async function listen(t: TestContext, host: string): Promise<number> {
  const server = createServer().listen(0, host);
  t.after(() => server.close());
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

describe("parseListeners()", () => {
  it("finds listeners at 127.0.0.1, on machines of either byte order", () => {
    assert.deepEqual(parseListeners([HEAD, ...Object.values(LINES)].join("\n")), [
      { port: 0x9d13, inode: "5183" },
      { port: 80, inode: "99" },
    ]);
  });

  it("finds the complete lines of a table that is cut off anywhere", () => {
    const table = [HEAD, LINES.inspector, LINES.bigEndian].join("\n");
    for (let end = 0; end < table.length; end++) {
      const found = parseListeners(table.slice(0, end));
      for (const { port, inode } of found) {
        assert.ok(
          (port === 0x9d13 && inode === "5183") || (port === 80 && inode === "99"),
          `cut at ${end}: ${port} ${inode}`,
        );
      }
    }
  });
});

describe("findLoopbackPorts()", { skip: process.platform !== "linux" }, () => {
  it("finds the ports of the process at 127.0.0.1 only", async (t) => {
    const before = await findLoopbackPorts(process.pid);
    const port = await listen(t, "127.0.0.1");
    await listen(t, "0.0.0.0");
    const after = await findLoopbackPorts(process.pid);
    assert.deepEqual(
      after.filter((each) => !before.includes(each)),
      [port],
    );
    assert.ok(!(await findLoopbackPorts(process.ppid)).includes(port));
  });

  it("rejects for a process that is gone", async () => {
    await assert.rejects(findLoopbackPorts(0), { code: "ENOENT" });
  });
});
