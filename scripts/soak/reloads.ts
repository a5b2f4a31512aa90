import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Reloads } from "../../test/helpers/reloads.ts";
import { startServer, type TestServer } from "../../test/helpers/start-server.ts";
import type { Way } from "../../runtime/drill/open-loop.ts";
import { Disturbance, judgeTimes } from "./disturbance.ts";
import { PYTHON_DIR, pythonFlags, soakOf, type Language } from "./language.ts";
import { atLeast, milliseconds, none, shown, type Soak, queueFlags } from "./soak.ts";
import type { Scope } from "./scope.ts";
import { Traffic } from "./traffic.ts";

const RELOADS = 100;
const BRIEF_RELOADS = 9;

/** Connections of each of the four kinds of clients, and the rate of all. */
const CONNECTIONS = 8;
const REQUESTS_PER_SECOND = 200;

/** Load before the first reload, for comparison. */
const STEADY_SECONDS = 10;
const BRIEF_STEADY_SECONDS = 2;

/** Load between two reloads. */
const PAUSE_MS = 100;

/** The longest boot where no worker comes to its end. Other boots may take longer, on a busy machine. */
const SHORT_BOOT = "4s";

/** Most p99 with reloads, as a multiple of the p99 without. */
const P99_TIMES = 3;

const CONFIG = "edgicorn.config.json";

/** A module that the Python application imports. */
const TURN = "site/turn.py";
const PYTHON_APP = readFileSync(join(PYTHON_DIR, "app.py"), "utf8");

const HANDLERS = {
  "index.ts": `export default () => new Response("hello");`,
  "echo/[n].ts": `export default (request) => new Response(request.body);`,
  "fails.ts": `export default () => { throw new Error("fails"); };`,
} as const;

/** A way to break a reload. Applying it returns a function that undoes it. */
interface Breakage {
  readonly name: string;
  readonly apply: (server: TestServer) => () => void;
  /** Must match the refusal. */
  readonly refusal: RegExp;
}

/** Breakages of the settings, in both languages. */
const COMMON: readonly Breakage[] = [
  {
    name: "warm-up failing",
    apply: replaceFile(CONFIG, JSON.stringify({ warmup: ["/fails"] })),
    refusal: /answered GET \/fails with 500/,
  },
  {
    name: "bad certificate",
    apply: replaceFile("certs/localhost.crt", "no certificate"),
    refusal: /localhost\.crt/,
  },
  {
    name: "bad config",
    apply: replaceFile(CONFIG, JSON.stringify({ sendTimeout: -1 })),
    refusal: /sendTimeout/,
  },
];

/** The code of a language, and the ways to break it. */
interface Code {
  readonly start: (scope: Scope, flags: readonly string[]) => Promise<TestServer>;
  /** Changes the code, so that all workers are new. */
  readonly change: (server: TestServer, turn: number) => void;
  readonly breakages: readonly Breakage[];
}

const CODES: Readonly<Record<Language, Code>> = {
  javascript: {
    start: (scope, flags) =>
      startServer(scope, {
        workers: 2,
        handlers: HANDLERS,
        files: { [CONFIG]: "{}" },
        https: true,
        flags,
      }),
    change: (server, turn) => {
      const text = `export default () => new Response("${turn}");`;
      writeFileSync(join(server.handlersDir, "turn.ts"), text);
    },
    breakages: [
      {
        name: "syntax error",
        apply: breakHandler("\n\nexport default (;"),
        refusal: /broken\.ts:3/,
      },
      {
        name: "throw at import",
        apply: breakHandler(`throw new Error("at import");`),
        refusal: /broken\.ts/,
      },
      ...COMMON,
      bootOverTime(breakHandler("await new Promise((resolve) => setTimeout(resolve, 3_600_000));")),
    ],
  },
  python: {
    start: (scope, flags) =>
      startServer(scope, {
        workers: 2,
        handlers: {},
        files: { [CONFIG]: "{}", "site/app.py": `import turn\n${PYTHON_APP}`, [TURN]: "" },
        https: true,
        flags: [...flags, ...pythonFlags("site")],
      }),
    change: (server, turn) => writeFileSync(join(server.dir, TURN), `TURN = ${turn}\n`),
    breakages: [
      {
        name: "syntax error",
        apply: replaceFile(TURN, "\n\nTURN = (\n"),
        refusal: /turn\.py:3/,
      },
      {
        name: "raise at import",
        apply: replaceFile(TURN, `raise ValueError("at import")\n`),
        refusal: /turn\.py/,
      },
      ...COMMON,
      bootOverTime(replaceFile(TURN, "import time\ntime.sleep(3600)\n")),
    ],
  },
};

