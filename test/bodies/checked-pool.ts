import assert from "node:assert/strict";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";

/** Knows which blocks are in use, and overwrites returned blocks: a queue must not read them any more. */
export class CheckedPool extends BlockPool {
  readonly out = new Set<Uint8Array>();

  override take(): Uint8Array {
    const block = super.take();
    assert.ok(!this.out.has(block), "one block for two");
    this.out.add(block);
    return block;
  }

  override give(block: Uint8Array): void {
    assert.ok(this.out.delete(block), "given back twice");
    block.fill(0xff);
    super.give(block);
  }
}
