import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Invocation, parseArguments } from "../../runtime/cli/arguments.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { SETTING_NAMES, flagName } from "../../runtime/config/settings.ts";

describe("parseArguments()", () => {
  const accepted: [argv: string[], invocation: Invocation][] = [
    [[], { command: "start", mode: "production", flags: {} }],
    [["start"], { command: "start", mode: "production", flags: {} }],
    [["dev"], { command: "dev", mode: "development", flags: {} }],
    [["init"], { command: "init", template: null }],
    [
      ["dev", "--env-file", "a.env", "--env-file=b.env"],
      { command: "dev", mode: "development", flags: { envFile: "a.env,b.env" } },
    ],
    [["init", "--template", "hono"], { command: "init", template: "hono" }],
    [["--template=react", "init"], { command: "init", template: "react" }],
    [["help", "init"], { command: "help", about: "init" }],
    [["help"], { command: "help", about: null }],
    [["help", "dev"], { command: "help", about: "dev" }],
    [["-h"], { command: "help", about: null }],
    [["--http", "81", "--help"], { command: "help", about: null }],
    [["dev", "--help", "--nonsense"], { command: "help", about: "dev" }],
    [["reload", "-h", "now"], { command: "help", about: "reload" }],
    [["version"], { command: "version" }],
    [["-v"], { command: "version" }],
    [
      ["--http", "81", "--https=off"],
      { command: "start", mode: "production", flags: { http: "81", https: "off" } },
    ],
    [
      ["--http", "81", "dev", "--body-limit", "1mb", "--config", "c.ts"],
      {
        command: "dev",
        mode: "development",
        flags: { http: "81", bodyLimit: "1mb", config: "c.ts" },
      },
    ],
    [
      ["--workers", "1", "--workers", "2"],
      { command: "start", mode: "production", flags: { workers: "2" } },
    ],
    [
      ["check", "--workers", "3"],
      { command: "check", mode: "production", flags: { workers: "3" } },
    ],
    [["reload"], { command: "reload", flags: {}, json: false, id: null }],
    [
      ["status", "--json", "--state-dir", "s", "--config=c.ts"],
      { command: "status", flags: { stateDir: "s", config: "c.ts" }, json: true, id: null },
    ],
    [["prune"], { command: "prune" }],
    [
      ["fetch", "/users/7", "-d", "a", "-H", "x-a: b", "--include", "--handlers", "api"],
      {
        command: "fetch",
        flags: { handlers: "api" },
        wish: {
          method: "POST",
          url: "/users/7",
          fields: [["x-a", "b"]],
          data: ["a"],
          include: true,
        },
      },
    ],
    [
      ["shadow", "http://old.example", "--sample=10%", "--json", "--state-dir", "s"],
      {
        command: "shadow",
        flags: { stateDir: "s" },
        json: true,
        wish: {
          old: "http://old.example",
          request: { share: 0.1, withCredentials: false },
          ignored: [],
          keepHost: false,
          seconds: null,
        },
      },
    ],
    [["types"], { command: "types", flags: {}, check: false, output: null }],
    [
      ["types", "--check", "--output", "e.d.ts", "--handlers=api"],
      { command: "types", flags: { handlers: "api" }, check: true, output: "e.d.ts" },
    ],
    [["stop", "--help"], { command: "help", about: "stop" }],
    [
      ["drill", "--brief", "--seconds", "2", "--path=/a?b", "--workers", "3"],
      {
        command: "drill",
        flags: { workers: "3" },
        json: false,
        brief: true,
        path: "/a?b",
        seconds: 2,
        only: null,
      },
    ],
    [
      ["drill", "--only", "Fill-the-queue", "--only=kill a worker"],
      {
        command: "drill",
        flags: {},
        json: false,
        brief: false,
        path: null,
        seconds: null,
        only: ["fill the queue", "kill a worker"],
      },
    ],
    // Values are judged later, with those of other sources.
    [
      ["--http=", "--workers", "-1", "--certs=--odd"],
      { command: "start", mode: "production", flags: { http: "", workers: "-1", certs: "--odd" } },
    ],
  ];
  for (const [argv, invocation] of accepted) {
    it(`accepts ${argv.join(" ") || "nothing"}`, () => {
      assert.deepEqual(parseArguments(argv), invocation);
    });
  }

  it("has a flag for every setting", () => {
    for (const name of SETTING_NAMES) {
      const invocation = parseArguments([`--${flagName(name)}`, "x"]);
      assert.ok("mode" in invocation);
      assert.equal(invocation.flags[name], "x");
    }
  });

  const refused: [argv: string[], message: string][] = [
    [["relaod"], 'Cannot run relaod: found an unknown command, did you mean "reload"?'],
    [["reload", "now"], 'Cannot run reload: found "now", expected only flags after the command'],
    [
      ["reload", "--http", "81"],
      "Cannot use --http with reload: expected only --state-dir, --config, --env-file or --json",
    ],
    [["prune", "--http", "81"], "Cannot use --http with prune: it has no flags"],
    [["start", "--brief"], "Cannot use --brief with start: only drill has it"],
    [
      ["drill", "--seconds", "0"],
      'Cannot use --seconds: found "0", expected a number above 0, up to 3600',
    ],
    [
      ["drill", "--only", "kill-worker,reload"],
      'Cannot use --only: found "kill-worker" (did you mean "kill-a-worker"?), expected some of nothing, kill-a-worker, ' +
        "freeze-a-loop, break-a-deploy, reload, swap-a-certificate, fill-the-queue, shrink-memory",
    ],
    [["drill", "--only"], "Cannot use --only: found no value, expected --only VALUE"],
    [["drill", "--only", "--brief"], "Cannot use --only: found no value, expected --only VALUE"],
    [["drill", "--brief=yes"], 'Cannot use --brief: found "yes", expected it without a value'],
    [["status", "--json="], 'Cannot use --json: found "", expected it without a value'],
    [["start", "--only", "reload"], "Cannot use --only with start: only drill has it"],
    [["start", "--json"], "Cannot use --json with start: it prints no data"],
    [["relaod", "--help"], 'Cannot run relaod: found an unknown command, did you mean "reload"?'],
    [["help", "relaod"], 'Cannot run relaod: found an unknown command, did you mean "reload"?'],
    [["help", "reload", "x"], 'Cannot run help: found "x", expected one command after the command'],
    [["status", "--jsno"], 'Cannot use --jsno: found an unknown flag, did you mean "--json"?'],
    [["strat"], 'Cannot run strat: found an unknown command, did you mean "start"?'],
    [
      ["frobnicate"],
      'Cannot run frobnicate: found an unknown command, expected one that "edgicorn help" lists',
    ],
    [["--htp", "81"], 'Cannot use --htp: found an unknown flag, did you mean "--http"?'],
    [["--htp=81"], 'Cannot use --htp: found an unknown flag, did you mean "--http"?'],
    [["-x"], 'Cannot use -x: found an unknown flag, expected one that "edgicorn help" lists'],
    ...(
      [
        [["-p", "3000"], '-p: found an unknown flag, did you mean "--http"?'],
        [["-p3000"], '-p: found an unknown flag, did you mean "--http"?'],
        [["-b", ":8000"], '-b: found an unknown flag, did you mean "--http"?'],
        [["start", "-w", "4"], '-w: found an unknown flag, did you mean "--workers"?'],
        [["reload", "-c", "a.ts"], '-c: found an unknown flag, did you mean "--config"?'],
        [["--watch"], '--watch: found an unknown flag, did you mean the command "edgicorn dev"?'],
        [["-t"], '-t: found an unknown flag, did you mean the command "edgicorn check"?'],
        [
          ["-s", "reload"],
          '-s: found an unknown flag, did you mean the command "edgicorn reload"?',
        ],
        [["-s", "quit"], '-s: found an unknown flag, did you mean the command "edgicorn stop"?'],
        [["-s"], '-s: found an unknown flag, expected one that "edgicorn help" lists'],
        [
          ["reload", "-p", "80"],
          '-p: found an unknown flag, expected one that "edgicorn help" lists',
        ],
      ] satisfies [string[], string][]
    ).map(([argv, end]): [string[], string] => [argv, `Cannot use ${end}`]),
    [
      ["restart"],
      'Cannot run restart: found an unknown command, expected "edgicorn reload", or "edgicorn stop" and then "edgicorn start"',
    ],
    [["serve"], 'Cannot run serve: found an unknown command, did you mean "start"?'],
    [["--http"], "Cannot use --http: found no value, expected --http VALUE"],
    [["--http", "--https", "1"], "Cannot use --http: found no value, expected --http VALUE"],
    [
      ["start", "dev"],
      'Cannot run start: found "dev", expected only flags, or a Python application such as app:app, after the command',
    ],
    [
      ["--hots", "a", "--worker=2"],
      'Cannot use --hots: found an unknown flag, did you mean "--host"?\n' +
        'Cannot use --worker: found an unknown flag, did you mean "--workers"?',
    ],
  ];
  for (const [argv, message] of refused) {
    it(`refuses ${argv.join(" ")}`, () => {
      assert.throws(
        () => parseArguments(argv),
        (error) => {
          assert.ok(error instanceof RuntimeError && error.code === "ERR_CONFIG");
          assert.equal(error.message.replace(/\nUsage: [^\n]+$/, ""), message);
          return true;
        },
      );
    });
  }

  it("says what the command takes when a flag is refused", () => {
    const usages: [argv: string[], usage: string][] = [
      [["reload", "--frob"], "edgicorn reload [--state-dir DIR] [--config FILE] [--json]"],
      [
        ["rollback", "--http", "1"],
        "edgicorn rollback [ID] [--state-dir DIR] [--config FILE] [--json]",
      ],
      [["--frob"], "edgicorn start [MODULE:NAME] [flags]"],
    ];
    for (const [argv, usage] of usages) {
      assert.throws(
        () => parseArguments(argv),
        (error) => {
          const [, command = ""] = usage.split(" ");
          const line = `Usage: ${usage} ("edgicorn help ${command}" tells more)`;
          assert.ok(error instanceof RuntimeError && error.message.split("\n").at(-1) === line);
          return true;
        },
      );
    }
  });

  it("suggests for a command only flags that it has", () => {
    assert.throws(
      () => parseArguments(["reload", "--publc"]),
      /found an unknown flag, expected one/,
    );
    assert.throws(() => parseArguments(["reload", "--statedir=x"]), /did you mean "--state-dir"/);
  });
});
