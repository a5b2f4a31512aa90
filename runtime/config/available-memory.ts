import { totalmem } from "node:os";

/**
 * Returns how much memory this process and its children may use together, in bytes: the machine's, or the limit of its
 * control group (a container, systemd's `MemoryMax=`) if that is less.
 *
 * @param constrainedBytes From Node: 0 or a very large number when there is no limit.
 */
export function availableMemoryBytes(
  constrainedBytes: number = process.constrainedMemory(),
  totalBytes: number = totalmem(),
): number {
  return constrainedBytes > 0 ? Math.min(constrainedBytes, totalBytes) : totalBytes;
}
