import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  parseMachineCpu,
  parseOpenFilesLimit,
  parsePss,
  parseStat,
} from "../../scripts/bench/proc.ts";

describe("parseStat()", () => {
  const fields = "S 4100 4242 4242 0 -1 4194560 9 0 0 0 150 50 7 3 20 0 1 0 100 1 1";

  it("reads session and processor time, that of ended children included", () => {
    assert.deepEqual(parseStat(`4711 (node) ${fields}\n`), {
      state: "S",
      session: 4242,
      cpuMs: 2100,
      childrenCpuMs: 100,
    });
  });

  it("is not misled by the name of the program", () => {
    const plain = parseStat(`4711 (node) ${fields}`);
    assert.deepEqual(parseStat(`4711 (a) b (c 1 2 3) ${fields}`), plain);
  });

  it("refuses other text", () => {
    assert.equal(parseStat(""), undefined);
    assert.equal(parseStat("4711 (node) S 1 2"), undefined);
  });
});

describe("parseMachineCpu()", () => {
  it("counts all work, not idle time, waiting, or stolen time", () => {
    const text = "cpu  100 1 200 9999 8888 10 20 5 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
    assert.deepEqual(parseMachineCpu(text), { busyMs: 3310, stolenMs: 50 });
  });
});

describe("parsePss()", () => {
  it("reads the share of memory, not its parts", () => {
    const text =
      "55d0-7ffc ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nPss:   512 kB\nPss_Anon:  100 kB\n";
    assert.equal(parsePss(text), 512 * 1024);
  });

  it("is nothing for a process that has ended", () => {
    assert.equal(parsePss(""), 0);
  });
});

describe("parseOpenFilesLimit()", () => {
  const text =
    "Max processes  95 96 processes\nMax open files            1024       4096   files\n";

  it("reads the limit in force, not the highest possible one", () => {
    assert.equal(parseOpenFilesLimit(text), 1024);
  });

  it("returns nothing for no limit, and for no answer", () => {
    assert.equal(parseOpenFilesLimit("Max open files  unlimited  unlimited  files"), Infinity);
    assert.equal(parseOpenFilesLimit(""), undefined);
  });
});
