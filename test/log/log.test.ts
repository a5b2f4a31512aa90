import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createLogger, pickLogLook } from "../../runtime/log/log.ts";
import type { LogDestination } from "../../runtime/log/destination.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";

function capture(): LogDestination & { text: () => string } {
  let all = "";
  return {
    atomicBytes: 4096,
    droppedLines: 0,
    onLost: null,
    write: (lines) => void (all += lines),
    reopen: () => {},
    flushSync: () => {},
    close: async () => {},
    text: () => all,
  };
}

describe("createLogger()", () => {
  it("writes JSON with a level, a time and the process", async () => {
    const destination = capture();
    const log = await createLogger({ logLevel: "info" }, destination, {
      pretty: false,
      color: false,
    });
    log.child({ component: "front" }).info({ port: 8080 }, "listening");
    log.debug("not this");
    const line: unknown = JSON.parse(destination.text());
    assert.ok(typeof line === "object" && line !== null && "time" in line);
    assert.match(String(line.time), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(
      { ...line, time: "" },
      {
        level: "info",
        time: "",
        pid: process.pid,
        component: "front",
        port: 8080,
        msg: "listening",
      },
    );
  });

  it("hides credentials", async () => {
    const destination = capture();
    const log = await createLogger({ logLevel: "info" }, destination, {
      pretty: false,
      color: false,
    });
    const secret = {
      authorization: "SECRET",
      cookie: "SECRET",
      "set-cookie": ["SECRET"],
      host: "a",
    };
    log.info({ ...secret, headers: secret, request: { headers: secret } });
    log.child({ headers: secret }).info("from a child");
    assert.ok(!destination.text().includes("SECRET"), destination.text());
    assert.equal(destination.text().split("[redacted]").length, 1 + 3 * 3 + 3);
    assert.ok(destination.text().includes('"host":"a"'));
    const error = new Error("Cannot fetch https://a.example/?page=1&api_key=SECRET");
    log.error(
      { err: error, deep: { a: { b: { Cookie: "SECRET" } } } },
      "Authorization: Bearer SECRET",
    );
    assert.ok(!destination.text().includes("SECRET"), destination.text());
  });

  it("shows the code and the cause of an error", async () => {
    const destination = capture();
    const log = await createLogger({ logLevel: "info" }, destination, {
      pretty: false,
      color: false,
    });
    const cause = new Error("inner");
    log.error(new RuntimeError("ERR_LISTEN", "Cannot listen", { cause }));
    const line: unknown = JSON.parse(destination.text());
    assert.ok(typeof line === "object" && line !== null && "err" in line);
    assert.match(JSON.stringify(line.err), /"code":"ERR_LISTEN"/);
    assert.match(JSON.stringify(line.err), /inner/);
  });

  it("writes a readable line for terminals", async () => {
    const destination = capture();
    const log = await createLogger({ logLevel: "info" }, destination, {
      pretty: true,
      color: false,
    });
    log.warn({ workerId: 3 }, "worker exited");
    assert.match(
      destination.text(),
      /^\[\d\d:\d\d:\d\d\.\d{3}\] WARN: worker exited \{"workerId":3\}\n$/,
    );
  });
});

describe("createLogger(), on a terminal", () => {
  it("passes no control characters to the terminal", async () => {
    const destination = capture();
    const look = { pretty: true, color: false };
    const log = await createLogger({ logLevel: "info" }, destination, look);
    const evil = "\u001b]0;title\u0007\u009b2Jgone\rforged";
    log.info({ evil }, evil);
    // oxlint-disable-next-line no-control-regex -- the test looks for these
    assert.doesNotMatch(destination.text(), /[\0-\t\v-\x1f\x7f-\x9f]/);
    assert.match(destination.text(), /\\u001b\]0;title/);
  });
});

describe("pickLogLook()", () => {
  const cases: [Parameters<typeof pickLogLook>, ReturnType<typeof pickLogLook>][] = [
    [["auto", { isTTY: true, env: {} }], { pretty: true, color: true }],
    [["auto", { isTTY: false, env: {} }], { pretty: false, color: false }],
    [["pretty", { isTTY: false, env: {} }], { pretty: true, color: false }],
    [["json", { isTTY: true, env: {} }], { pretty: false, color: false }],
    [["auto", { isTTY: true, env: { NO_COLOR: "1" } }], { pretty: true, color: false }],
    [["auto", { isTTY: true, env: { TERM: "dumb" } }], { pretty: true, color: false }],
    [["pretty", { isTTY: false, env: { FORCE_COLOR: "1" } }], { pretty: true, color: true }],
  ];
  for (const [given, expected] of cases) {
    it(`is ${JSON.stringify(expected)} for ${JSON.stringify(given)}`, () => {
      assert.deepEqual(pickLogLook(...given), expected);
    });
  }
});
