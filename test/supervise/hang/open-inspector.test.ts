import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import { findUrl } from "../../../runtime/supervise/hang/open-inspector.ts";

describe("findUrl()", () => {
  it("rejects, and ends no process, when the time is over before it asks", async (t) => {
    const server = createServer().listen(0, "127.0.0.1");
    t.after(() => server.close());
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    await assert.rejects(findUrl(address.port, AbortSignal.abort()), { name: "AbortError" });
    // The request reports its abort later: without a listener the error would end this process.
    await new Promise((resolve) => setImmediate(resolve));
  });
});
