import type { LogDestination } from "../../runtime/log/destination.ts";

/** A destination that keeps a copy of each write. */
export interface FakeDestination extends LogDestination {
  readonly writes: string[];
}

/** Creates a destination that takes everything. */
export function fakeDestination(atomicBytes = 4096): FakeDestination {
  const writes: string[] = [];
  return {
    writes,
    atomicBytes,
    droppedLines: 0,
    onLost: null,
    write: (lines) => void writes.push(lines.toString()),
    reopen: () => {},
    flushSync: () => {},
    close: async () => {},
  };
}
