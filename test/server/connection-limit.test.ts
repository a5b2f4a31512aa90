import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  fitConnections,
  fitSpoolFiles,
  readOpenFilesLimit,
} from "../../runtime/server/connection-limit.ts";

describe("readOpenFilesLimit()", () => {
  it("reads the soft limit", () => {
    const text =
      "Limit                     Soft Limit           Hard Limit           Units     \n" +
      "Max processes             127235               127235               processes \n" +
      "Max open files            1024                 524288               files     \n";
    assert.equal(
      readOpenFilesLimit(() => text),
      1024,
    );
  });

  it("knows none where there is none to read", () => {
    assert.equal(readOpenFilesLimit(refuse), null);
    assert.equal(
      readOpenFilesLimit(
        () => "Max open files            unlimited            unlimited            files\n",
      ),
      null,
    );
  });
});

describe("fitConnections()", () => {
  it("leaves what fits", () => {
    for (const limit of [null, 10_000 + 24 + 512 + 64]) {
      assert.deepEqual(fitConnections({ maxConnections: 10_000, workers: 4 }, limit), {
        maxConnections: 10_000,
        warning: null,
      });
    }
  });

  it("lowers what does not, and says so", () => {
    assert.deepEqual(fitConnections({ maxConnections: 10_000, workers: 4 }, 1024), {
      maxConnections: 424,
      warning:
        "maxConnections is 424 instead of 10000: this process may have 1024 files open, " +
        'expected 10600 (raise it with "ulimit -n" or LimitNOFILE=)',
    });
  });

  it("lets at least one in", () => {
    const { maxConnections } = fitConnections({ maxConnections: 10_000, workers: 100 }, 1024);
    assert.equal(maxConnections, 1);
  });
});

describe("fitSpoolFiles()", () => {
  it("leaves the connections theirs, and a few where nothing is left", () => {
    const fitted = { maxConnections: 10_000, workers: 4 };
    assert.equal(fitSpoolFiles(fitted, null), 20_000);
    assert.equal(fitSpoolFiles(fitted, 524_288), 20_000);
    assert.equal(fitSpoolFiles(fitted, 11_600), 1_032);
    assert.equal(fitSpoolFiles({ ...fitted, maxConnections: 424 }, 1_024), 32);
  });
});

function refuse(): string {
  throw new Error("ENOENT");
}
