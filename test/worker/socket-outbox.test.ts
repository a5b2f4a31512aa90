import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import {
  Act,
  type SocketAct,
  type SocketId,
  type ToPrimary,
} from "../../runtime/channel/messages.ts";
import { SocketOutbox } from "../../runtime/worker/socket-outbox.ts";

const MIB = 1024 * 1024;

const ID = 1 as SocketId;

/** An outbox, and the acts of the messages that left. */
function open(): { outbox: SocketOutbox; left: SocketAct[][] } {
  const left: SocketAct[][] = [];
  const outbox = new SocketOutbox({
    sendLent: (message: ToPrimary) => {
      left.push([...(message[1] as unknown as SocketAct[])]);
    },
  });
  return { outbox, left };
}

function send(outbox: SocketOutbox, size: number): void {
  outbox.add([Act.send, ID, Buffer.alloc(size), true], size);
}

/** A handler that sends messages of 1 MiB and is confirmed. */
function handle(outbox: SocketOutbox, { number, sends }: { number: number; sends: number }): void {
  outbox.hold(() => {
    for (let count = 0; count < sends; count++) send(outbox, MIB - 100);
    outbox.add([Act.confirm, ID, number]);
  });
}

describe("SocketOutbox", () => {
  it("sends the acts of one turn as one message", async () => {
    const { outbox, left } = open();
    for (const number of [1, 2, 3]) {
      outbox.hold(() => {
        send(outbox, 10);
        outbox.add([Act.confirm, ID, number]);
      });
    }
    assert.equal(left.length, 0);
    await nextTurn();
    assert.deepEqual(
      left.map((acts) => acts.map(([act]) => act)),
      [[Act.send, Act.confirm, Act.send, Act.confirm, Act.send, Act.confirm]],
    );
  });

  it("keeps up to 4 MiB of a function with its confirmation, after other functions, too", async () => {
    const { outbox, left } = open();
    for (const number of [1, 2, 3]) handle(outbox, { number, sends: 3 });
    await nextTurn();
    assert.equal(left.length, 3);
    for (const acts of left) assert.equal(acts.at(-1)?.[0], Act.confirm);
  });

  it("splits the acts of a function that sends more, in their order", async () => {
    const { outbox, left } = open();
    handle(outbox, { number: 1, sends: 10 });
    await nextTurn();
    assert.ok(left.length > 1);
    for (const acts of left) assert.ok(acts.length <= 6, `${acts.length} acts in one message`);
    const all = left.flat().map(([act]) => act);
    assert.deepEqual(all, [...Array.from({ length: 10 }, () => Act.send), Act.confirm]);
  });

  it("bounds the number of acts without bytes", async () => {
    for (const isHeld of [true, false]) {
      const { outbox, left } = open();
      const act = (): void => {
        for (let count = 0; count < 200_000; count++) outbox.add([Act.subscribe, ID, "news"]);
      };
      if (isHeld) outbox.hold(act);
      else act();
      assert.ok(left.length > 1, "some have left before the end of the turn");
      await nextTurn();
      assert.equal(left.flat().length, 200_000);
    }
  });

  it("keeps the acts of a function that is called by another one with those of the outer one", async () => {
    const { outbox, left } = open();
    outbox.hold(() => {
      handle(outbox, { number: 1, sends: 1 });
      assert.equal(left.length, 0);
      send(outbox, 10);
    });
    await nextTurn();
    assert.equal(left.flat().length, 3);
  });
});
