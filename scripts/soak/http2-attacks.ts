import { setTimeout as delay } from "node:timers/promises";
import { residentBytesOf, socketsOf } from "../../test/helpers/proc.ts";
import { startServer, type TestServer } from "../../test/helpers/start-server.ts";
import { ClientProcess } from "../clients/client-process.ts";
import { ATTACKS, type Attack } from "../clients/http2-attack.ts";
import { Disturbance, judgeTimes } from "./disturbance.ts";
import { atMost, mebibytes, milliseconds, none, shown, type Figure, type Soak } from "./soak.ts";
import { normalTraffic, Traffic } from "./traffic.ts";

const BRIEF_SECONDS = 3;

/** Most p99 of normal traffic beside an attack, as a multiple of the p99 without. */
const P99_TIMES = 3;

/** Most memory of the primary beside an attack, beyond that before. */
const MOST_GROWTH_BYTES = 256 * 1024 ** 2;

/** Longest time until the connections of an attack are gone. */
const SETTLE_MS = 60_000;

const HANDLERS = {
  "index.ts": `export default () => new Response("hello");`,
  "echo/[n].ts": `export default (request) => new Response(request.body);`,
  // Hardly any work for its handler: the attack is the unread stream.
  "large.ts": `const chunk = new Uint8Array(65_536);
export default () => {
  let left = 16;
  return new Response(
    new ReadableStream({
      pull(controller) {
        if (left-- > 0) controller.enqueue(chunk);
        else controller.close();
      },
    }),
  );
};`,
};

/** Attacks on HTTP/2: a client on another connection hardly notices, and nothing is left. */
export const http2Attacks: Soak = {
  name: "http2-attacks",
  about: "floods of HTTP/2 frames and streams that read nothing: other clients hardly notice",
  alone: true,
  async run({ scope, seconds, brief, say }) {
    const server = await startServer(scope, {
      handlers: HANDLERS,
      workers: 1,
      https: true,
      flags: ["--http2", "on", "--access-log", "off", "--send-timeout", "5s"],
    });
    const endpoint = { port: server.port("https"), secure: true };
    const traffic = await Traffic.start(scope, normalTraffic(endpoint));
    const roundSeconds = brief ? BRIEF_SECONDS : Math.max(BRIEF_SECONDS, seconds / 5);
    // The first requests compile the code.
    await delay(BRIEF_SECONDS * 1000);
    await traffic.cut();
    await delay(roundSeconds * 1000);
    const steady = await traffic.cut();
    const figures: Figure[] = [shown("p99 without attacks", milliseconds(steady.p99Ms))];
    for (const attack of ATTACKS) {
      figures.push(...(await attackOnce({ server, traffic, attack, roundSeconds, brief, steady })));
      say(`${attack}: over`);
    }
    await traffic.stop();
    figures.push(none("requests that failed, and connections closed", traffic.losses));
    return figures;
  },
};

async function attackOnce({
  server,
  traffic,
  attack,
  roundSeconds,
  brief,
  steady,
}: {
  server: TestServer;
  traffic: Traffic;
  attack: Attack;
  roundSeconds: number;
  brief: boolean;
  steady: { p99Ms: number };
}): Promise<Figure[]> {
  const beforeBytes = residentBytesOf(server.pid);
  const beforeSockets = socketsOf(server.pid);
  const disturbance = new Disturbance(server.pid);
  await traffic.cut();
  const task = { port: server.port("https"), attack, seconds: roundSeconds };
  const attacker = new ClientProcess("http2-attack", task);
  let peakBytes = 0;
  const timer = setInterval(() => {
    peakBytes = Math.max(peakBytes, residentBytesOf(server.pid));
  }, 200);
  try {
    const { connections, sentBytes } = await attacker.report();
    const beside = await traffic.cut();
    const { cores } = disturbance;
    await untilSockets(server, beforeSockets);
    return [
      shown(`${attack}: connections, sent`, `${connections}, ${mebibytes(sentBytes)}`),
      shown(`${attack}: p99`, milliseconds(beside.p99Ms)),
      ...judgeTimes(beside.p99Ms / steady.p99Ms, {
        cores,
        brief,
        most: P99_TIMES,
        name: `${attack}: p99 beside / without`,
      }),
      atMost(`${attack}: memory`, peakBytes - beforeBytes, MOST_GROWTH_BYTES, mebibytes),
    ];
  } finally {
    clearInterval(timer);
    attacker.kill();
    await attacker.ended();
  }
}

/** Polls, because no event reports the end of a connection. @throws Error when some are left for too long. */
async function untilSockets(server: TestServer, most: number): Promise<void> {
  const deadlineMs = performance.now() + SETTLE_MS;
  while (socketsOf(server.pid) > most) {
    if (performance.now() > deadlineMs) throw new Error("connections of the attack are left");
    await delay(50);
  }
}