/** Reloads under a steady load, every third one broken: clients must not notice. */
export const reloads: Soak = reloadsOf("javascript");

/** The same, with a Python application. */
export const reloadsPython: Soak = reloadsOf("python");

function reloadsOf(language: Language): Soak {
  return soakOf(language, {
    name: "reloads",
    about: "reloads under steady load, every third broken in another way: no client notices",
    async run({ scope, seed, brief, say }) {
      const code = CODES[language];
      const server = await code.start(scope, [...queueFlags(brief), "--access-log", "off"]);
      const disturbance = new Disturbance(server.pid);
      const traffic = await startTraffic(scope, server);
      await delay((brief ? BRIEF_STEADY_SECONDS : STEADY_SECONDS) * 1000);
      const steady = await traffic.cut();
      const done = await reloadOften(server, code, {
        times: brief ? BRIEF_RELOADS : RELOADS,
        // A brief run has some kinds only: the seed decides which ones.
        first: seed,
        say,
      });
      const beside = await traffic.cut();
      const { cores } = disturbance;
      await traffic.stop();
      return [
        atLeast("reloads that took over", done.good, 1),
        shown("reloads refused, as they must be", done.refused),
        shown("requests", beside.count + steady.count),
        none("requests that failed, and connections closed", traffic.losses),
        shown("p99 without reloads", milliseconds(steady.p99Ms)),
        shown("p99 with reloads", milliseconds(beside.p99Ms)),
        ...judgeTimes(beside.p99Ms / steady.p99Ms, { cores, brief, most: P99_TIMES }),
      ];
    },
  });
}

/** Starts four kinds of clients: HTTP and HTTPS, on kept and new connections. */
function startTraffic(scope: Scope, server: TestServer): Promise<Traffic> {
  const way = (secure: boolean, fresh: boolean): Way => ({
    endpoint: { port: server.port(secure ? "https" : "http"), secure },
    fresh,
    ready: CONNECTIONS,
    most: CONNECTIONS,
  });
  return Traffic.start(scope, {
    ways: [way(false, false), way(false, true), way(true, false), way(true, true)],
    perSecond: REQUESTS_PER_SECOND,
  });
}

/** @throws AssertionError or Error for a reload with another result than expected. */
async function reloadOften(
  server: TestServer,
  { change, breakages }: Code,
  { times, first, say }: { times: number; first: number; say: (line: string) => void },
): Promise<{ good: number; refused: number }> {
  const orders = new Reloads(server);
  const done = { good: 0, refused: 0 };
  for (let time = 1; time <= times; time++) {
    change(server, time);
    const breakage = breakages[(first + time / 3) % breakages.length];
    if (time % 3 === 0 && breakage !== undefined) {
      const undo = breakage.apply(server);
      const message = await orders.refused();
      undo();
      if (!breakage.refusal.test(message)) {
        throw new Error(`${breakage.name}: refused for another reason: ${message}`);
      }
      say(`reload ${time}: refused, ${breakage.name}`);
      done.refused++;
    } else {
      await orders.next();
      done.good++;
    }
    await delay(PAUSE_MS);
  }
  return done;
}

/** @param hang Makes a worker boot for ever. */
function bootOverTime(hang: Breakage["apply"]): Breakage {
  return {
    name: "boot over time",
    apply(server) {
      const undo = [
        replaceFile(CONFIG, JSON.stringify({ bootTimeout: SHORT_BOOT }))(server),
        hang(server),
      ];
      return () => undo.forEach((each) => each());
    },
    refusal: /Cannot/,
  };
}

function breakHandler(text: string): Breakage["apply"] {
  return (server) => {
    const path = join(server.handlersDir, "broken.ts");
    writeFileSync(path, text);
    return () => rmSync(path);
  };
}

function replaceFile(name: string, text: string): Breakage["apply"] {
  return (server) => {
    const path = join(server.dir, name);
    const before = readFileSync(path);
    writeFileSync(path, text);
    return () => writeFileSync(path, before);
  };
}
