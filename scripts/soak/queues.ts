import { setTimeout as delay } from "node:timers/promises";
import { noRedis } from "../../test/helpers/redis-server.ts";
import { DurableServer } from "./durable-server.ts";
import { KeptValue } from "./kept-value.ts";
import { sequence } from "./random.ts";
import { atLeast, none, shown, type Figure, type Soak, type SoakContext } from "./soak.ts";

const SENDERS = 8;
const WRITERS = 8;

/** Time between two requests of a client, and after a failed one. */
const PAUSE_MS = 20;
const FAILED_MS = 100;

/** Most kills of workers in a round, and the longest time before each. */
const MOST_KILLS = 5;
const MOST_BETWEEN_MS = 800;

/** The longest time for which Redis is away. */
const MOST_AWAY_MS = 1_500;

/** Every so many rounds the load stops until no message is left. */
const ROUNDS_UNTIL_EMPTY = 3;

/** Kills of workers in the short form, which has one round. */
const BRIEF_KILLS = 2;

/** Acknowledged messages, and acknowledged puts, between two kills. */
const FEW = 30;

/** Longest time until writes are acknowledged again after a kill. */
const MORE_MS = 120_000;

/** Keys of one read. */
const KEYS_OF_READ = 100;

/** Clients that send messages and write keys until they are told to pause. */
class Writes {
  /** Ids of acknowledged messages. */
  readonly sent = new Set<string>();
  readonly values: KeptValue[] = [];
  unansweredSends = 0;
  acknowledgedPuts = 0;
  unansweredPuts = 0;
  readonly #server: DurableServer;
  #nextId = 1;
  #isPaused = false;
  #clients: Promise<unknown> = Promise.resolve();

  constructor(server: DurableServer) {
    this.#server = server;
  }

  resume(): void {
    this.#isPaused = false;
    const senders = Array.from({ length: SENDERS }, () => this.#run(() => this.#send()));
    const writers = Array.from({ length: WRITERS }, () => this.#run(this.#startWriter()));
    this.#clients = Promise.all([...senders, ...writers]);
  }

  /** Resolves when no request is in flight. */
  async pause(): Promise<void> {
    this.#isPaused = true;
    await this.#clients;
  }

  /** Waits until so many further messages and so many further puts are acknowledged. @throws Error when they take too long. */
  async untilMore(count: number): Promise<void> {
    const [sends, puts] = [this.sent.size + count, this.acknowledgedPuts + count];
    const deadlineMs = performance.now() + MORE_MS;
    while (this.sent.size < sends || this.acknowledgedPuts < puts) {
      if (performance.now() > deadlineMs) throw new Error("writes are not acknowledged");
      await delay(10);
    }
  }

  /** Reads all keys, and returns the faults. Call while the load pauses. */
  async judgeValues(): Promise<string[]> {
    const faults: string[] = [];
    for (let at = 0; at < this.values.length; at += KEYS_OF_READ) {
      const part = this.values.slice(at, at + KEYS_OF_READ);
      const found = await this.#server.read(part.map(({ key }) => key));
      faults.push(...part.flatMap((value, index) => value.judge(found[index] ?? null) ?? []));
    }
    return faults;
  }

  async #run(write: () => Promise<boolean>): Promise<void> {
    while (!this.#isPaused) await delay((await write()) ? PAUSE_MS : FAILED_MS);
  }

  async #send(): Promise<boolean> {
    const id = `m${this.#nextId++}`;
    const isSent = (await this.#server.ask({ send: id })) !== null;
    if (isSent) this.sent.add(id);
    else this.unansweredSends++;
    return isSent;
  }

  #startWriter(): () => Promise<boolean> {
    let value = this.#createValue();
    return async () => {
      const number = value.begin();
      if ((await this.#server.ask({ put: value.key, number })) !== null) {
        value.acknowledge();
        this.acknowledgedPuts++;
        return true;
      }
      this.unansweredPuts++;
      value = this.#createValue();
      return false;
    };
  }

  #createValue(): KeptValue {
    const value = new KeptValue(`k${this.values.length}`);
    this.values.push(value);
    return value;
  }
}

/** Kills workers and the primary under sends and puts, with the default store. */
export const queues: Soak = {
  name: "queues",
  about: "kill -9 of workers and primary: each acknowledged message runs, each put is kept",
  run: (context) => runQueues(context, false),
};

/** The same in Redis, which is killed as well. */
export const queuesRedis: Soak = {
  name: "queues-redis",
  about: "the same in Redis, which is killed as well",
  run: (context) =>
    noRedis === false ? runQueues(context, true) : Promise.resolve([shown("skipped", noRedis)]),
};

async function runQueues(
  { scope, seed, seconds, brief, say }: SoakContext,
  isRedis: boolean,
): Promise<readonly Figure[]> {
  const random = sequence(seed);
  const server = await DurableServer.start({ owner: scope, isRedis });
  const writes = new Writes(server);
  scope.after(() => writes.pause());
  const kills = { workers: 0, primaries: 0, redis: 0 };
  const faults: string[] = [];
  let checks = 0;
  const check = async (): Promise<void> => {
    await writes.pause();
    await server.untilEmpty();
    faults.push(...(await writes.judgeValues()));
    checks++;
  };
  const killPrimary = async (): Promise<void> => {
    await server.killPrimary(random(2) === 0);
    kills.primaries++;
  };
  const startMs = performance.now();
  writes.resume();
  for (let round = 1; ; round++) {
    const most = brief ? BRIEF_KILLS : 1 + random(MOST_KILLS);
    for (let kill = 0; kill < most; kill++) {
      await writes.untilMore(FEW);
      await delay(random(MOST_BETWEEN_MS));
      await server.killWorker(random);
      kills.workers++;
    }
    await writes.untilMore(FEW);
    if (isRedis && (brief || round % 2 === 0)) {
      await server.killRedis(random(MOST_AWAY_MS));
      kills.redis++;
    } else if (!brief) {
      await killPrimary();
    }
    say(`round ${round}: ${writes.sent.size} messages`);
    if (brief || performance.now() > startMs + seconds * 1000) break;
    if (round % ROUNDS_UNTIL_EMPTY !== 0) continue;
    await check();
    writes.resume();
  }
  await check();
  // No removed message may come back with the next start. In Redis, leases of a lost server would take 15 s more.
  if (!isRedis) {
    writes.resume();
    await writes.untilMore(FEW);
  }
  await killPrimary();
  await check();
  await server.stop();

  const report = server.judge();
  const { sent, acknowledgedPuts, unansweredSends, unansweredPuts } = writes;
  const lost = [...sent].filter((id) => !report.ended.has(id));
  return [
    shown("kill -9 of workers, of primaries", `${kills.workers}, ${kills.primaries}`),
    ...(isRedis ? [shown("kill -9 of Redis", kills.redis)] : []),
    atLeast("messages acknowledged", sent.size, 1),
    shown("messages without an answer", unansweredSends),
    shown("messages delivered", report.begun.size),
    shown("deliveries again, because of kills", report.repeats),
    none("messages acknowledged and not run to the end", lost),
    none("messages that ran again without a kill", report.unexplained),
    none("messages that ran again after their removal", report.revived),
    atLeast("puts acknowledged", acknowledgedPuts, 1),
    shown("puts without an answer", unansweredPuts),
    none("keys with another value than the last acknowledged one", faults),
    shown("times the queue was seen empty", checks),
  ];
}
