import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as z from "zod/mini";
import { PACKAGE as REWRITER_PACKAGE } from "../../runtime/platform/html-rewriter.ts";
import { WEB_SOCKET_PACKAGE } from "../../runtime/platform/install-globals.ts";
import { COLUMNS, readColumn, toCell } from "../../scripts/web-api/page.ts";
import { readResults } from "../../scripts/web-api/read-results.ts";
import { COMMON, REASONS, WORKERS } from "../../scripts/web-api/requirements.ts";

const ROOT = join(import.meta.dirname, "../..");
const PAGE = readFileSync(join(ROOT, "docs/web-api.md"), "utf8");

describe("the globals of a worker", { timeout: 120_000 }, () => {
  const findings = readResults(process.execPath);

  it("are all that ECMA-429 asks for, and work, except those with a reason", () => {
    for (const { name, state, missing, problem } of findings) {
      assert.equal(problem, null, name);
      assert.deepEqual(missing, [], name);
      assert.ok(state !== "missing" || name in REASONS, `${name} is missing without a reason`);
    }
    assert.equal(findings.length, COMMON.length + WORKERS.length);
  });

  it("are those on the page: npm run docs writes it", () => {
    const major = process.versions.node.split(".")[0] ?? "";
    if (!COLUMNS.some((each) => each === major)) return;
    const column = readColumn(PAGE, major);
    assert.deepEqual(
      Object.fromEntries(findings.map((finding) => [finding.name, toCell(finding)])),
      Object.fromEntries(column),
    );
  });

  it("load nothing before their use, and stay as a program sets them", () => {
    const source = `
      import { createRequire } from "node:module";
      import { GlobalEvents } from "./runtime/platform/global-events.ts";
      import { installGlobals } from "./runtime/platform/install-globals.ts";
      const loaded = () => Object.keys(createRequire(import.meta.url).cache).join();
      const isLoaded = () => [/undici/, /html-rewriter/, /urlpattern/].map((name) => name.test(loaded()));
      globalThis.scheduler = "own";
      const getter = Object.getOwnPropertyDescriptor(globalThis, "crypto").get;
      const events = new GlobalEvents({ onReport() {} });
      installGlobals(events, console.error);
      const again = installGlobals(events, console.error);
      const first = isLoaded();
      new HTMLRewriter();
      globalThis.self = 5;
      console.log(JSON.stringify([again, first, isLoaded()[1], scheduler, self, process.listenerCount("rejectionHandled"),
        Object.keys(globalThis).includes("HTMLRewriter"), globalThis.crypto === Reflect.apply(getter, globalThis, [])]));`;
    const args = ["--import", "tsx", "--input-type=module", "--eval", source];
    const out = execFileSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
    assert.deepEqual(JSON.parse(out), [[], [false, false, false], true, "own", 5, 0, false, true]);
  });

  it("come from the packages that package.json pins", () => {
    const manifest = z.object({ optionalDependencies: z.record(z.string(), z.string()) });
    const { optionalDependencies } = manifest.parse(
      JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")),
    );
    for (const pinned of [REWRITER_PACKAGE, WEB_SOCKET_PACKAGE]) {
      const [name = "", version] = pinned.split("@");
      assert.equal(optionalDependencies[name], version, name);
    }
  });
});
