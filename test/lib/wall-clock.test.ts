import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { WallClock } from "../../runtime/lib/wall-clock.ts";

describe("WallClock", () => {
  it("follows the system's clock when that is set", (t) => {
    t.mock.timers.enable({ apis: ["Date"], now: 1_000_000 });
    const clock = new WallClock();
    assert.equal(clock.toUnixMs(500), 1_000_000);
    assert.equal(clock.toUnixMs(510.9), 1_000_010);
    t.mock.timers.setTime(7_000_000);
    assert.equal(clock.toUnixMs(900.5), 7_000_000);
    assert.equal(clock.toUnixMs(901.5), 7_000_001);
  });
});
