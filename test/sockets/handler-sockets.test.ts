import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { array, assert as check, constant, nat, oneof, property, record } from "fast-check";
import { Act, Kind } from "../../runtime/channel/messages.ts";
import { FakeClient, FakeServer, type FakeWorker, POISON } from "./fake-workers.ts";

describe("HandlerSockets", () => {
  it("loses no message and no state, and keeps their order, whatever becomes of workers", () => {
    const step = oneof(
      { weight: 6, arbitrary: record({ do: constant("say"), at: nat(2) }) },
      { weight: 6, arbitrary: record({ do: constant("step"), at: nat(5) }) },
      { weight: 1, arbitrary: record({ do: constant("kill"), at: nat(5) }) },
      { weight: 1, arbitrary: record({ do: constant("retire"), at: nat(5) }) },
      { weight: 1, arbitrary: record({ do: constant("start"), at: constant(0) }) },
      { weight: 1, arbitrary: record({ do: constant("reload"), at: constant(0) }) },
    );
    check(
      property(array(step, { maxLength: 80 }), (steps) => {
        const server = new FakeServer();
        const all: FakeWorker[] = [server.startWorker()];
        const clients = [1, 2, 3].map((id) => new FakeClient(id));
        for (const client of clients) server.accept(all[0] ?? assert.fail(), client);
        const said = [0, 0, 0];
        for (const { do: what, at } of steps) {
          const worker = all[at % all.length] ?? assert.fail();
          if (what === "say") {
            said[at] = (said[at] ?? 0) + 1;
            clients[at]?.say(`message ${said[at]}`);
          } else if (what === "step") server.step(worker);
          else if (what === "kill") server.kill(worker);
          else if (what === "retire") server.retire(worker);
          else if (what === "start") all.push(server.startWorker());
          else {
            const old = [...server.workers];
            all.push(server.startWorker(), server.startWorker());
            for (const each of old) server.retire(each);
          }
        }
        // Workers that retire still run.
        for (const worker of all) while (server.step(worker) !== null);
        if (server.workers.size === 0) all.push(server.startWorker());
        server.settle();
        clients.forEach((client, at) => {
          const expected = Array.from(
            { length: said[at] ?? 0 },
            (_, index) => `${index + 1} message ${index + 1}`,
          );
          assert.deepEqual(client.sent, expected);
          assert.equal(client.end, null);
        });
        const { open, awake } = server.sockets.count;
        assert.equal(open, 3);
        const counted = [...all].reduce((sum, { home }) => sum + home.awake, 0);
        assert.equal(awake, counted);
        for (const client of clients) client.close({ code: 1000, reason: "" });
        server.settle();
        assert.equal(server.sockets.count.open, 0);
        for (const { home } of all) assert.equal(home.awake, 0);
      }),
      { numRuns: 300 },
    );
  });

  it("tells a new worker the attachment, the topics and the facts of the request", () => {
    const server = new FakeServer();
    const first = server.startWorker();
    const fields = `cookie\n${"x".repeat(5000)}\nuser-agent\nfetch`;
    const client = new FakeClient(1, { fields });
    const acts = [[Act.subscribe, client.client.id, "room"] as const];
    server.accept(first, client, { acts: [...acts] });
    client.say("one");
    server.settle();
    server.kill(first);
    const second = server.startWorker();
    assert.deepEqual(second.received, [], "a WebSocket without events needs no worker");
    client.say("two");
    const [kind, id, state] = second.received[0] ?? [];
    assert.equal(kind, Kind.socketAdopt);
    assert.equal(id, 1);
    assert.deepEqual(state, {
      route: 3,
      params: null,
      url: "http://a.example/chat",
      // Without the cookie, which is too large.
      fields: "user-agent\nfetch",
      clientAddress: "192.0.2.1",
      protocol: "",
      timeoutMs: 30_000,
      attachment: new Uint8Array(Buffer.from("1")),
      topics: ["room"],
    });
  });

  it("closes the WebSocket whose message makes workers crash, and no other", () => {
    const server = new FakeServer();
    const workers = [server.startWorker(), server.startWorker()];
    const clients = Array.from({ length: 50 }, (_, at) => new FakeClient(at));
    clients.forEach((client, at) => server.accept(workers[at % 2] ?? assert.fail(), client));
    for (const client of clients) client.say("before");
    const [poisoner = assert.fail()] = clients;
    poisoner.say(POISON);
    for (const client of clients) client.say("after");
    server.settle();
    assert.deepEqual(poisoner.ends, [1011]);
    assert.equal(server.crashes, 2);
    assert.equal(server.errors.length, 1);
    for (const client of clients.slice(1)) {
      assert.deepEqual(client.sent, ["1 before", "2 after"]);
      assert.equal(client.end, null);
    }
  });

  it("blames only poison, whatever comes meanwhile", () => {
    const step = oneof(
      { weight: 6, arbitrary: record({ do: constant("say"), at: nat(5) }) },
      { weight: 1, arbitrary: record({ do: constant("poison"), at: nat(1) }) },
      { weight: 8, arbitrary: record({ do: constant("step"), at: nat(20) }) },
      { weight: 1, arbitrary: record({ do: constant("reload"), at: constant(0) }) },
    );
    check(
      property(array(step, { maxLength: 120 }), (steps) => {
        const server = new FakeServer();
        const first = server.startWorker();
        const clients = Array.from({ length: 6 }, (_, at) => new FakeClient(at));
        for (const client of clients) server.accept(first, client);
        server.startWorker();
        const said = clients.map(() => 0);
        const poisoned = new Set<FakeClient>();
        for (const { do: what, at } of steps) {
          const workers = [...server.workers];
          const client = clients[at % clients.length] ?? assert.fail();
          if (what === "say") {
            said[at] = (said[at] ?? 0) + 1;
            client.say(`message ${said[at]}`);
          } else if (what === "poison") {
            poisoned.add(client);
            client.say(POISON);
          } else if (what === "step") server.step(workers[at % workers.length] ?? assert.fail());
          else {
            for (let count = 0; count < 2; count++) server.startWorker();
            for (const each of workers) server.retire(each);
            // The retired workers still run what they have.
            for (const each of workers) while (server.step(each) !== null);
          }
        }
        server.settle();
        clients.forEach((client, at) => {
          if (poisoned.has(client)) assert.deepEqual(client.ends, [1011]);
          else {
            assert.deepEqual(client.ends, []);
            assert.equal(client.sent.length, said[at], `client ${at}`);
          }
        });
        for (const client of clients) client.close({ code: 1000, reason: "" });
        server.settle();
        assert.equal(server.sockets.count.open, 0);
        for (const { home } of server.workers) {
          assert.deepEqual([home.awake, home.busy, home.isKept], [0, 0, false]);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("gives suspects to an only worker, too, and closes poison beside other work", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const server = new FakeServer();
    const first = server.startWorker();
    const [poisoner, other] = [new FakeClient(1), new FakeClient(2)];
    for (const client of [poisoner, other]) server.accept(first, client);
    for (let crash = 1; crash <= 3; crash++) {
      if (crash === 1) poisoner.say(POISON);
      other.say("hello");
      for (let look = 0; look < 8 && poisoner.end === null; look++) {
        const [worker = assert.fail()] = server.workers;
        if (worker.waiting.some(({ text }) => text === POISON)) {
          server.kill(worker, { isSuspect: true, hasOtherWork: true });
          server.startWorker();
        } else while (server.step(worker) !== null);
        server.nowMs += 500;
        t.mock.timers.tick(500);
      }
    }
    server.settle();
    assert.deepEqual(poisoner.ends, [1011]);
    assert.deepEqual(other.ends, []);
    assert.equal(other.sent.length, 3);
  });

  it("forgives an event that was in two workers which others killed", () => {
    const server = new FakeServer();
    const client = new FakeClient(1);
    server.accept(server.startWorker(), client);
    client.say("hello");
    for (let round = 0; round < 5; round++) {
      const [worker = assert.fail()] = server.workers;
      server.startWorker();
      server.kill(worker);
    }
    server.settle();
    assert.deepEqual(client.sent, ["1 hello"]);
  });

  it("closes WebSockets with closures when their worker is lost or retires", () => {
    for (const end of ["kill", "retire"] as const) {
      const server = new FakeServer();
      const [worker] = [server.startWorker(), server.startWorker()];
      const client = new FakeClient(1);
      server.accept(worker, client, { isBound: true });
      server[end](worker);
      assert.equal(client.end?.code, 1012);
    }
  });

  it("closes WebSockets whose route is gone", () => {
    const server = new FakeServer();
    const client = new FakeClient(1);
    server.accept(server.startWorker(), client);
    server.hasRoute = false;
    server.sockets.closeStrays(0);
    assert.deepEqual(client.end, { code: 1012, reason: "the route is gone" });
  });

  it("keeps WebSockets whose route comes back while others are closed", (t) => {
    t.mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
    const server = new FakeServer();
    const worker = server.startWorker();
    const clients = Array.from({ length: 100 }, (_, at) => new FakeClient(at + 1));
    for (const client of clients) server.accept(worker, client);
    server.hasRoute = false;
    server.sockets.closeStrays(10_000);
    server.hasRoute = true;
    server.sockets.closeStrays(10_000);
    t.mock.timers.tick(20_000);
    const closed = clients.filter(({ end }) => end !== null).length;
    assert.ok(closed < 50, `${closed} were closed`);
  });

  it("publishes to all subscribers of a site but the sender", () => {
    const server = new FakeServer();
    const worker = server.startWorker();
    const clients = [1, 2, 3].map((id) => new FakeClient(id));
    for (const client of clients) {
      const { id } = client.client;
      server.accept(worker, client, { acts: id === 3 ? [] : [[Act.subscribe, id, "news"]] });
    }
    const [sender = assert.fail()] = clients;
    const bytes = Buffer.from("hi");
    server.sockets.take(worker.home, "", [[Act.publish, sender.client.id, "news", bytes, false]]);
    server.sockets.take(worker.home, () => "", [[Act.announce, 3, "news", bytes, false]]);
    server.sockets.take(worker.home, () => "other", [[Act.announce, 3, "news", bytes, false]]);
    assert.deepEqual(
      clients.map(({ sent }) => sent),
      [["hi"], ["hi", "hi"], []],
    );
  });

  it("ignores the state of a former home", () => {
    const server = new FakeServer();
    const first = server.startWorker();
    const client = new FakeClient(1);
    server.accept(first, client);
    const second = server.startWorker();
    server.retire(first);
    server.sockets.take(first.home, "", [[Act.attach, client.client.id, Buffer.from("9")]]);
    client.say("hello");
    server.step(second);
    assert.deepEqual(client.sent, ["1 hello"]);
  });

  it("closes a client that takes too little, and one that sends too much", () => {
    const server = new FakeServer();
    const worker = server.startWorker();
    const [slow, fast, large] = [new FakeClient(1), new FakeClient(2), new FakeClient(3)];
    for (const client of [slow, fast, large]) server.accept(worker, client);
    slow.waiting = 4000;
    const bytes = Buffer.alloc(200);
    server.sockets.take(worker.home, "", [[Act.send, slow.client.id, bytes, true]]);
    for (let at = 0; at < 100 && fast.end === null; at++) fast.say("x".repeat(100));
    large.say("x".repeat(1025));
    assert.deepEqual(
      [slow, fast, large].map(({ end }) => end?.code),
      [1013, 1013, 1009],
    );
    assert.deepEqual(server.limits, [
      "webSocketBuffer",
      "webSocketBuffer",
      "webSocketMessageLimit",
    ]);
  });

  it("tells the handler once a turn that bytes wait, and when they have left", async () => {
    const server = new FakeServer();
    const worker = server.startWorker();
    const client = new FakeClient(1);
    server.accept(worker, client);
    client.waiting = 0;
    const send = (): void =>
      server.sockets.take(worker.home, "", [[Act.send, client.client.id, Buffer.alloc(7), true]]);
    const told = (): unknown[] => worker.received.filter(([kind]) => kind === Kind.socketBuffered);
    send();
    send();
    await nextTurn();
    client.events?.onRoom();
    assert.deepEqual(told(), [
      [Kind.socketBuffered, 1, 14],
      [Kind.socketBuffered, 1, 0],
    ]);
    send();
    client.events?.onRoom();
    await nextTurn();
    assert.equal(told().length, 2, "all has left in the same turn");
  });

  it("counts the WebSockets that end with a worker", () => {
    const server = new FakeServer();
    const worker = server.startWorker();
    const [first, second, free] = [new FakeClient(1), new FakeClient(2), new FakeClient(3)];
    for (const client of [first, second]) server.accept(worker, client, { isBound: true });
    server.accept(worker, free);
    assert.equal(worker.home.bound, 2);
    first.close({ code: 1000, reason: "" });
    server.settle();
    assert.equal(worker.home.bound, 1);
    server.kill(worker);
    assert.deepEqual([worker.home.bound, worker.home.awake], [0, 0]);
  });

  it("closes at once what a handler accepts in a worker that retires", () => {
    const server = new FakeServer();
    const [worker] = [server.startWorker(), server.startWorker()];
    const [bound, free] = [new FakeClient(1), new FakeClient(2)];
    server.retire(worker);
    server.accept(worker, bound, { isBound: true });
    server.accept(worker, free);
    assert.deepEqual(bound.end, { code: 1012, reason: "the worker retires" });
    assert.equal(free.end, null);
  });

  describe("with a worker that waits for slow clients", () => {
    it("answers at once while the client takes all", () => {
      const { send, flush, told } = acceptPaced();
      send(10);
      flush(10);
      assert.deepEqual(told(), [[Kind.socketFlushed, 1, 10]]);
    });

    it("answers once all has left, and does not close a client above the bound of handlers", async () => {
      const { client, worker, send, flush, told } = acceptPaced();
      client.waiting = 0;
      send(5000);
      flush(5000);
      send(100);
      flush(5100);
      await nextTurn();
      assert.deepEqual([client.end, told()], [null, []]);
      client.waiting = null;
      client.events?.onRoom();
      assert.deepEqual(told(), [[Kind.socketFlushed, 1, 5100]]);
      client.events?.onRoom();
      assert.equal(told().length, 1);
      assert.ok(worker.received.every(([kind]) => kind !== Kind.socketBuffered));
    });

    it("closes a client if its worker does not wait", () => {
      const { client, send, server } = acceptPaced();
      client.waiting = 0;
      for (let count = 0; count < 3 && client.end === null; count++) send(4 * 1024 * 1024);
      assert.equal(client.end?.code, 1013);
      assert.deepEqual(server.limits, ["webSocketBuffer"]);
    });

    it("tells at once that the client is gone, ahead of messages that wait", () => {
      const { client, worker, flush, send, told, server } = acceptPaced();
      client.waiting = 0;
      send(100);
      flush(100);
      for (let count = 0; count < 30; count++) client.say(`${count}`);
      client.close({ code: 1006, reason: "" });
      assert.deepEqual(told(), [[Kind.socketFlushed, 1, 0]]);
      assert.ok(worker.received.every(([kind]) => kind !== Kind.socketClosed));
      flush(200);
      assert.equal(told().length, 1, "its end is the last answer");
      server.settle();
      assert.equal(server.sockets.count.open, 0);
    });

    it("tells it to a worker that accepts too late", () => {
      const server = new FakeServer();
      const worker = server.startWorker();
      const client = new FakeClient(1);
      client.hasLeft = true;
      server.accept(worker, client, { isBound: true, isPaced: true });
      assert.deepEqual(worker.received, [
        [Kind.socketFlushed, 1, 0],
        [Kind.socketClosed, 1, 1, 1006, "", false],
      ]);
      server.settle();
      assert.equal(server.sockets.count.open, 0);
    });
  });

  it("bounds the messages that wait in all WebSockets together", () => {
    const server = new FakeServer({}, { mostWaitingBytes: 4500 });
    const worker = server.startWorker();
    const clients = Array.from({ length: 10 }, (_, at) => new FakeClient(at));
    for (const client of clients) server.accept(worker, client);
    const [greedy = assert.fail(), ...others] = clients;
    for (let count = 0; count < 5; count++) greedy.say("x".repeat(100));
    for (const client of others) client.say("x".repeat(300));
    greedy.say("x".repeat(100));
    assert.deepEqual(greedy.ends, []);
    others.at(-1)?.say("x".repeat(600));
    greedy.say("one more");
    assert.deepEqual(greedy.ends, [1013]);
    assert.deepEqual(server.limits, ["webSocketBuffer"]);
    server.settle();
    for (const client of others) {
      assert.deepEqual(client.ends, []);
      for (let count = 0; count < 3; count++) {
        client.say("x".repeat(1000));
        server.settle();
      }
      assert.ok(client.sent.length >= 4);
    }
  });

  it("counts messages that wait for slow clients in the bound of all", async () => {
    const server = new FakeServer({}, { mostWaitingBytes: 5000 });
    const worker = server.startWorker();
    const clients = [1, 2, 3].map((id) => new FakeClient(id));
    for (const client of clients) {
      server.accept(worker, client);
      client.waiting = 0;
    }
    const send = (client: FakeClient, size: number): void => {
      const { id } = client.client;
      server.sockets.take(worker.home, "", [[Act.send, id, Buffer.alloc(size), true]]);
    };
    const [first = assert.fail(), second = assert.fail(), third = assert.fail()] = clients;
    send(first, 2500);
    send(second, 1000);
    send(third, 2000);
    assert.deepEqual([first.ends, second.ends, third.ends], [[], [], [1013]]);
    // The clients that took all, and the closed one, make room for others.
    first.waiting = 0;
    first.events?.onRoom();
    send(second, 2500);
    assert.deepEqual(second.ends, []);
    await nextTurn();
  });

  it("closes WebSockets without a message for too long", (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const server = new FakeServer({ webSocketIdleTimeoutMs: 10_000 });
    const client = new FakeClient(1);
    server.accept(server.startWorker(), client);
    server.nowMs = 9_000;
    client.say("hello");
    server.settle();
    server.nowMs = 19_000;
    t.mock.timers.tick(1_000);
    assert.deepEqual(client.ends, []);
    server.nowMs = 19_001;
    t.mock.timers.tick(1_000);
    assert.deepEqual(client.ends, [1001]);
    server.sockets.destroy();
  });

  it("answers 426 to a request that asks for no WebSocket, and forgets it", () => {
    const server = new FakeServer();
    const worker = server.startWorker();
    const client = new FakeClient(1, { offersSocket: false });
    server.accept(worker, client);
    assert.deepEqual(client.replies, [426]);
    assert.equal(server.sockets.count.open, 0);
    assert.deepEqual(worker.received, [[Kind.socketForget, 1]], "its handler sees no end");
    assert.equal(worker.home.awake, 0);
  });

  it("forgets a WebSocket whose client left before its answer", () => {
    const server = new FakeServer();
    const client = new FakeClient(1);
    client.hasLeft = true;
    server.accept(server.startWorker(), client);
    server.settle();
    assert.equal(server.sockets.count.open, 0);
  });

  it("takes a subprotocol only if the client offers it, and leaves fields of the handshake out", () => {
    for (const [offered, chosen, expected] of [
      ["a, b", "b", "b"],
      ["a", "b", null],
    ] as const) {
      const server = new FakeServer();
      const client = new FakeClient(1, { fields: `sec-websocket-protocol\n${offered}` });
      const fields = `upgrade\nwebsocket\nx-own\nyes\nsec-websocket-protocol\n${chosen}`;
      server.accept(server.startWorker(), client, { fields });
      assert.equal(client.protocol, expected);
      assert.equal(client.fields, "x-own\nyes");
    }
  });

  it("refuses more WebSockets than its limit", () => {
    const server = new FakeServer();
    server.sockets.limit = 1;
    const [first, second] = [new FakeClient(1), new FakeClient(2)];
    assert.equal(server.sockets.admits(first.client), true);
    server.accept(server.startWorker(), first);
    assert.equal(server.sockets.admits(second.client), false);
    assert.deepEqual(second.refusals, [503]);
  });

  it("keeps its limit when several handlers answer at once", () => {
    const server = new FakeServer();
    server.sockets.limit = 1;
    const clients = [new FakeClient(1), new FakeClient(2)];
    for (const { client } of clients) assert.equal(server.sockets.admits(client), true);
    const worker = server.startWorker();
    for (const client of clients) server.accept(worker, client);
    assert.deepEqual(
      clients.map(({ refusals }) => refusals),
      [[], [503]],
    );
    server.settle();
    assert.equal(server.sockets.count.open, 1);
  });

  it("opens no WebSocket once the server stops", async () => {
    const server = new FakeServer();
    await server.sockets.close(0);
    const { client, refusals } = new FakeClient(1);
    assert.equal(server.sockets.admits(client), false);
    assert.deepEqual(refusals, [503]);
  });

  it("spreads the closing over the grace when the server stops", async (t) => {
    t.mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
    const server = new FakeServer();
    const worker = server.startWorker();
    const clients = Array.from({ length: 100 }, (_, at) => new FakeClient(at + 1));
    for (const client of clients) server.accept(worker, client);
    const closing = server.sockets.close(10_000);
    const perStep: number[] = [];
    for (let before = 0; before < 100;) {
      const closed = clients.filter(({ end }) => end !== null).length;
      perStep.push(closed - before);
      before = closed;
      t.mock.timers.tick(100);
    }
    assert.equal(clients[0]?.end?.code, 1001);
    assert.ok(perStep.length >= 50, `${perStep.length} steps`);
    assert.ok(Math.max(...perStep) <= (100 / perStep.length) * 2, perStep.join(" "));
    server.settle();
    await closing;
  });
});

/** A WebSocket of a worker that waits for slow clients. */
function acceptPaced(): {
  server: FakeServer;
  worker: FakeWorker;
  client: FakeClient;
  flush: (number: number) => void;
  send: (bytes: number) => void;
  told: () => unknown[];
} {
  const server = new FakeServer();
  const worker = server.startWorker();
  const client = new FakeClient(1);
  server.accept(worker, client, { isBound: true, isPaced: true });
  const { id } = client.client;
  const act = (one: Parameters<FakeServer["sockets"]["take"]>[2][number]): void =>
    server.sockets.take(worker.home, "", [one]);
  return {
    server,
    worker,
    client,
    flush: (number) => act([Act.flush, id, number]),
    send: (bytes) => act([Act.send, id, Buffer.alloc(bytes), true]),
    told: () => worker.received.filter(([kind]) => kind === Kind.socketFlushed),
  };
}
