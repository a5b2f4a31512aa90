import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { Load } from "../helpers/load.ts";
import { socketsOf } from "../helpers/proc.ts";
import { fieldOf, type RawConnection } from "../helpers/raw-connection.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

/** A fixed sequence of numbers (Knuth's LCG), so that a failure can be seen again. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** An integer from 0 to below the bound. */
  roll(below: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    // The low digits of such a sequence repeat soon.
    return Math.floor((this.#state / 2 ** 32) * below);
  }
}

/** One exchange: what is sent, and what only it can get back. */
interface Plan {
  token: string;
  request: Buffer;
  expectedBody: string;
}

function createPlan(number: number, dice: Dice): Plan {
  const token = `${number}-${randomBytes(6).toString("hex")}`;
  const times = 1 + dice.roll(3) * dice.roll(2_000);
  const body = dice.roll(2) === 0 ? "" : token.repeat(1 + dice.roll(3_000));
  const path = `/token?token=${token}&times=${times}&delay=${dice.roll(6)}`;
  const fields = body === "" ? [] : [`Content-Length: ${body.length}`];
  const method = body === "" ? "GET" : "POST";
  const head = [`${method} ${path} HTTP/1.1`, "Host: localhost", ...fields, "", ""].join("\r\n");
  return {
    token,
    request: Buffer.from(head + body),
    expectedBody: `${token};`.repeat(times) + body,
  };
}

/** Asks in order and looks at each answer. */
async function behave(connection: RawConnection, plans: readonly Plan[]): Promise<void> {
  for (const { token, request, expectedBody } of plans) {
    connection.send(request);
    const response = await connection.response();
    assert.equal(response.status, 200);
    assert.equal(fieldOf(response, "x-token"), token);
    assert.equal(response.body.toString("latin1"), expectedBody);
  }
  connection.destroy();
}

/** Leaves at a random point: in the head, in the body, before the answer, in the middle of it. */
async function misbehave(connection: RawConnection, plan: Plan, dice: Dice): Promise<void> {
  const { request, expectedBody } = plan;
  const leave = [
    () => connection.destroy(),
    () => connection.reset(),
    () => connection.socket.end(),
  ][dice.roll(3)];
  if (dice.roll(2) === 0) {
    await connection.sent(request.subarray(0, dice.roll(request.length)));
  } else {
    await connection.sent(request);
    // All that comes must still be an answer to this request.
    if (dice.roll(3) > 0) {
      const start = await connection.bytes(
        100 + Math.floor(dice.roll(2) * expectedBody.length * 0.5),
      );
      const [head = "", body = ""] = start.toString("latin1").split("\r\n\r\n");
      assert.ok(head.startsWith("HTTP/1.1 200 OK\r\n"), head);
      assert.ok(expectedBody.startsWith(body), body);
    }
  }
  leave?.();
  connection.destroy();
}

async function exchange(server: TestServer, number: number, dice: Dice): Promise<void> {
  const connection = await server.connect();
  if (dice.roll(2) === 0) await misbehave(connection, createPlan(number, dice), dice);
  else {
    const plans = Array.from({ length: 1 + dice.roll(3) }, () => createPlan(number, dice));
    await behave(connection, plans);
  }
}

describe("exchanges side by side", { timeout: 600_000 }, () => {
  it("never mix, whatever other clients do, and leave nothing behind", async (t) => {
    const server = await startServer(t, { workers: 2, handlers: FIXTURE_HANDLERS });
    const before = socketsOf(server.pid);
    const dice = new Dice(20_260);
    const load = new Load(t, 24, (number) => exchange(server, number, dice));
    await load.until(1_500);
    await load.stop();

    await eventually(t, () => socketsOf(server.pid) <= before);
    await behave(
      await server.connect(),
      Array.from({ length: 20 }, (_, number) => createPlan(number, dice)),
    );
    assert.deepEqual(
      [...server.workers.keys()].toSorted((a, b) => a - b),
      [1, 2],
    );
    const troubles = server.logs.filter(({ level }) => level === "error" || level === "fatal");
    assert.deepEqual(troubles, []);
  });
});
