import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { cgroupFiles, OomKills, parseOomKills } from "../../runtime/supervise/oom-kills.ts";

describe("OomKills", () => {
  it("reports each kill once", () => {
    let total = 3;
    const kills = new OomKills(() => total);
    assert.equal(kills.take(), false);
    total = 5;
    assert.deepEqual([kills.take(), kills.take(), kills.take()], [true, true, false]);
    total = 0;
    assert.equal(kills.take(), false);
  });

  it("does not explain an exit long after the kill", () => {
    let total = 0;
    const kills = new OomKills(() => total);
    kills.look(0);
    total = 1;
    // Neither frequent looks nor a look after a long pause make it forget the kill.
    for (const nowMs of [0, 500, 1_999]) kills.look(nowMs);
    kills.look(60_000);
    assert.equal(kills.take(), true);
    total = 2;
    kills.look(62_000);
    kills.look(64_000);
    assert.equal(kills.take(), false);
    total = 3;
    assert.equal(kills.take(), true);
  });

  it("never explains two exits by one kill, also when it looks between them", () => {
    let total = 0;
    const kills = new OomKills(() => total);
    kills.look(0);
    total = 1;
    assert.equal(kills.take(), true);
    kills.look(2_000);
    assert.equal(kills.take(), false);
  });

  it("reads the counter of this system", () => {
    assert.equal(new OomKills().take(), false);
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
