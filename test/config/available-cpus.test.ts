import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { describe, it } from "node:test";
import { availableCpus } from "../../runtime/config/available-cpus.ts";

const cpus = availableParallelism();

function withFiles(files: Record<string, string>): number {
  return availableCpus((path) => files[path] ?? assert.fail(`no file ${path}`));
}

function version1(quota: string): Record<string, string> {
  return {
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": quota,
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
  };
}

describe("availableCpus()", () => {
  it("is what the system says where nothing limits it", () => {
    assert.equal(withFiles({}), cpus);
    assert.equal(withFiles({ "/sys/fs/cgroup/cpu.max": "max 100000\n" }), cpus);
    assert.equal(availableCpus() <= cpus, true);
  });

  it("is the container's quota, rounded up", () => {
    assert.equal(withFiles({ "/sys/fs/cgroup/cpu.max": "50000 100000\n" }), 1);
    assert.equal(withFiles({ "/sys/fs/cgroup/cpu.max": "150000 100000\n" }), Math.min(2, cpus));
    assert.equal(withFiles({ "/sys/fs/cgroup/cpu.max": "900000000 100000\n" }), cpus);
  });

  it("is the quota of a unit on the host", () => {
    const files = {
      "/proc/self/cgroup": "1:name=systemd:/\n0::/system.slice/edgicorn.service\n",
      "/sys/fs/cgroup/system.slice/edgicorn.service/cpu.max": "20000 100000\n",
    };
    assert.equal(withFiles(files), 1);
  });

  it("is the quota of control groups version 1", () => {
    assert.equal(withFiles(version1("100000\n")), 1);
    assert.equal(withFiles(version1("-1\n")), cpus);
  });
});
