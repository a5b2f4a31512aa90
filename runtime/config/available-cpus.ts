import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";

/**
 * Returns how many CPUs this process may really use, at least 1.
 *
 * `availableParallelism()` knows the affinity mask, but the libuv of Node 20 (1.46) does not look at a container's
 * CPU quota: `docker run --cpus 2` on a host of 64 would start 63 workers. The quota is therefore read here.
 *
 * @param readText Reads a file; throws if there is none. For tests.
 */
export function availableCpus(
  readText: (path: string) => string = (path) => readFileSync(path, "utf8"),
): number {
  const quota = readQuota(readText);
  const cpus = availableParallelism();
  return quota === null ? cpus : Math.max(1, Math.min(cpus, Math.ceil(quota)));
}

/** CPUs allowed by the control group, as a fraction; `null` when unlimited or not Linux. */
function readQuota(readText: (path: string) => string): number | null {
  const read = (path: string): string => {
    try {
      return readText(path);
    } catch {
      return ""; // Not Linux, or not this version of control groups.
    }
  };
  // Inside a container its own group is mounted at the root; on a host (systemd's CPUQuota=) it is below.
  const ownGroup = /^0::(\/.*)$/m.exec(read("/proc/self/cgroup"))?.[1] ?? "/";
  const limits: number[] = [];
  for (const group of new Set([ownGroup, "/"])) {
    const [quota, period] = read(join("/sys/fs/cgroup", group, "cpu.max"))
      .split(" ")
      .map(Number);
    limits.push((quota ?? Number.NaN) / (period ?? Number.NaN));
  }
  const quotaV1 = Number(read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"));
  limits.push(quotaV1 / Number(read("/sys/fs/cgroup/cpu/cpu.cfs_period_us")));
  const finite = limits.filter((limit) => Number.isFinite(limit) && limit > 0);
  return finite.length === 0 ? null : Math.min(...finite);
}
