import { FrameConnection } from "../../../helpers/http2-frames/frame-connection.ts";
import { FLAG, TYPE } from "../../../helpers/http2-frames/frames.ts";
import type { Outcome, Row } from "./row.ts";

/** Returns the outcomes that a row may have on this server. */
export function outcomesOf({ outcome, deviation }: Row): readonly Outcome[] {
  if (deviation !== undefined) return [deviation];
  return typeof outcome === "object" ? outcome : [outcome];
}

/**
 * Sends a row on a connection of its own.
 *
 * @returns The outcome, with the body of the answer. After an outcome that keeps the connection, the connection has
 *   answered a PING frame.
 */
export async function runRow(
  row: Row,
  { port, secure }: { port: number; secure: boolean },
): Promise<{ outcome: Outcome; text: string }> {
  const connection =
    row.isRaw === true
      ? await FrameConnection.connect(port, { secure })
      : await FrameConnection.open(port, { secure });
  try {
    for (const item of row.send) {
      if (item instanceof Uint8Array) connection.send(item);
      else if (item === "read") await connection.untilRead();
      else await connection.response(1);
    }
    return await outcomeOf(connection, outcomesOf(row));
  } finally {
    connection.destroy();
  }
}

async function outcomeOf(
  connection: FrameConnection,
  expected: readonly Outcome[],
): Promise<{ outcome: Outcome; text: string }> {
  if (expected.includes("open")) {
    // Fails if the connection ends, which is another outcome.
    await connection.untilRead().catch(() => {});
    if (!connection.closed && !isDecided(connection)) return { outcome: "open", text: "" };
  }
  while (!isDecided(connection)) await connection.change();
  const { goaway } = connection;
  const reset = connection.resetOf(1);
  // After an early answer, NO_ERROR tells the client to stop sending.
  if (isAnswered(connection) && (reset === null || reset === "NO_ERROR")) {
    const { status, body } = await connection.response(1);
    // The answer may come before GOAWAY, and in a read of its own. Then the end of the connection is the outcome.
    if (goaway !== null || (await isKept(connection))) {
      return { outcome: status, text: body.toString("latin1") };
    }
  }
  if (connection.goaway !== null || connection.closed) {
    await connection.untilClosed();
    const code = connection.goaway;
    return { outcome: code === null ? "closed" : `goaway ${code}`, text: "" };
  }
  await connection.untilRead();
  return { outcome: `reset ${connection.resetOf(1)}`, text: "" };
}

/** Resolves once the server has read all, or has closed the connection. Returns whether it keeps the connection. */
async function isKept(connection: FrameConnection): Promise<boolean> {
  try {
    await connection.untilRead();
    return true;
  } catch (error) {
    if (!connection.closed) throw error;
    return false;
  }
}

function isDecided(connection: FrameConnection): boolean {
  const { closed, goaway } = connection;
  return closed || goaway !== null || connection.resetOf(1) !== null || isAnswered(connection);
}

function isAnswered({ frames }: FrameConnection): boolean {
  return frames.some(
    ({ stream, type, flags }) =>
      stream === 1 &&
      (type === TYPE.data || type === TYPE.headers) &&
      (flags & FLAG.endStream) !== 0,
  );
}
