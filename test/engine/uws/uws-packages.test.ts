import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  describeNoBinary,
  explainFailure,
  type FailedUws,
  findUwsPackages,
  type Machine,
  PRUNED_MARK,
  readMachine,
} from "../../../runtime/engine/uws/uws-packages.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";

const DEBIAN_12: Machine = {
  platform: "linux",
  arch: "x64",
  nodeVersion: "v24.1.0",
  abi: "137",
  glibc: "2.36",
};

const NO_FILE: FailedUws = {
  label: "uws-pack 20.0.8",
  reason: "has no binary for Node ABI 137 on linux-x64",
  isPruned: false,
  isOwn: false,
};

describe("findUwsPackages()", () => {
  it("prefers the newer of the packages that come with edgicorn", () => {
    const { installed, missing } = findUwsPackages("auto");
    assert.deepEqual(
      installed.map(({ name, specifier }) => [name, specifier]),
      [
        ["@btc-vision/uwebsockets.js", "@btc-vision/uwebsockets.js"],
        ["uws-pack", "uWebSockets.js"],
      ],
    );
    assert.deepEqual(missing, []);
  });

  it("finds only the one that the setting names", () => {
    const { installed, missing } = findUwsPackages("uws-pack");
    assert.deepEqual([installed.map(({ name }) => name), missing], [["uws-pack"], []]);
  });

  it("does not take uws-pack, which has its name, for the official package", () => {
    const { installed, missing } = findUwsPackages("uWebSockets.js");
    assert.deepEqual(installed, []);
    assert.deepEqual(missing, [
      { label: "uWebSockets.js", reason: "is not installed", isPruned: false, isOwn: false },
    ]);
  });
});

describe("explainFailure()", () => {
  const SENTENCE = "This version of uWS.js supports only Node.js versions 18, 20, 21 and 22.\n\n";

  for (const [message, reason] of [
    [
      `${SENTENCE}Error: /lib/libc.so.6: version \`GLIBC_2.38' not found (required by /a/uws.node)`,
      "needs glibc 2.38",
    ],
    [
      `Error: /lib/libstdc++.so.6: version \`GLIBCXX_3.4.32' not found (required by /a/uws.node)`,
      "needs libstdc++ with GLIBCXX_3.4.32",
    ],
    [
      `${SENTENCE}Error: Cannot find module './bin/uws_linux_x64_137.node'\nRequire stack:\n- /a`,
      "has no binary for Node ABI 137 on linux-x64",
    ],
    [
      `${SENTENCE}Error: Error loading shared library ld-linux-x86-64.so.2: No such file`,
      "cannot be loaded: Error loading shared library ld-linux-x86-64.so.2: No such file",
    ],
    ["unexpected token", "cannot be loaded: unexpected token"],
  ] as const) {
    it(reason, (t) => {
      const uws = { name: "a", version: "1", specifier: "a", dir: temporaryFolder(t) };
      const expected = { label: "a 1", reason, isPruned: false, isOwn: true };
      assert.deepEqual(explainFailure(uws, new Error(message)), expected);
    });
  }

  it("sees that the package was pruned", (t) => {
    const dir = temporaryFolder(t);
    writeFileSync(join(dir, PRUNED_MARK), "");
    const uws = { name: "a", version: "1", specifier: "a", dir };
    assert.equal(explainFailure(uws, new Error("no")).isPruned, true);
  });
});

describe("describeNoBinary()", () => {
  it("tells what was found, what is expected and why no package was taken", () => {
    const newer = { label: "@btc-vision/uwebsockets.js 20.57.0", reason: "needs glibc 2.38" };
    const failed = [{ ...newer, isPruned: false, isOwn: false }, NO_FILE];
    assert.equal(
      describeNoBinary(DEBIAN_12, { failed, choice: "auto" }),
      [
        "Cannot load uWebSockets.js: found Node v24.1.0 (ABI 137) on linux-x64 with glibc 2.36, " +
          "expected Node 22, or glibc 2.38 or later (Debian 13, Ubuntu 24.04). Tried:",
        "  @btc-vision/uwebsockets.js 20.57.0 needs glibc 2.38",
        "  uws-pack 20.0.8 has no binary for Node ABI 137 on linux-x64",
        "  docs/dependencies.md describes how to install another build instead",
      ].join("\n"),
    );
  });

  const pruned = [{ ...NO_FILE, isPruned: true }];
  const official = [
    { label: "uWebSockets.js", reason: "is not installed", isPruned: false, isOwn: false },
  ];
  const newer = [{ ...NO_FILE, reason: "needs glibc 2.38" }];
  const newSystem = { ...DEBIAN_12, glibc: "2.41" };
  for (const [name, machine, failed, remedy] of [
    ["Alpine", { ...DEBIAN_12, glibc: null }, [NO_FILE], /without glibc, expected glibc: a Node/],
    [
      "Node 26",
      { ...newSystem, nodeVersion: "v26.0.0" },
      [NO_FILE],
      /expected Node 22, or Node 24/,
    ],
    [
      "Node 23",
      { ...newSystem, nodeVersion: "v23.1.0" },
      [NO_FILE],
      /expected Node 22, or Node 24/,
    ],
    ["glibc of 2017", { ...DEBIAN_12, glibc: "2.26" }, [NO_FILE], /expected glibc 2\.27 or later/],
    ["a 32-bit processor", { ...newSystem, arch: "ia32" }, [NO_FILE], /ia32.*one of linux-x64/],
    ["FreeBSD", { ...newSystem, platform: "freebsd", glibc: null }, [NO_FILE], /one of linux-x64/],
    ["a pruned package", newSystem, pruned, /"edgicorn prune" ran; "npm ci"/],
    ["no official package", newSystem, official, /instead of uws-pack/],
    ["only newer packages", DEBIAN_12, newer, /36, expected glibc 2\.38 or later/],
    ["packages left out", newSystem, [NO_FILE], /without --omit=optional/],
  ] as const) {
    it(`says what to do: ${name}`, () => {
      assert.match(describeNoBinary(machine, { failed, choice: "auto" }), remedy);
    });
  }

  it("names the setting that leaves the others out", () => {
    const text = describeNoBinary(DEBIAN_12, { failed: [NO_FILE], choice: "uws-pack" });
    assert.match(text, /, or the setting uws left at "auto"\. Tried:/);
  });
});

describe("readMachine()", () => {
  it("knows the version of the C library", { skip: process.platform !== "linux" }, () => {
    const { glibc, abi, nodeVersion } = readMachine();
    assert.match(glibc ?? "", /^2\.\d+$/);
    assert.deepEqual([abi, nodeVersion], [process.versions.modules, process.version]);
  });
});
