import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { CertificateWatcher } from "../../runtime/tls/certificate-watcher.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("CertificateWatcher", { timeout: 60_000 }, () => {
  it("tells of a file that changes, and of a link that leads elsewhere", async (t) => {
    const dir = temporaryFolder(t);
    for (const version of ["one", "two"]) {
      mkdirSync(join(dir, `.${version}`));
      for (const file of ["fullchain.pem", "privkey.pem"]) {
        writeFileSync(join(dir, `.${version}`, file), version);
      }
    }
    symlinkSync(".one", join(dir, "shop.test"));
    const told = new EventEmitter();
    let changes = 0;
    const watcher = new CertificateWatcher({
      certsDir: () => dir,
      onChange: async () => {
        changes++;
        told.emit("change");
      },
    });
    t.after(() => watcher.close());
    // The watcher keeps no process alive.
    const alive = setInterval(() => {}, 1_000);
    t.after(() => clearInterval(alive));
    await watcher.start();

    const moved = once(told, "change");
    symlinkSync(".two", join(dir, ".next"));
    renameSync(join(dir, ".next"), join(dir, "shop.test"));
    await moved;

    const written = once(told, "change");
    writeFileSync(join(dir, "shop.test", "fullchain.pem"), "three");
    // The events of the folder do not tell of it: the next look does, or this file beside it.
    writeFileSync(join(dir, ".touched"), "");
    await written;
    assert.equal(changes, 2);
  });
});
