import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { summarize } from "../../runtime/drill/latencies.ts";
import type { Status } from "../../runtime/control/operations.ts";
import { askServer } from "../../test/helpers/ask-server.ts";
import { HttpClient } from "../../test/helpers/http-client.ts";
import { Load } from "../../test/helpers/load.ts";
import { Reloads } from "../../test/helpers/reloads.ts";
import { startServer, type TestServer } from "../../test/helpers/start-server.ts";
import { Disturbance, ifQuiet } from "./disturbance.ts";
import { judgeEcho } from "./judge-echo.ts";
import { type Random, sequence } from "./random.ts";
import { atLeast, atMost, milliseconds, none, shown, type Figure, type Soak } from "./soak.ts";
import { UpstreamProcess } from "./upstream-process.ts";

const UPSTREAMS = 3;
const CONNECTIONS = 32;
const BRIEF_SECONDS = 10;

/** How long an upstream may take for the first byte. */
const FIRST_BYTE_MS = 3000;

/** How long a killed upstream is away, and how long a paused one is stopped. */
const AWAY_MS = 700;
const PAUSED_MS = 6000;

/** Longest time until a paused upstream is out: requests must be sent to it first. */
const MOST_UNTIL_OUT_MS = FIRST_BYTE_MS + 500;

const CONFIG_FILE = "edgicorn.config.json";

/** Time for an upstream that works again to come back: twice the longest time for which one is out in a soak. */
const RETURN_MS = 120_000;

/** The parts of a round, in their order. */
type Phase = "disturbed" | "quiet" | "removed";

/** The end of one request. */
interface Sample {
  readonly id: string;
  readonly method: "GET" | "POST";
  /** The phases in which it began and ended. */
  readonly phases: readonly [Phase, Phase];
  readonly ms: number;
  /** Status or error of a failed request. */
  readonly failed: string | null;
  readonly wrong: string | null;
}

/**
 * Kills, pauses and restarts two of three upstreams at a time, under GETs and POSTs: GETs go to another upstream, POSTs
 * never run twice, and an upstream that works again gets requests again. Then a reload takes one upstream out of the config, before its
 * process ends: no request notices.
 */
export const upstreams: Soak = {
  name: "upstreams",
  about: "kill -9, pause and restart two of three upstreams: no GET fails, no POST runs twice",
  alone: true,
  async run({ scope, seed, seconds, brief, say }) {
    const random = sequence(seed);
    const all: UpstreamProcess[] = [];
    for (let each = 0; each < UPSTREAMS; each++) all.push(await UpstreamProcess.start(scope));
    const server = await startServer(scope, {
      handlers: {},
      workers: 1,
      files: { [CONFIG_FILE]: toConfig(all) },
      flags: ["--access-log", "off"],
    });
    const reloads = new Reloads(server);
    const disturbance = new Disturbance(server.pid);
    const client = new HttpClient(scope, server.http, { connections: CONNECTIONS });
    let phase: Phase = "quiet";
    const load = new Load(scope, CONNECTIONS, (number) => send(client, number, () => phase));
    const use = async (upstreamsOfConfig: readonly UpstreamProcess[]): Promise<void> => {
      writeFileSync(join(server.dir, CONFIG_FILE), toConfig(upstreamsOfConfig));
      await reloads.next();
    };
    const untilOutMs: number[] = [];
    const returnsMs: number[] = [];
    const endMs = performance.now() + (brief ? BRIEF_SECONDS : seconds) * 1000;
    while (returnsMs.length === 0 || performance.now() < endMs) {
      const [paused, killed] = pickTwo(all, random);
      phase = "disturbed";
      const logged = server.logs.length;
      const startMs = performance.now();
      paused.pause();
      await killed.kill();
      await untilLogged(server, { logged, msg: "upstream server is out", upstream: paused.url });
      untilOutMs.push(performance.now() - startMs);
      await delay(AWAY_MS);
      await killed.start();
      await delay(Math.max(0, startMs + PAUSED_MS - performance.now()));
      const resumedMs = performance.now();
      paused.resume();
      for (const { url: upstream } of [paused, killed]) {
        await untilLogged(server, { logged, msg: "upstream server is up", upstream });
      }
      returnsMs.push(performance.now() - resumedMs);

      phase = "quiet";
      await delay(FIRST_BYTE_MS);
      phase = "removed";
      await use(all.filter((upstream) => upstream !== killed));
      await untilDrained(server);
      await killed.kill();
      await killed.start();
      const known = server.logs.length;
      await use(all);
      phase = "quiet";
      const { url: upstream } = killed;
      await untilLogged(server, { logged: known, msg: "upstream server is up", upstream });
      say(`round ${returnsMs.length}`);
    }
    const samples = await load.stop();
    await server.stop();
    return [
      shown("rounds", returnsMs.length),
      ...judge(samples, all),
      ifQuiet(
        atMost(
          "until a paused upstream was out",
          Math.max(...untilOutMs),
          MOST_UNTIL_OUT_MS,
          milliseconds,
        ),
        { cores: disturbance.cores, brief },
      ),
      shown("slowest return of both", milliseconds(Math.max(...returnsMs))),
    ];
  },
};

