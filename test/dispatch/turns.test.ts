import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { type Origin, Turns } from "../../runtime/dispatch/turns.ts";

interface Item {
  address: string;
  connection: object;
  sinceMs: number;
}

const CONNECTIONS = Array.from({ length: 3 }, (_, number) => ({ number }));
const ADDRESSES = ["192.0.2.1", "192.0.2.2", "2001:db8:0:1"];
const NEW_ORIGIN: Origin = { address: "198.51.100.1", connection: {} };

/** The same queue as plain lists: each origin is in the order of its next turn. */
class Model {
  items: Item[] = [];
  addresses: string[] = [];
  connections: Origin[] = [];

  push(item: Item): void {
    this.items.push(item);
    if (!this.addresses.includes(item.address)) this.addresses.push(item.address);
    if (!this.connections.some((each) => isSame(each, item))) this.connections.push(item);
  }

  get next(): Item | undefined {
    const connection = this.connections.find(({ address }) => address === this.addresses[0]);
    if (connection === undefined) return undefined;
    return this.items.find((item) => isSame(item, connection));
  }

  shift(): Item | undefined {
    const { next } = this;
    if (next === undefined) return undefined;
    this.addresses = [...this.addresses.slice(1), next.address];
    this.connections = [...this.connections.filter((each) => !isSame(each, next)), next];
    this.remove(next);
    return next;
  }

  remove(item: Item): void {
    this.items = this.items.filter((other) => other !== item);
    this.addresses = this.addresses.filter((address) =>
      this.items.some((other) => other.address === address),
    );
    this.connections = this.connections.filter((each) =>
      this.items.some((other) => isSame(other, each)),
    );
  }
}

function isSame(one: Origin, other: Origin): boolean {
  return one.address === other.address && one.connection === other.connection;
}

const action = fc.record({
  do: fc.constantFrom("push", "push", "push", "shift", "shift", "remove"),
  address: fc.constantFrom(...ADDRESSES),
  connection: fc.constantFrom(...CONNECTIONS),
  isAlone: fc.boolean(),
  pick: fc.nat({ max: 1_000 }),
});

describe("Turns", () => {
  it("behaves like lists of origins that take turns", () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
        const turns = new Turns<Item>();
        const model = new Model();
        for (const [nowMs, { do: name, address, isAlone, ...rest }] of actions.entries()) {
          const picked = model.items[rest.pick % model.items.length];
          if (name === "push") {
            const connection = isAlone ? {} : rest.connection;
            const item = { address, connection, sinceMs: nowMs };
            model.push(item);
            turns.push(item, item, nowMs);
          } else if (name === "shift") {
            assert.equal(turns.shift(nowMs), model.shift());
          } else if (picked !== undefined) {
            model.remove(picked);
            turns.remove(picked);
            turns.remove(picked);
          }
          assert.equal(turns.size, model.items.length);
          // An origin that is new waits for one turn of each address.
          assert.equal(turns.outlook(NEW_ORIGIN, 0).ahead, model.addresses.length);
          assert.equal(turns.oldest, model.items[0]);
          assert.equal(turns.next, model.next);
        }
        while (model.items.length > 0) assert.equal(turns.shift(0), model.shift());
        assert.equal(turns.shift(0), undefined);
        assert.equal(turns.outlook(NEW_ORIGIN, 0).ahead, 0);
      }),
    );
  });

  it("never puts more items ahead of a new one than it foretells", () => {
    const origin = fc.record({
      address: fc.constantFrom(...ADDRESSES),
      connection: fc.constantFrom(...CONNECTIONS),
    });
    fc.assert(
      fc.property(
        fc.array(origin, { maxLength: 60 }),
        fc.nat({ max: 9 }),
        origin,
        (all, taken, own) => {
          const turns = new Turns<Origin>();
          for (const each of all) {
            const item = { ...each };
            turns.push(item, item, 0);
          }
          for (let count = 0; count < taken; count++) turns.shift(0);
          const { ahead } = turns.outlook(own, 0);
          assert.ok(ahead <= turns.size);
          const late = { ...own };
          turns.push(late, late, 0);
          let before = 0;
          while (turns.shift(0) !== late) before++;
          assert.ok(before <= ahead, `${before} before it, ${ahead} foretold`);
        },
      ),
    );
  });

  it("foretells the exact number for one connection, and for connections of one item each", () => {
    const [connection = {}] = CONNECTIONS;
    for (const isShared of [true, false]) {
      const turns = new Turns<number>();
      const origin = (): Origin => ({ address: "", connection: isShared ? connection : {} });
      for (let count = 0; count < 100; count++) {
        assert.equal(turns.outlook(origin(), 0).ahead, count);
        turns.push(count, origin(), 0);
      }
      for (let count = 0; count < 100; count++) assert.equal(turns.shift(0), count);
    }
  });

  it("gives an address with many connections no more turns than another address", () => {
    const turns = new Turns<string>();
    for (let count = 0; count < 1_000; count++) {
      turns.push(`flood ${count}`, { address: "192.0.2.1", connection: {} }, 0);
    }
    const origin = { address: "192.0.2.2", connection: {} };
    assert.equal(turns.outlook(origin, 0).ahead, 1);
    for (const item of ["a", "b", "c"]) turns.push(item, origin, 0);
    const taken = Array.from({ length: 6 }, () => turns.shift(0));
    assert.deepEqual(taken, ["flood 0", "a", "flood 1", "b", "flood 2", "c"]);
  });

  it("tells how long the heads on the path of an item have waited", () => {
    const turns = new Turns<string>();
    const [one, two, three] = CONNECTIONS.map((connection) => ({ address: "a", connection }));
    assert.ok(one !== undefined && two !== undefined && three !== undefined);
    assert.equal(turns.outlook(one, 100).waitsMs, 0);
    turns.push("1", one, 100);
    turns.push("2", one, 110);
    turns.push("3", two, 120);
    assert.equal(turns.outlook(three, 130).waitsMs, 30);
    // The first connection had its turn. The second one has waited since 120, and "2" since 110.
    assert.equal(turns.shift(130), "1");
    assert.equal(turns.outlook(three, 140).waitsMs, 20);
    assert.equal(turns.outlook(one, 140).waitsMs, 30);
    assert.equal(turns.shift(150), "3");
    assert.equal(turns.outlook(three, 160).waitsMs, 30);
  });
});
