import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  Act,
  Kind,
  type SocketAct,
  type SocketId,
  type SocketState,
  type ToPrimary,
  type ToWorker,
} from "../../runtime/channel/messages.ts";
import type { Channel } from "../../runtime/channel/channel.ts";
import type { WorkerScope } from "../../runtime/worker/context.ts";
import type { LoadedGeneration } from "../../runtime/worker/load-handlers.ts";
import type { SocketHooks } from "../../runtime/worker/socket-hooks.ts";
import { WorkerSockets } from "../../runtime/worker/sockets.ts";

const ID = 7 as SocketId;
const TIMEOUT_MS = 5_000;

const STATE: SocketState = {
  route: 0,
  params: null,
  url: "http://a.example/chat",
  fields: "",
  clientAddress: "192.0.2.1",
  protocol: "",
  timeoutMs: TIMEOUT_MS,
  attachment: null,
  topics: [],
};

/** A worker that is the home of one WebSocket. */
class Trial {
  readonly sockets: WorkerSockets;
  readonly logs: { code?: string; text: string }[] = [];
  readonly #acts: SocketAct[] = [];

  constructor(t: TestContext, hooks: Partial<SocketHooks>) {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const send = (message: ToPrimary): void => {
      if (message[0] === Kind.socketActs) this.#acts.push(...message[1]);
    };
    // The part of the channel that WebSockets use.
    const channel = { send, sendLent: send } as unknown as Channel<ToWorker, ToPrimary>;
    this.sockets = new WorkerSockets(channel);
    const own: SocketHooks = { message: () => {}, close: null, error: null, ...hooks };
    const log = {
      error: ({ code }: { code: string }, text: string) => this.logs.push({ code, text }),
      child: () => log,
    };
    // The parts of a generation and of a scope that WebSockets use.
    this.sockets.serve(
      { routes: [{ pattern: "/chat", sockets: own }] } as unknown as LoadedGeneration,
      () => ({ log, requestIdPrefix: "" }) as unknown as WorkerScope,
    );
    this.sockets.receive([Kind.socketAdopt, ID, STATE]);
  }

  say(number: number, text: string): void {
    this.sockets.receive([Kind.socketMessage, ID, number, Buffer.from(text), false]);
  }

  /** The numbers of the events that were confirmed, and the texts that were sent, in their order. */
  async acts(): Promise<(number | string)[]> {
    for (let turn = 0; turn < 10; turn++) await nextTurn();
    return this.#acts.flatMap((act) => {
      if (act[0] === Act.confirm) return act[2];
      return act[0] === Act.send ? Buffer.from(act[2]).toString() : [];
    });
  }
}

describe("WorkerSockets", () => {
  it("goes on with the next message when a function takes too long", async (t) => {
    const late = new EventEmitter();
    const trial = new Trial(t, {
      message: (socket, text) => {
        if (text === "hang") return once(late, "end");
        return void socket.send(text);
      },
      error: (socket, error) => socket.send(`error: ${(error as Error).name}`),
    });
    trial.say(1, "hang");
    trial.say(2, "next");
    assert.deepEqual(await trial.acts(), []);
    t.mock.timers.tick(TIMEOUT_MS - 1);
    assert.deepEqual(await trial.acts(), []);
    t.mock.timers.tick(1);
    assert.deepEqual(await trial.acts(), ["error: TimeoutError", 1, "next", 2]);
    assert.deepEqual(
      trial.logs.map(({ code }) => code),
      ["ERR_HANDLER_TIMEOUT"],
    );
    // A failure that comes later is logged, and not told twice.
    late.emit("error", new Error("late"));
    assert.equal((await trial.acts()).length, 4);
    assert.equal(trial.logs.at(-1)?.code, "ERR_HANDLER_THREW");
    await trial.sockets.idle();
  });

  it("waits for a slow webSocketError no longer than for the function", async (t) => {
    const forever = new Promise(() => {});
    const trial = new Trial(t, { message: () => forever, error: () => forever });
    trial.say(1, "hang");
    t.mock.timers.tick(TIMEOUT_MS);
    assert.deepEqual(await trial.acts(), []);
    t.mock.timers.tick(TIMEOUT_MS);
    assert.deepEqual(await trial.acts(), [1]);
    await trial.sockets.idle();
  });

  it("has no limit where the route has none", async (t) => {
    const trial = new Trial(t, { message: () => new Promise(() => {}) });
    trial.sockets.receive([Kind.socketOpened, ID, 0]);
    trial.say(1, "hang");
    t.mock.timers.tick(1e9);
    assert.deepEqual(await trial.acts(), []);
  });

  it("ends webSocketClose that takes too long, and forgets the WebSocket", async (t) => {
    const trial = new Trial(t, { close: () => new Promise(() => {}) });
    trial.sockets.receive([Kind.socketClosed, ID, 1, 1000, "", true]);
    await nextTurn();
    t.mock.timers.tick(TIMEOUT_MS);
    assert.deepEqual(await trial.acts(), [1]);
    await trial.sockets.idle();
  });

  it("calls no function for a WebSocket whose request was refused", async (t) => {
    const closes: number[] = [];
    const trial = new Trial(t, { close: (_, code) => closes.push(code) });
    trial.sockets.receive([Kind.socketForget, ID]);
    assert.deepEqual(await trial.acts(), []);
    assert.deepEqual(closes, []);
    await trial.sockets.idle();
  });
});
