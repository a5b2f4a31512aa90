import assert from "node:assert/strict";
import { totalmem } from "node:os";
import { describe, it } from "node:test";
import { availableMemoryBytes } from "../../runtime/config/available-memory.ts";
import { defaultMemoryLimit } from "../../runtime/config/memory-limit.ts";
import { toMemoryBounds } from "../../runtime/supervise/memory-bounds.ts";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

describe("availableMemoryBytes()", () => {
  it("is what the control group allows, unless it allows more than there is", () => {
    const cases: [constrained: number, total: number, expected: number][] = [
      [512 * MIB, 16 * GIB, 512 * MIB],
      [32 * GIB, 16 * GIB, 16 * GIB],
      // What Node says when there is no limit: 0, or the largest number that fits.
      [0, 16 * GIB, 16 * GIB],
      [2 ** 64, 16 * GIB, 16 * GIB],
    ];
    for (const [constrained, total, expected] of cases) {
      assert.equal(availableMemoryBytes(constrained, total), expected);
    }
  });

  it("knows this machine", () => {
    const bytes = availableMemoryBytes();
    assert.ok(bytes > 64 * MIB && bytes <= totalmem(), `${bytes}`);
  });
});

describe("defaultMemoryLimit()", () => {
  it("lets all workers grow until they are killed and leaves the primary its share", () => {
    for (const availableBytes of [2 * GIB, 16 * GIB, 512 * GIB]) {
      for (const workers of [2, 3]) {
        const { killBytes } = toMemoryBounds(defaultMemoryLimit(availableBytes, workers));
        const rest = availableBytes - workers * killBytes;
        assert.ok(rest >= availableBytes * 0.1 + 128 * MIB - 16, `${availableBytes}, ${workers}`);
        assert.ok(rest <= availableBytes * 0.1 + 129 * MIB, `${availableBytes}, ${workers}`);
      }
    }
  });

  it("is never so small that a worker that does its work exceeds it", () => {
    assert.equal(defaultMemoryLimit(128 * MIB, 4), 256 * MIB);
  });
});
