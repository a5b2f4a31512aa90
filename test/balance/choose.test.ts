import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  type Choosable,
  pickByHash,
  pickInTurn,
  pickLeastBusy,
} from "../../runtime/balance/choose.ts";
import { hashText } from "../../runtime/balance/hash-text.ts";

interface FakeServer {
  name: string;
  inFlight: number;
}

interface Choice extends Choosable {
  readonly server: FakeServer;
}

function choice(name: string, { share = 1, inFlight = 0, most = 1000 } = {}): Choice {
  return { server: { name, inFlight }, most, share, seed: hashText(name), turn: 0 };
}

function named(share: number, at: number): Choice {
  return choice(`http://10.0.0.${at + 1}:3000`, { share });
}

/** Picks many times. The caller's `pick` decides; a picked server keeps its request. */
function repeat(times: number, pick: () => Choice | null): string {
  return Array.from({ length: times }, () => pick()?.server.name ?? "-").join("");
}

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

describe("pickLeastBusy()", () => {
  it("takes the server with the fewest requests for its share", () => {
    const cases: [servers: Choice[], picked: string | null][] = [
      [[], null],
      [[choice("a", { inFlight: 1 }), choice("b")], "b"],
      [[choice("a", { inFlight: 3, share: 2 }), choice("b", { inFlight: 2 })], "a"],
      [[choice("a", { inFlight: 5, share: 2 }), choice("b", { inFlight: 2 })], "b"],
      [[choice("a", { inFlight: 1, most: 1 }), choice("b", { inFlight: 9 })], "b"],
      [[choice("a", { inFlight: 1, most: 1 }), choice("b", { inFlight: 2, most: 2 })], null],
    ];
    for (const [servers, picked] of cases) {
      const names = servers.map(({ server }) => server.name).join();
      assert.equal(pickLeastBusy(servers, [])?.server.name ?? null, picked, names);
    }
  });

  it("leaves out servers at which the request has failed", () => {
    const [a, b] = [choice("a"), choice("b", { inFlight: 7 })];
    assert.equal(pickLeastBusy([a, b], [a.server]), b);
    assert.equal(pickLeastBusy([a, b], [a.server, b.server]), null);
  });

  it("lets idle servers take turns by their shares", () => {
    const servers = [choice("a", { share: 3 }), choice("b"), choice("c")];
    assert.deepEqual(count(repeat(500, () => pickLeastBusy(servers, [])).split("")), {
      a: 300,
      b: 100,
      c: 100,
    });
  });

  it("spreads requests in flight by shares, within one request", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 0, max: 300 }),
        (shares, requests) => {
          const servers = shares.map(named);
          for (let each = 0; each < requests; each++) {
            const picked = pickLeastBusy(servers, []);
            if (picked !== null) picked.server.inFlight++;
          }
          const total = shares.reduce((sum, share) => sum + share, 0);
          for (const { server, share } of servers) {
            const fair = (requests * share) / total;
            assert.ok(
              Math.abs(server.inFlight - fair) <= share + 1,
              `${server.inFlight} for ${fair}`,
            );
          }
        },
      ),
    );
  });
});

describe("pickInTurn()", () => {
  it("is the smooth weighted round robin of Nginx", () => {
    // The example of Nginx's change log: weights 5, 1, 1.
    const servers = [choice("a", { share: 5 }), choice("b"), choice("c")];
    assert.equal(
      repeat(14, () => pickInTurn(servers, [])),
      "aabacaaaabacaa",
    );
  });

  it("gives each server exactly its share of every round", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 }),
        (shares) => {
          const servers = shares.map(named);
          const total = shares.reduce((sum, share) => sum + share, 0);
          for (let round = 0; round < 3; round++) {
            const picks = Array.from({ length: total }, () => pickInTurn(servers, []));
            for (const server of servers) {
              assert.equal(picks.filter((pick) => pick === server).length, server.share);
            }
          }
        },
      ),
    );
  });

  it("passes full and tried servers over", () => {
    const [a, b, c] = [choice("a", { most: 0 }), choice("b"), choice("c")];
    assert.equal(
      repeat(4, () => pickInTurn([a, b, c], [b.server])),
      "cccc",
    );
    assert.equal(pickInTurn([a, b, c], [b.server, c.server]), null);
  });
});

describe("pickByHash()", () => {
  const keys = Array.from({ length: 10_000 }, (_, at) => `=user-${at}`);

  function owners(servers: readonly Choice[]): string[] {
    return keys.map((key) => pickByHash(servers, [], key)?.server.name ?? "-");
  }

  it("moves only the keys of the server that goes or comes", () => {
    const servers = Array.from({ length: 10 }, () => 1).map(named);
    const before = owners(servers);
    const [gone, ...rest] = servers;
    const after = owners(rest);
    for (const [at, owner] of before.entries()) {
      if (owner !== gone?.server.name) assert.equal(after[at], owner, keys[at]);
    }
    const moved = before.filter((owner) => owner === gone?.server.name).length;
    assert.ok(moved > 800 && moved < 1200, `${moved} of 10000 keys had the server`);
    // The keys of the one that went spread over all others.
    const heirs = count(after.filter((_, at) => before[at] === gone?.server.name));
    assert.equal(Object.keys(heirs).length, 9);
  });

  it("gives each server its share of the keys", () => {
    const servers = [1, 2, 3, 4].map(named);
    const counts = count(owners(servers));
    for (const { server, share } of servers) {
      const part = (counts[server.name] ?? 0) / keys.length;
      assert.ok(Math.abs(part - share / 10) < 0.02, `${server.name} has ${part}`);
    }
  });

  it("moves keys only to a server whose share grows", () => {
    const servers = [1, 1, 1].map(named);
    const before = owners(servers);
    const [first, ...rest] = servers;
    assert.ok(first !== undefined);
    const after = owners([{ ...first, share: 2 }, ...rest]);
    for (const [at, owner] of after.entries()) {
      if (owner !== before[at]) assert.equal(owner, first.server.name);
    }
  });

  it("goes to the second server of a key while the first is full, and back", () => {
    const servers = [1, 1, 1].map(named);
    const first = pickByHash(servers, [], "=ann");
    assert.ok(first !== null);
    first.server.inFlight = first.most;
    const second = pickByHash(servers, [], "=ann");
    assert.ok(second !== null && second !== first);
    assert.equal(pickByHash(servers, [second.server], "=ann"), otherThan(servers, [first, second]));
    first.server.inFlight = 0;
    assert.equal(pickByHash(servers, [], "=ann"), first);
  });

  it("is the same in every process and for every order of the servers", () => {
    const servers = [1, 1, 1, 1].map(named);
    assert.deepEqual(owners(servers.toReversed()), owners(servers));
    assert.equal(pickByHash(servers, [], "=ann")?.server.name, "http://10.0.0.4:3000");
  });
});

function otherThan(servers: readonly Choice[], others: readonly Choice[]): Choice | undefined {
  return servers.find((server) => !others.includes(server));
}
