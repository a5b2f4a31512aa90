import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import type { TestServer } from "../helpers/start-server.ts";
import { type Owner, temporaryFolder } from "../helpers/temporary-folder.ts";
import { readPieces, startRecipe, type RecipeOptions } from "./recipe.ts";

/** Longest wait for anything in a page, on a slow machine. */
const PATIENCE_MS = 120_000;

/** Debian's. Another browser would have to be downloaded. */
const CHROMIUM = "/usr/bin/chromium";

/** What is used of playwright-core, which belongs to the project of the recipes. */
interface Page {
  goto(url: string, options?: { waitUntil: "commit" }): Promise<unknown>;
  textContent(selector: string): Promise<string | null>;
  click(selector: string): Promise<void>;
  fill(selector: string, text: string): Promise<void>;
  setInputFiles(selector: string, file: object): Promise<void>;
  waitForSelector(selector: string): Promise<unknown>;
  evaluate<T>(code: string): Promise<T>;
  setDefaultTimeout(ms: number): void;
  on(event: "pageerror", listener: (error: Error) => void): void;
  on(event: "response", listener: (response: { url(): string; status(): number }) => void): void;
}

interface Browser {
  newPage(): Promise<Page>;
  close(): Promise<void>;
}

interface Playwright {
  chromium: { launchPersistentContext(dir: string, options: object): Promise<Browser> };
}

interface App extends RecipeOptions {
  name: string;
  heading: RegExp;
  /** Page whose end comes later than its beginning. */
  slow: string;
  checkWithoutBrowser?: (server: TestServer) => Promise<void>;
}

const APPS: readonly App[] = [
  {
    name: "react-router",
    build: ["react-router", "build"],
    heading: /^Hello from \/$/,
    slow: "/slow",
    async checkWithoutBrowser(server) {
      const { pieces, text } = await readPieces(await server.fetch("/slow", { headers: BROWSER }));
      assert.ok(pieces > 1, `${pieces} pieces`);
      assert.ok(text.indexOf("At once") < text.indexOf("came later"));
    },
  },
  {
    name: "sveltekit",
    build: ["vite", "build"],
    // Without ORIGIN it takes every site for one with TLS, and refuses forms from any other.
    https: true,
    slow: "/",
    heading: /^Hello from (127\.0\.0\.1|::1) at https:\/\/localhost:\d+$/,
  },
  {
    name: "astro",
    build: ["astro", "build"],
    heading: /^Hello from 127\.0\.0\.1 at \/$/,
    slow: "/",
    async checkWithoutBrowser(server) {
      // A page that the build made is a file.
      const page = await server.fetch("/about/");
      assert.match(await page.text(), /Made when it was built/);
      assert.match(page.headers.get("etag") ?? "", /./);
    },
  },
];

describe("recipes with pages", { timeout: 600_000 }, () => {
  const skip = existsSync(CHROMIUM) ? false : `${CHROMIUM} is missing: apt-get install chromium`;
  for (const { name, heading, slow, checkWithoutBrowser, ...options } of APPS) {
    it(`${name}: pages, assets, forms, uploads and streams in a browser`, { skip }, async (t) => {
      const server = await startRecipe(t, name, options);
      const origin = options.https === true ? server.https : server.http;
      const page = await openPage(t);
      const problems: string[] = [];
      const assets: string[] = [];
      page.on("pageerror", (error) => problems.push(error.message));
      page.on("response", (response) => {
        const { pathname } = new URL(response.url());
        if (response.status() >= 400 && pathname !== "/favicon.ico") {
          problems.push(`${response.status()} ${pathname}`);
        }
        if (/\.(js|css)$/.test(pathname)) assets.push(pathname);
      });

      await page.goto(`${origin}/`);
      assert.match((await page.textContent("h1")) ?? "", heading);
      assert.ok(assets.length > 0, "assets were loaded");
      const color = await page.evaluate("getComputedStyle(document.querySelector('h1')).color");
      assert.equal(color, "rgb(0, 0, 255)", "the style sheet counts");
      await untilHydrated(page);

      await page.fill("input[name=name]", "Zoë");
      await page.click("#send");
      await page.waitForSelector("#result:has-text('Thanks, Zoë')");
      const file = {
        name: "a.bin",
        mimeType: "application/octet-stream",
        buffer: Buffer.alloc(400_000),
      };
      await page.setInputFiles("input[name=file]", file);
      await page.click("#upload");
      await page.waitForSelector("#result:has-text('a.bin: 400000 bytes')");

      await page.goto(origin + slow);
      await page.waitForSelector("#late:has-text('came later')");
      const streamed = await page.evaluate<string[]>(EVENTS);
      assert.deepEqual(streamed, ["1", "2", "3"]);
      assert.deepEqual(problems, []);
      await checkWithoutBrowser?.(server);
      assert.equal(server.workers.size, 1, "no worker was lost");
    });
  }
});

/** Opens a page in a browser of its own, without a sandbox, since tests may run as root. */
async function openPage(t: Owner): Promise<Page> {
  const require = createRequire(join(import.meta.dirname, "package.json"));
  // Its types are there only when the packages of the recipes are.
  const { chromium } = require("playwright-core") as Playwright;
  let browser: Browser | null = null;
  // The browser goes before its folder.
  t.after(() => browser?.close());
  browser = await chromium.launchPersistentContext(temporaryFolder(t), {
    executablePath: CHROMIUM,
    headless: true,
    timeout: PATIENCE_MS,
    ignoreHTTPSErrors: true,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  return page;
}

/** Clicks until the page counts. Before the script has run, a click does nothing. */
async function untilHydrated(page: Page): Promise<void> {
  while ((await page.textContent("button")) === "count 0") {
    await page.click("button");
    await delay(50);
  }
}

/** Bots get pages whole: React Router goes by this field. */
const BROWSER = { "user-agent": "Mozilla/5.0 (X11; Linux x86_64)" };

/** Runs in the page: collects the messages of an event stream. */
const EVENTS = `new Promise((resolve, reject) => {
  const texts = [];
  const source = new EventSource("/events");
  source.onmessage = ({ data }) => {
    texts.push(data);
    if (texts.length < 3) return;
    source.close();
    resolve(texts);
  };
  setTimeout(reject, ${PATIENCE_MS}, new Error("no events"));
})`;
