import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { residentBytesOf } from "../../test/helpers/proc.ts";
import { Reloads } from "../../test/helpers/reloads.ts";
import { startServer, type TestServer } from "../../test/helpers/start-server.ts";
import { WebSocketClient } from "../../test/helpers/web-socket-client.ts";
import { sequence, type Random } from "./random.ts";
import { none, shown, type Figure, type Soak, type SoakContext } from "./soak.ts";

const SOCKETS = 1_000;
const RELOADS = 20;
const KILLS = 5;
const BRIEF = { sockets: 100, reloads: 3, kills: 1 };

/** Handshakes at a time. */
const OPENING = 50;

/** Longest pause of a client between its messages. */
const MOST_PAUSE_MS = 400;

/** Pause between two disturbances. */
const PAUSE_MS = 500;

/** Counts the messages of each WebSocket in its attachment. */
const CHAT = `
import { upgradeWebSocket } from "edgicorn";
export default (request) => {
  const { socket, response } = upgradeWebSocket(request);
  socket.serializeAttachment({ name: new URL(request.url).searchParams.get("name"), count: 0 });
  return response;
};
export function webSocketMessage(socket, message) {
  const { name, count } = socket.deserializeAttachment();
  socket.serializeAttachment({ name, count: count + 1 });
  socket.send(name + " " + (count + 1) + " " + message);
}
`;

/** One client that talks, and compares each answer with its own count. */
class Talker {
  readonly faults: string[] = [];
  count = 0;
  readonly #client: WebSocketClient;
  readonly #name: string;
  readonly #random: Random;

  constructor(client: WebSocketClient, name: string, random: Random) {
    this.#client = client;
    this.#name = name;
    this.#random = random;
    void client.closed.then(({ code }) => this.faults.push(`${name} was closed with ${code}`));
  }

  /** Sends messages, and sometimes several at once, until the signal aborts. Stops at the first fault. */
  async talk(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.faults.length === 0) {
      const burst = 1 + this.#random(4);
      for (let at = 1; at <= burst; at++) this.#client.send(`m${this.count + at}`);
      for (let at = 0; at < burst; at++) {
        const answer = await Promise.race([this.#client.next(), this.#client.closed]);
        this.count++;
        const expected = `${this.#name} ${this.count} m${this.count}`;
        if (answer === expected) continue;
        this.faults.push(`${this.#name} got ${JSON.stringify(answer)}, expected ${expected}`);
        return;
      }
      await delay(this.#random(MOST_PAUSE_MS));
    }
  }
}

/** WebSockets talk while reloads replace their workers and `kill -9` ends some. */
export const webSockets: Soak = {
  name: "web-sockets",
  about:
    "WebSockets of a handler talk through reloads and kill -9 of workers: none closes, and no message is lost",
  run: runWebSockets,
};

async function runWebSockets({ scope, seed, brief, say }: SoakContext): Promise<readonly Figure[]> {
  const size = brief ? BRIEF : { sockets: SOCKETS, reloads: RELOADS, kills: KILLS };
  const server = await startServer(scope, {
    handlers: { "chat.ts": CHAT },
    workers: 2,
    flags: ["--access-log", "off"],
  });
  const before = residentBytesOf(server.pid);
  const talkers: Talker[] = [];
  while (talkers.length < size.sockets) {
    const count = Math.min(OPENING, size.sockets - talkers.length);
    const names = Array.from({ length: count }, (_, at) => `n${talkers.length + at}`);
    const opened = names.map(async (name, at) => {
      const client = await WebSocketClient.open(scope, `${server.http}/chat?name=${name}`);
      return new Talker(client, name, sequence(seed + talkers.length + at));
    });
    talkers.push(...(await Promise.all(opened)));
  }
  const idleBytes = (residentBytesOf(server.pid) - before) / size.sockets;
  const stop = new AbortController();
  const talking = Promise.all(talkers.map((talker) => talker.talk(stop.signal)));
  await disturb(server, { ...size, say });
  stop.abort();
  await talking;
  const faults = talkers.flatMap((talker) => talker.faults);
  const messages = talkers.reduce((sum, { count }) => sum + count, 0);
  return [
    shown("WebSockets", size.sockets),
    shown("reloads, kill -9", `${size.reloads}, ${size.kills}`),
    shown("messages and answers", messages),
    none("closes, lost messages, wrong states", faults),
    shown("memory of the primary for an idle WebSocket", `${(idleBytes / 1024).toFixed(1)} KiB`),
  ];
}

/** Reloads, and kills workers between the reloads. */
async function disturb(
  server: TestServer,
  { reloads, kills, say }: { reloads: number; kills: number; say: (line: string) => void },
): Promise<void> {
  const reloading = new Reloads(server);
  const every = Math.floor(reloads / kills);
  for (let turn = 1; turn <= reloads; turn++) {
    writeFileSync(join(server.handlersDir, "chat.ts"), `${CHAT}// ${turn}\n`);
    await reloading.next();
    await delay(PAUSE_MS);
    if (turn % every === 0) {
      // The newest one: workers of a former generation end without a line in the log.
      const pid = [...server.workers.values()].at(-1);
      if (pid === undefined) throw new Error("no worker is ready");
      process.kill(pid, "SIGKILL");
      await server.until(
        ({ msg, workerPid }) => msg?.startsWith("worker exited") === true && workerPid === pid,
      );
    }
    say(`${turn} of ${reloads} reloads`);
  }
}
