import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { DEFAULT_FILE_SETTINGS, FilePolicy } from "../../runtime/files/file-policy.ts";
import { isHashedName } from "../../runtime/files/hashed-name.ts";
import { IMMUTABLE } from "../../runtime/lib/cache-rules.ts";

/** Names that tools gave to files of their builds. */
const HASHED = [
  "/app.3f9a1c2b.js", // webpack
  "/static/js/main.0f3c8a12.chunk.js", // Create React App
  "/static/js/main.0f3c8a12.js.map",
  "/123.abcdef0123456789abcd.js", // webpack, 20 digits
  "/assets/index-D8wr3Tda.js", // Vite
  "/assets/logo-C9x_k2Pb.svg",
  "/assets/vendor.4e9d1f0a.js", // Vite 2
  "/chunk-X2ABC7DE.js", // esbuild
  "/main-K5TRWQ2P.js", // Angular
  "/_astro/hoisted.BxYZabCd.js", // Astro
  "/_app/immutable/entry/start.CamelCas.js", // SvelteKit
  "/_next/static/Xy12/_buildManifest.js", // Next.js
  "/css/base.e7b6c2f1a9d0.css", // Django
  "/assets/application-3e6fb9d2c7a14f58b0e1d3a4c5f60718e6fb9d2c7a14f58b0e1d3a4c5f607182.css", // Rails
  "/app.3f9a1c2b.js.br",
];

const PLAIN = [
  "/jquery.min.js",
  "/2024-report.pdf",
  "/report-20240131.pdf",
  "/photo-20240131.jpg",
  "/app.js",
  "/main.bundle.js",
  "/jquery-3.7.1.min.js",
  "/bootstrap-datepicker.js",
  "/app-settings.js",
  "/guide-Chapter1.png",
  "/plan-2024Plan.png",
  "/page-MyModule.js",
  "/data-REPORT24.json",
  "/font-deadbeef.woff2", // a word
  "/icon-12345678.png",
  "/index.3f9a1c2b.html", // a page
  "/sw.js",
  "/photo-550e8400-e29b-41d4-a716-4466554400ab.jpg", // a UUID is no hash
  "/3f9a1c2b.js", // nothing before it
  "/assets/3f9a1c2b/app.js",
  "/app.3f9a1c2.js", // seven digits
  "/.well-known/assetlinks.json",
  "/a.b_c-d_e1F-.js",
  "/",
];

describe("isHashedName()", () => {
  for (const path of HASHED) it(`takes ${path} for one`, () => assert.ok(isHashedName(path)));
  for (const path of PLAIN)
    it(`does not take ${path} for one`, () => assert.ok(!isHashedName(path)));
});

describe("isHashedName() among its siblings", () => {
  const vite = [
    "index-DiwrgTda.js",
    "index-B8xk2Pbq.css",
    "About-QwErTyUi.js",
    "logo-MyImages.png",
  ];
  const rows: [path: string, siblings: string[], expected: boolean][] = [
    ["/assets/index-DiwrgTda.js", vite, true],
    ["/assets/index-DiwrgTda.js.map", vite, true],
    ["/assets/logo-MyImages.png", vite, false],
    ["/assets/index-DiwrgTda.js", [...vite, "hand.js"], false],
    ["/assets/index-DiwrgTda.js", ["index-DiwrgTda.js", "page-MyModule.js"], false],
    ["/assets/index-DiwrgTda.js", ["index-DiwrgTda.js"], false],
    ["/assets/app-settings.js", ["app-settings.js", "index-B8xk2Pbq.css"], false],
  ];
  for (const [path, siblings, expected] of rows) {
    it(`${expected ? "takes" : "does not take"} ${path} for one among ${siblings.join()}`, () => {
      assert.equal(isHashedName(path, siblings), expected);
    });
  }
});

describe("FilePolicy.cacheControlOf()", () => {
  const settings = DEFAULT_FILE_SETTINGS;

  it("lets the first pattern decide, and then the name", () => {
    const policy = new FilePolicy({
      ...settings,
      cacheControl: {
        isAutomatic: true,
        rules: [
          ["/assets/keep.css", "no-store"],
          ["/assets/**", IMMUTABLE],
          ["*.pdf", "public, max-age=60"],
          ["sw.js", null],
        ],
      },
    });
    const rows: [string, string | null][] = [
      ["/assets/keep.css", "no-store"],
      ["/assets/a.css", IMMUTABLE],
      ["/assets/deep/er.css", IMMUTABLE],
      ["/assets", "no-cache"],
      ["/x/a b.pdf", "public, max-age=60"],
      ["/sw.js", null],
      ["/x/sw.js", null],
      ["/app.3f9a1c2b.js", IMMUTABLE],
      ["/index.html", "no-cache"],
    ];
    for (const [path, expected] of rows) assert.equal(policy.cacheControlOf(path), expected, path);
  });

  it("gives no field when it is off", () => {
    const policy = new FilePolicy({ ...settings, cacheControl: { isAutomatic: false, rules: [] } });
    for (const path of ["/app.3f9a1c2b.js", "/index.html"]) {
      assert.equal(policy.cacheControlOf(path), null);
    }
  });
});
