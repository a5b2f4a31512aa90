import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { type BannerInfo, formatBanner, resolveTerminal } from "../../runtime/server/banner.ts";

const info: BannerInfo = {
  version: "1.2.3",
  mode: "production",
  addresses: ["http://localhost:8080", "https://localhost:8443"],
  routes: [
    { methods: [], pattern: "/", file: "index.ts" },
    { methods: ["GET", "POST"], pattern: "/users/:id", file: "users/[id].ts" },
  ],
  handlersDir: "handlers",
  publicFiles: { dir: "public", count: 1 },
  variables: "3 variables from .env, .env.local",
  workers: [{ pid: 11 }, { pid: 12 }],
  certificate: {
    origin: "development",
    dir: "certs",
    created: true,
    names: ["localhost"],
    notAfterMs: 0,
  },
  library: null,
  engine: null,
  pid: 10,
  startedInMs: 412.3,
};
const plain = { color: false, columns: 80, unicode: false };

describe("formatBanner()", () => {
  it("says what a newcomer needs", () => {
    assert.equal(
      formatBanner(info, plain),
      `
  Edgicorn 1.2.3  production, up in 412 ms

  > http://localhost:8080
  > https://localhost:8443

  routes    2 from handlers/
    any       /           index.ts
    GET,POST  /users/:id  users/[id].ts
  files     1 file from public/
  env       3 variables from .env, .env.local
  workers   2 (pid 11, 12)
  https     development certificate made in certs/: browsers will warn. Put your
            own NAME.crt and NAME.key there.
  stop      Ctrl+C, or kill 10: both finish open requests

`,
    );
  });

  it("names the library that an operator chose", () => {
    const banner = formatBanner({ ...info, library: "uws-pack 20.0.8" }, plain);
    assert.match(banner, /\n {2}library {3}uWebSockets\.js from uws-pack 20\.0\.8\n/);
  });

  it("names the upstreams of proxies, and misses no handlers beside them", () => {
    const proxies = ["http://127.0.0.1:3000", "api"];
    const both = formatBanner({ ...info, proxies }, plain);
    assert.match(both, /\n {2}routes {4}2 from handlers\/\n/);
    assert.match(both, /\n {2}proxy {5}http:\/\/127\.0\.0\.1:3000, api\n/);
    const alone = formatBanner({ ...info, proxies, routes: [], workers: [] }, plain);
    assert.match(alone, /\n {2}proxy {5}http:/);
    assert.doesNotMatch(alone, /routes|none/);
  });

  it("keeps to a narrow terminal", () => {
    const banner = formatBanner(info, { ...plain, columns: 44 });
    for (const line of banner.split("\n")) assert.ok(line.length <= 44, line);
  });

  it("colours nothing but the same text", () => {
    const banner = formatBanner(info, { ...plain, color: true });
    assert.notEqual(banner, formatBanner(info, plain));
    assert.equal(stripVTControlCharacters(banner), formatBanner(info, plain));
  });

  it("is ASCII unless the terminal takes more", () => {
    assert.match(formatBanner(info, plain), /^[\n -~]*$/);
    assert.ok(formatBanner(info, { ...plain, unicode: true }).includes("➜ http://"));
  });

  it("shows the first routes of many", () => {
    const routes = Array.from({ length: 40 }, (_, index) => ({
      methods: [],
      pattern: `/r${index}`,
      file: `r${index}.ts`,
    }));
    const banner = formatBanner({ ...info, routes }, plain);
    assert.ok(banner.includes("40 from handlers/"));
    assert.ok(banner.includes("/r11") && !banner.includes("/r12"));
    assert.ok(banner.includes("    and 28 more\n"));
  });

  it("helps with an empty folder, and names the operator's certificate", () => {
    const banner = formatBanner(
      {
        ...info,
        routes: [],
        publicFiles: null,
        certificate: {
          origin: "operator",
          dir: "certs",
          created: false,
          names: ["a.test", "*.a.test"],
          notAfterMs: Date.UTC(2030, 0, 2),
        },
      },
      plain,
    );
    assert.ok(banner.includes("none yet: put a handler in handlers/, such as handlers/hello.ts"));
    assert.ok(banner.includes("https     a.test, *.a.test from certs/, valid until 2030-01-02"));
    assert.ok(!banner.includes("files"));
  });
});

describe("resolveTerminal()", () => {
  const terminal = { isTTY: true, columns: 100 };
  const cases: [string, Parameters<typeof resolveTerminal>, ReturnType<typeof resolveTerminal>][] =
    [
      [
        "a terminal with UTF-8",
        [terminal, { LANG: "en_GB.UTF-8" }],
        { color: true, columns: 100, unicode: true },
      ],
      ["NO_COLOR", [terminal, { NO_COLOR: "1" }], { color: false, columns: 100, unicode: false }],
      [
        "an empty NO_COLOR",
        [terminal, { NO_COLOR: "" }],
        { color: true, columns: 100, unicode: false },
      ],
      [
        "LC_ALL before LANG",
        [terminal, { LC_ALL: "C", LANG: "C.UTF-8" }],
        { color: true, columns: 100, unicode: false },
      ],
      [
        "a dumb terminal",
        [terminal, { TERM: "dumb", LANG: "C.UTF-8" }],
        { color: false, columns: 100, unicode: false },
      ],
      ["a pipe", [{}, {}], { color: false, columns: 80, unicode: false }],
      ["FORCE_COLOR", [{}, { FORCE_COLOR: "1" }], { color: true, columns: 80, unicode: false }],
    ];
  for (const [title, given, expected] of cases) {
    it(`knows ${title}`, () => assert.deepEqual(resolveTerminal(...given), expected));
  }
});
