import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { ResponseFeed } from "../../runtime/bodies/response-feed.ts";

const CREDIT_BYTES = 1_000;

function openFeed(): { feed: ResponseFeed; grants: number[]; calls: string[] } {
  const grants: number[] = [];
  const calls: string[] = [];
  const feed = new ResponseFeed({
    creditBytes: CREDIT_BYTES,
    blocks: new BlockPool(),
    spool: null,
    grant: (bytes) => grants.push(bytes),
    onCancel: () => calls.push("cancel"),
    onDiskError: () => calls.push("disk error"),
  });
  feed.onChange = () => calls.push("change");
  return { feed, grants, calls };
}

const step = fc.record({
  do: fc.constantFrom("push", "push", "read", "read"),
  bytes: fc.integer({ min: 1, max: CREDIT_BYTES }),
});

describe("ResponseFeed", () => {
  it("passes each byte on in order, and grants the bytes that were taken, never more", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const { feed, grants, calls } = openFeed();
        let pushed = 0;
        let read = 0;
        const granted = (): number => grants.reduce((sum, bytes) => sum + bytes, CREDIT_BYTES);
        for (const { do: name, bytes } of steps) {
          if (name === "push") {
            const size = Math.min(bytes, granted() - pushed);
            feed.push(Buffer.from(Array.from({ length: size }, (_, at) => (pushed + at) % 251)));
            pushed += size;
          } else {
            const piece = feed.read(bytes);
            assert.equal(piece === null, pushed === read);
            for (const [at, byte] of (piece ?? []).entries()) assert.equal(byte, (read + at) % 251);
            read += piece?.length ?? 0;
          }
          assert.ok(granted() - read <= CREDIT_BYTES, "no more may wait than the credit");
          assert.ok(granted() - read > CREDIT_BYTES / 2, "taken bytes are granted again");
          assert.equal(feed.state, "open");
        }
        feed.end();
        assert.equal(feed.state, pushed === read ? "ended" : "open");
        while (feed.read(100) !== null);
        assert.equal(feed.state, "ended");
        assert.ok(!calls.includes("cancel"));
      }),
    );
  });

  it("breaks with a worker that sends more than it was granted", () => {
    const { feed, grants } = openFeed();
    feed.push(Buffer.alloc(CREDIT_BYTES));
    assert.throws(() => feed.push(Buffer.alloc(1)), { code: "ERR_PROTOCOL" });
    const other = openFeed();
    other.feed.push(Buffer.alloc(500));
    other.feed.read(499);
    assert.throws(() => other.feed.push(Buffer.alloc(501)), { code: "ERR_PROTOCOL" });
    assert.deepEqual([grants, other.grants], [[], []]);
  });

  it("drops all waiting bytes when it fails: a part must not look like the whole", () => {
    const { feed, calls } = openFeed();
    feed.push(Buffer.alloc(10));
    feed.fail(502);
    assert.deepEqual([feed.read(10), feed.state], [null, "failed"]);
    feed.end();
    feed.push(Buffer.alloc(10));
    assert.deepEqual([feed.read(10), feed.state], [null, "failed"]);
    assert.deepEqual(calls, ["change", "change"]);
  });

  it("reports a cancel once, and not after the last byte", () => {
    const { feed, calls, grants } = openFeed();
    feed.push(Buffer.alloc(10));
    feed.cancel();
    feed.cancel();
    feed.push(Buffer.alloc(CREDIT_BYTES + 1));
    assert.deepEqual([feed.read(10), feed.state], [null, "failed"]);
    assert.deepEqual([calls, grants], [["change", "cancel"], []]);
    const complete = openFeed();
    complete.feed.push(Buffer.alloc(10));
    complete.feed.end();
    complete.feed.cancel();
    assert.ok(!complete.calls.includes("cancel"));
  });
});
