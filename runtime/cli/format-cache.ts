import type { CacheInfo } from "../control/operations.ts";
import { toCounts } from "./to-counts.ts";

/** Formats the state of the response cache: its size, its results, and problems of its disk. */
export function formatCache(cache: CacheInfo): string[] {
  const { entries, memoryBytes, memoryLimitBytes, diskEntries, diskBytes, diskLimitBytes } = cache;
  const { evictions, rejections, isScanning, isDiskFailing, results } = cache;
  const disk =
    diskLimitBytes === 0
      ? "no disk"
      : `${toMegabytes(diskBytes)} of ${toMegabytes(diskLimitBytes)} on disk (${diskEntries} answers)`;
  return [
    `cache: ${entries} answers, ${toMegabytes(memoryBytes)} of ${toMegabytes(memoryLimitBytes)} in memory, ${disk}`,
    `cache results: ${toCounts(results) || "none"}; removed for room: ${evictions}, not stored for lack of room: ${rejections}`,
    ...(isScanning ? ["cache: its folder is still being read"] : []),
    ...(isDiskFailing ? ["cache: the disk refuses writes, see the log"] : []),
  ];
}

function toMegabytes(bytes: number): string {
  return `${(bytes / (1024 * 1024)).toFixed(1)} MiB`;
}
