import assert from "node:assert/strict";
import type { FrameBuffer } from "../../runtime/channel/frame-buffer.ts";

/** Fills a buffer as a socket does: as many bytes as fit, then the rest into the next space. */
export function fill(buffer: FrameBuffer, bytes: Buffer, onFrame: (frame: Buffer) => void): void {
  for (let at = 0; at < bytes.length;) {
    const space = buffer.space();
    assert.ok(space.length > 0);
    const copied = bytes.copy(space, 0, at);
    at += copied;
    buffer.filled(copied, onFrame);
  }
}
