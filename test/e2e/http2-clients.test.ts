import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { startServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const SCRIPTS = 40;
const STYLES = 30;
const IMAGES = 30;
const ASSETS = SCRIPTS + STYLES + IMAGES;

/** The results that the page of assets reports. */
interface PageReport {
  scripts: number;
  styles: number;
  images: number;
  protocols: string[];
  /** Assets for which the browser opened a connection. */
  connects: number;
}

const run = promisify(execFile);

/** Chromium starts slowly on a busy machine. */
const PROGRAM = { timeout: 240_000, maxBuffer: 16 * 1024 ** 2 } as const;

function pathOf(program: string): string | null {
  const dirs = (process.env["PATH"] ?? "").split(delimiter);
  return dirs.map((dir) => join(dir, program)).find((path) => existsSync(path)) ?? null;
}

function unless(program: string): string | false {
  return pathOf(program) === null ? `${program} is not installed` : false;
}

/** A page with 100 assets, each of its own content. Its script reports which of them have loaded, and how. */
function pageFiles(): Record<string, string> {
  const filler = "/* filler */\n".repeat(200);
  const files: Record<string, string> = {};
  for (const n of numbers(SCRIPTS)) files[`s${n}.js`] = `${filler}globalThis.sum += ${n + 1};`;
  for (const n of numbers(STYLES)) files[`c${n}.css`] = `${filler}#c${n} { width: ${n + 1}px }`;
  for (const n of numbers(IMAGES)) {
    const size = `width="${n + 1}" height="1"`;
    files[`i${n}.svg`] = `<svg xmlns="http://www.w3.org/2000/svg" ${size}></svg>`;
  }
  files["page.html"] = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
${numbers(STYLES)
  .map((n) => `<link rel="stylesheet" href="c${n}.css">`)
  .join("\n")}
<script>globalThis.sum = 0;</script>
${numbers(SCRIPTS)
  .map((n) => `<script src="s${n}.js"></script>`)
  .join("\n")}
${numbers(STYLES)
  .map((n) => `<div id="c${n}"></div>`)
  .join("\n")}
${numbers(IMAGES)
  .map((n) => `<img src="i${n}.svg">`)
  .join("\n")}
<pre id="report"></pre>
<script>
onload = () => {
  const entries = performance.getEntriesByType("resource");
  const styles = [...document.querySelectorAll("div")];
  const images = [...document.images];
  document.querySelector("#report").textContent = JSON.stringify({
    scripts: sum,
    styles: styles.filter((each, n) => each.offsetWidth === n + 1).length,
    images: images.filter((each, n) => each.naturalWidth === n + 1).length,
    protocols: [...new Set(entries.map((each) => each.nextHopProtocol))],
    connects: entries.filter((each) => each.connectEnd > each.connectStart).length,
  });
};
</script>`;
  return files;
}

describe("clients of HTTP/2", { timeout: 600_000 }, () => {
  it("get 100 assets right over one connection", async (t) => {
    const server = await startServer(t, {
      handlers: {},
      public: pageFiles(),
      https: true,
      flags: ["--http2", "on", "--access-log", "off"],
    });
    const page = `${server.https}/page.html`;

    await t.test("Chromium", { skip: unless("chromium") }, async (inner) => {
      const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors"];
      const profile = `--user-data-dir=${temporaryFolder(inner)}`;
      const { stdout } = await run("chromium", [...flags, profile, "--dump-dom", page], PROGRAM);
      const [, text = ""] = /<pre id="report">(.*?)<\/pre>/.exec(stdout) ?? [];
      // The page writes it.
      const report = JSON.parse(text) as PageReport;
      const { connects, ...rest } = report;
      const scripts = (SCRIPTS * (SCRIPTS + 1)) / 2;
      assert.deepEqual(rest, { scripts, styles: STYLES, images: IMAGES, protocols: ["h2"] });
      assert.ok(connects <= 1, `${connects} connections beside that of the page`);
    });

    await t.test("nghttp", { skip: unless("nghttp") }, async () => {
      const { stdout } = await run("nghttp", ["--no-verify-peer", "-ans", page], PROGRAM);
      const answered = stdout.match(/^ *\d+ .* 200 +\S+ \/\S+$/gm) ?? [];
      assert.equal(answered.length, ASSETS + 1, stdout);
    });

    await t.test("h2load", { skip: unless("h2load") }, async () => {
      const { stdout } = await run("h2load", ["-n", "2000", "-c", "4", "-m", "20", page], PROGRAM);
      assert.match(stdout, /2000 succeeded, 0 failed, 0 errored/);
    });

    await t.test("curl", { skip: unless("curl") }, async () => {
      const urls = Array.from({ length: SCRIPTS }, (_, n) => `${server.https}/s${n}.js`);
      const args = ["-sk", "--http2", "-w", "\n%{http_version} %{num_connects}\n", ...urls];
      const { stdout } = await run("curl", args, PROGRAM);
      const notes = stdout.match(/^2 \d+$/gm) ?? [];
      assert.equal(notes.length, SCRIPTS);
      assert.equal(notes.filter((note) => note === "2 1").length, 1, "one connection");
    });
  });
});

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
