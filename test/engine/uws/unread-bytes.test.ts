import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UnreadBytes, findUnread, parseUnread } from "../../../runtime/engine/uws/unread-bytes.ts";
import { eventually } from "../../helpers/eventually.ts";
import { holdUnread } from "../../helpers/hold-unread.ts";

const LOOPBACK = Uint8Array.of(127, 0, 0, 1).buffer;

/** As the kernel prints it on a machine whose numbers begin with the least byte. */
const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000007 00:00000000 00000000     0        0 1001 1 0000000000000000 100 0 0 10 0
   1: 0100007F:1F90 0100007F:C001 01 00000000:00000117 00:00000000 00000000     0        0 1002 1 0000000000000000 20 4 30 10 -1
   2: 0100007F:1F90 0100007F:C002 08 00000001:00000400 00:00000000 00000000     0        0 1003 1 0000000000000000 20 4 30 10 -1
   3: 0100007F:1F90 0100007F:C003 06 00000000:00009999 00:00000000 00000000     0        0 1004 1 0000000000000000 20 4 30 10 -1
   4: 0100007F:C001 0100007F:1F90 01 00000000:00008888 00:00000000 00000000     0        0 1005 1 0000000000000000 20 4 30 10 -1
   5: 0100007F:1F90 0200007F:C001 01 00000000:00007777 00:00000000 00000000     0        0 1006 1 0000000000000000 20 4 30 10 -1
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0000000000000000FFFF00000100007F:1F91 0000000000000000FFFF00000100007F:C004 01 00000000:00000021 00:00000000 00000000     0        0 1007 1 0000000000000000 20 4 30 10 -1
`;

describe("findUnread()", () => {
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1).buffer;
  const cases: [what: string, port: number, address: ArrayBuffer, bytes: number | null][] = [
    ["the most of any connection that is open or that the client has ended", 8080, LOOPBACK, 0x400],
    ["of another address", 8080, Uint8Array.of(127, 0, 0, 2).buffer, 0x7777],
    ["of IPv4 on a socket for both", 8081, mapped, 0x21],
    ["nothing where there is no connection", 8082, LOOPBACK, null],
    ["nothing for a client that is gone", 8080, new ArrayBuffer(0), null],
  ];
  for (const [what, port, address, bytes] of cases) {
    it(`tells ${what}`, () => assert.equal(findUnread(parseUnread(TABLE), port, address), bytes));
  }
});

describe("UnreadBytes", { skip: process.platform !== "linux" }, () => {
  it("tells what a client has sent and nobody has read", async (t) => {
    const port = await holdUnread(t, 12_345);
    const unread = new UnreadBytes();
    const find = (): Promise<number | null> => unread.find(port, LOOPBACK, 60_000);
    const [once, again] = [find(), find()];
    assert.equal(await once, 12_345);
    assert.equal(await again, 12_345);
    assert.equal(await find(), 12_345);
  });

  it("tells nothing that is older than whoever asks may use, and is read again soon", async (t) => {
    const port = await holdUnread(t, 12_345);
    const unread = new UnreadBytes();
    const find = (): Promise<number | null> => unread.find(port, LOOPBACK, 0);
    assert.equal(await find(), 12_345);
    assert.equal(await find(), null);
    await eventually(t, async () => (await find()) === 12_345);
  });
});
