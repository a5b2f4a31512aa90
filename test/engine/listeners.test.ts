import assert from "node:assert/strict";
import { fstatSync, openSync } from "node:fs";
import { devNull } from "node:os";
import { describe, it } from "node:test";
import { Listeners, type ListenersOptions } from "../../runtime/engine/listeners.ts";
import { createNodeEngine } from "../../runtime/engine/node/node-engine.ts";

describe("Listeners", () => {
  it("closes inherited sockets that no listener takes", async () => {
    const descriptor = openSync(devNull, "r");
    const listeners = new Listeners([{ scheme: "http", port: 80, descriptor }]);
    const places = { host: null, httpPort: null, httpsPort: 443 };
    // No port opens, because there are no certificates.
    const options = { certificates: null } as ListenersOptions;
    await listeners.open(createNodeEngine(), places, options);
    assert.throws(() => fstatSync(descriptor), { code: "EBADF" });
  });
});
