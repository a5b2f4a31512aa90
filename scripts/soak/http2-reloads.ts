import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Reloads } from "../../test/helpers/reloads.ts";
import { startServer, type TestServer } from "../../test/helpers/start-server.ts";
import { Http2Load } from "./http2-load.ts";
import { atLeast, none, shown, type Soak } from "./soak.ts";

const RELOADS = 100;
const BRIEF_RELOADS = 4;
const UPGRADES = 2;
const CONNECTIONS = 6;

/** Streams of each kind on each connection. */
const LANES = 1;

/** Load between two reloads. */
const PAUSE_MS = 100;

/** Answers after the upgrade. */
const ANSWERS_AFTER = 200;

/** Longest time until all connections have moved to the new process. */
const MOVE_MS = 60_000;

const HANDLERS = {
  "index.ts": `export default () => new Response("hello");`,
  "echo/[n].ts": `export default (request) => new Response(request.body);`,
};

/** Reloads and upgrades under a load of HTTP/2: no stream is lost. */
export const http2Reloads: Soak = {
  name: "http2-reloads",
  about: "reloads and upgrades beside busy streams of HTTP/2: no stream is lost",
  async run({ scope, brief, say }) {
    const server = await startServer(scope, {
      handlers: HANDLERS,
      workers: 2,
      https: true,
      // The load is as much as the server can answer: with the default limits of the queue it would refuse some.
      flags: ["--http2", "on", "--access-log", "off"],
    });
    const load = new Http2Load(server.port("https"), { connections: CONNECTIONS, lanes: LANES });
    scope.after(() => load.stop());
    const orders = new Reloads(server);
    const times = brief ? BRIEF_RELOADS : RELOADS;
    for (let time = 1; time <= times && load.losses.length === 0; time++) {
      const text = `export default () => new Response("${time}");`;
      writeFileSync(join(server.handlersDir, "turn.ts"), text);
      await orders.next();
      load.turn++;
      await delay(PAUSE_MS);
      if (time % 10 === 0) say(`${time} reloads, ${load.answers} answers`);
    }
    const { answers: beforeUpgrades, goaways: early } = load;
    const longStreams = load.answered.long;
    // The second one passes on the sockets of a process that has inherited them.
    for (let upgrade = 1; upgrade <= UPGRADES; upgrade++) await moveOnce(server, load);
    await load.stop();
    return [
      shown("reloads", times),
      atLeast("requests during reloads", beforeUpgrades, 1),
      atLeast("of which streams longer than a reload", longStreams, 1),
      atLeast("requests in all", load.answers, beforeUpgrades + UPGRADES * ANSWERS_AFTER),
      atLeast("connections that upgrades moved", load.goaways - early, UPGRADES * CONNECTIONS),
      none(
        "connections that a reload ended",
        Array.from({ length: early }, () => "GOAWAY"),
      ),
      shown("requests sent again after GOAWAY", load.repeated),
      none("streams lost", load.losses),
    ];
  },
};

/** Upgrades the server, and waits until all connections have moved to the new process and are busy there. */
async function moveOnce(server: TestServer, load: Http2Load): Promise<void> {
  const seen = server.logs.length;
  const { goaways } = load;
  server.kill("SIGUSR2");
  const outcome = await server.until(
    (line) =>
      server.logs.indexOf(line) >= seen && /^(?:took over|upgrade refused)/.test(line.msg ?? ""),
  );
  if (outcome.msg?.startsWith("upgrade refused") === true) throw new Error(outcome.msg);
  // Long streams that the old process answers end now, at the earliest.
  load.turn += 2;
  const deadlineMs = performance.now() + MOVE_MS;
  const isMoving = (): boolean =>
    load.goaways < goaways + CONNECTIONS && performance.now() < deadlineMs;
  while (isMoving()) await delay(PAUSE_MS);
  const { answers } = load;
  while (load.answers < answers + ANSWERS_AFTER && load.losses.length === 0) await delay(PAUSE_MS);
}
