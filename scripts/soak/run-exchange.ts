import { setTimeout as delay } from "node:timers/promises";
import type { Connection, Received } from "../../runtime/drill/connection.ts";
import { expectOf, headOf, type Break, type ExchangePlan, type Leaving } from "./exchange-plan.ts";
import { findOther, patternFrom } from "./pattern.ts";
import { sequence, type Random } from "./random.ts";

/** The answer when the handler fails before any byte of its answer was sent. */
const FAILED = 500;

/** The result of an exchange for its client. */
export type Outcome =
  | { readonly kind: "answered"; readonly status: number }
  /** The connection ended before the response did, as planned. */
  | { readonly kind: "broken"; readonly status: number | null }
  /** The client left. */
  | { readonly kind: "left" };

/**
 * Runs one exchange as planned. Afterwards the connection may be used again if it is still open.
 *
 * @throws Error when it ends otherwise than planned.
 */
export async function runExchange(client: Connection, plan: ExchangePlan): Promise<Outcome> {
  const random = sequence(plan.pieceSeed);
  const { body } = expectOf(plan);
  const done = { is: false };
  const receiving = client.receive({
    head: plan.method === "HEAD",
    onBody: (bytes, offset) => {
      if (body === null || client.head?.status !== expectOf(plan).status) return;
      const other = findOther(bytes, body.from + offset);
      if (other !== -1) throw new Error(`wrong bytes from ${offset + other} on`);
      if (offset + bytes.length > body.bytes) throw new Error(`more than ${body.bytes} bytes`);
    },
  });
  // Its error is thrown below, once the rest of the exchange has stopped.
  receiving.catch(() => undefined);
  try {
    const parts = [
      sendRequest(client, plan, random),
      pauseReading(client, plan.readingPauses, { random: sequence(plan.pieceSeed + 1), done }),
    ];
    if (plan.break?.kind === "leaves-reading") parts.push(leaveReading(client, plan.break));
    for (const part of parts) part.catch(() => undefined);
    const received = await receiving;
    done.is = true;
    // A server that has answered may stop reading: then the sending never ends.
    if (client.closed) return judge(plan, received);
    await Promise.race([Promise.all(parts), client.untilClosed()]);
    return judge(plan, received);
  } finally {
    done.is = true;
    if (plan.break !== null) client.socket.destroy();
  }
}

/** Returns the result of an exchange. @throws Error when it is not the planned one. */
export function judge(plan: ExchangePlan, received: Received): Outcome {
  const expected = expectOf(plan);
  const { head, bodyBytes, complete } = received;
  const leaves = plan.break !== null && plan.break.kind !== "stalls-sending";
  if (leaves && !complete) return { kind: "left" };
  // The server may refuse a truncated head before it sees that the client left.
  if (plan.break?.kind === "leaves-sending" && plan.break.atByte < headOf(plan).length) {
    return { kind: "left" };
  }
  if (head === null) {
    // The handler may fail so soon that no byte has left.
    if (expected.kind === "broken") return { kind: "broken", status: null };
    throw new Error(`no response, expected ${expected.status}`);
  }
  // A failure before the first byte of the answer has a status of its own.
  if (expected.kind === "broken" && plan.asked === "breaks" && head.status === FAILED && complete) {
    return { kind: "answered", status: head.status };
  }
  if (head.status !== expected.status) {
    throw new Error(`status ${head.status}, expected ${expected.status}`);
  }
  if (expected.kind === "broken") {
    if (complete) throw new Error(`ended in order after ${bodyBytes} bytes, expected a broken one`);
    return { kind: "broken", status: head.status };
  }
  if (!complete) {
    throw new Error(
      `broken off after ${bodyBytes} bytes, expected ${expected.body?.bytes ?? "all"}`,
    );
  }
  if (expected.body !== null && bodyBytes !== expected.body.bytes) {
    throw new Error(`a body of ${bodyBytes} bytes, expected ${expected.body.bytes}`);
  }
  return { kind: "answered", status: head.status };
}

/** Sends head and body up to the offset where the client leaves or stops. Framing within the body does not count. */
async function sendRequest(client: Connection, plan: ExchangePlan, random: Random): Promise<void> {
  const head = headOf(plan);
  const brk = plan.break;
  const isCut = brk?.kind === "leaves-sending" || brk?.kind === "stalls-sending";
  const end = isCut ? brk.atByte : head.length + plan.requestBytes;
  await client.send(head.slice(0, end));
  const bodyEnd = Math.max(0, end - head.length);
  for (let at = 0; at < bodyEnd && !client.closed;) {
    const most = 1 + random(random(4) === 0 ? 100 : 200_000);
    const piece = patternFrom(plan.from + at, Math.min(bodyEnd - at, most));
    at += piece.length;
    if (plan.framing === "chunked") {
      const size = `${piece.length.toString(16)}\r\n`;
      await client.send(Buffer.concat([Buffer.from(size), piece, Buffer.from("\r\n")]));
    } else {
      await client.send(piece);
    }
    if (random(8) === 0) await delay(random(4));
  }
  if (!isCut && plan.framing === "chunked") await client.send("0\r\n\r\n");
  if (brk?.kind === "leaves-sending") leave(client, brk.how);
  if (brk?.kind !== "leaves-waiting") return;
  await delay(brk.afterMs);
  leave(client, brk.how);
}

async function leaveReading(
  client: Connection,
  { atByte, how }: Extract<Break, { kind: "leaves-reading" }>,
): Promise<void> {
  await client.untilBody(Math.max(1, atByte));
  leave(client, how);
}

function leave(client: Connection, how: Leaving): void {
  switch (how) {
    case "close":
      client.socket.destroy();
      return;
    case "half-close":
      client.socket.end();
      return;
    case "reset":
      client.reset();
  }
}

async function pauseReading(
  { socket }: Connection,
  times: number,
  { random, done }: { random: Random; done: { readonly is: boolean } },
): Promise<void> {
  for (let left = times; left > 0 && !done.is && !socket.destroyed; left--) {
    socket.pause();
    await delay(random(10));
    socket.resume();
    await delay(random(3));
  }
}