function toConfig(all: readonly UpstreamProcess[]): string {
  return JSON.stringify({
    proxy: "soak",
    upstreams: {
      soak: {
        servers: all.map(({ url }) => url),
        firstByteTimeout: `${FIRST_BYTE_MS}ms`,
        connectTimeout: "1s",
        // The load waits for its answers, and a slow machine must not judge the wait.
        queueDelay: "0s",
        queueTimeout: "60s",
      },
    },
  });
}

function judge(samples: readonly Sample[], all: readonly UpstreamProcess[]): Figure[] {
  const gets = samples.filter(({ method }) => method === "GET");
  const posts = samples.filter(({ method }) => method === "POST");
  const failedPosts = posts.flatMap(({ failed }) => failed ?? []);
  const runs = all.flatMap((upstream) => upstream.posts);
  const seen = new Set<string>();
  const twice = runs.filter((id) => {
    const isTwice = seen.has(id);
    seen.add(id);
    return isTwice;
  });
  return [
    atLeast("GETs", gets.length, 1),
    none(
      "GETs that failed",
      gets.flatMap(({ failed }) => failed ?? []),
    ),
    atLeast("POSTs", posts.length, 1),
    shown("POSTs with 502 or 504, since they may have run", failedPosts.length),
    none(
      "POSTs that failed otherwise",
      failedPosts.filter((how) => how !== "502" && how !== "504"),
    ),
    none("POSTs that ran twice", twice),
    none(
      "answers to other requests",
      samples.flatMap(({ wrong }) => wrong ?? []),
    ),
    none(
      "requests that failed while a reload had removed an upstream",
      samples
        .filter(({ phases }) => phases.every((phase) => phase === "removed"))
        .flatMap(({ failed }) => failed ?? [])
        // A slow machine may need longer for an answer. An upstream that ends too early gives 502.
        .filter((how) => how !== "504"),
    ),
    shown("slowest GET", milliseconds(summarize(gets.map(({ ms }) => ms)).maxMs)),
  ];
}

async function send(client: HttpClient, number: number, phaseNow: () => Phase): Promise<Sample> {
  const id = `r${number}`;
  const method = number % 3 === 0 ? "POST" : "GET";
  const body = method === "POST" ? id.repeat(50) : "";
  const began = phaseNow();
  const startMs = performance.now();
  const end = await client
    .request(`/echo?id=${id}`, body === "" ? { method } : { method, body })
    .then(
      (response) => judgeEcho(response, `${id};${body}`),
      (error: unknown) => ({ failed: String(error), wrong: null }),
    );
  return { id, method, phases: [began, phaseNow()], ms: performance.now() - startMs, ...end };
}

/** Waits for a line of the log that came after the first `logged` lines. @throws Error when it does not come. */
async function untilLogged(
  server: TestServer,
  { logged, msg, upstream }: { logged: number; msg: string; upstream: string },
): Promise<void> {
  const isThere = (): boolean =>
    server.logs.slice(logged).some((line) => line.msg === msg && line["upstream"] === upstream);
  const deadlineMs = performance.now() + RETURN_MS;
  while (!isThere()) {
    if (performance.now() > deadlineMs) throw new Error(`no line "${msg}" for ${upstream}`);
    await delay(20);
  }
}

/** Waits until an upstream that the config no longer has has answered its requests. */
async function untilDrained({ dir }: TestServer): Promise<void> {
  const isDraining = async (): Promise<boolean> => {
    const { stdout } = await askServer(["status", "--json"], dir);
    const { upstreams: groups = [] } = JSON.parse(stdout) as Status; // A server of this version.
    return groups.some(({ servers }) => servers.some(({ state }) => state === "draining"));
  };
  while (await isDraining()) await delay(20);
}

function pickTwo(
  all: readonly UpstreamProcess[],
  random: Random,
): [UpstreamProcess, UpstreamProcess] {
  const first = random(all.length);
  const second = (first + 1 + random(all.length - 1)) % all.length;
  const [one, other] = [all[first], all[second]];
  if (one === undefined || other === undefined) throw new Error("too few upstreams");
  return [one, other];
}
