import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { describePortOwner, findPortOwner, mayListen } from "../../runtime/engine/port-owner.ts";

describe("findPortOwner()", () => {
  for (const host of ["127.0.0.1", "::1", undefined]) {
    it(`finds the process that listens on ${host ?? "all addresses"}, until it does not`, async (t) => {
      const server = createServer().listen(0, host);
      t.after(() => void server.close());
      await once(server, "listening");
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      const owner = findPortOwner(address.port);
      assert.equal(owner?.pid, process.pid);
      assert.match(describePortOwner(owner), new RegExp(`^process ${process.pid} \\(.+\\)$`));
      server.close();
      await once(server, "close");
      // Another process may have got the port meanwhile.
      assert.notEqual(findPortOwner(address.port)?.pid, process.pid);
    });
  }
});

describe("mayListen()", () => {
  it("allows ports that need no privilege", () => {
    assert.equal(mayListen(49_151), true);
  });
});

describe("describePortOwner()", () => {
  it("says what the kernel tells", () => {
    assert.equal(describePortOwner({ pid: 7, program: null }), "process 7");
    assert.match(describePortOwner({ pid: null, program: null }), /another user/);
  });
});
