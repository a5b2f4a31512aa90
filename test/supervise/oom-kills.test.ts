import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cgroupFiles, OomKills, parseOomKills } from "../../runtime/supervise/oom-kills.ts";

describe("OomKills", () => {
  it("tells once of each time that the counter grew", () => {
    const readings = [3, 3, 4, 4, 9, 0, 1];
    const kills = new OomKills(() => readings.shift() ?? 0);
    assert.deepEqual(
      Array.from({ length: 6 }, () => kills.grew()),
      [false, true, false, true, false, true],
    );
  });

  it("reads a counter of this system, whichever there is", () => {
    assert.equal(new OomKills().grew(), false);
  });
});

describe("parseOomKills()", () => {
  it("finds the counter among others", () => {
    assert.equal(parseOomKills("low 0\nhigh 5\nmax 9\noom 2\noom_kill 12\noom_group_kill 1\n"), 12);
    assert.equal(parseOomKills("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"), 3);
    assert.equal(parseOomKills("oom_kill_disable 0\nunder_oom 0\n"), null);
    assert.equal(parseOomKills(""), null);
  });
});

describe("cgroupFiles()", () => {
  it("names the files of version 2 and of version 1", () => {
    const membership = "8:pids:/\n4:cpu,memory:/box\n0::/system.slice/a:b.service\n";
    assert.deepEqual(cgroupFiles(membership), [
      "/sys/fs/cgroup/memory/box/memory.oom_control",
      "/sys/fs/cgroup/system.slice/a:b.service/memory.events",
    ]);
    assert.deepEqual(cgroupFiles(""), []);
  });
});
