import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { patternOf } from "./pattern.ts";

/** A body that a handler is to make. */
export interface Order {
  /** Offset in the pattern. */
  readonly from: number;
  readonly bytes: number;
  /** Size of its pieces. */
  readonly piece: number;
  /** Pauses after this many pieces; 0: never. */
  readonly pauseEvery: number;
  /** The head announces its size. */
  readonly announced: boolean;
}

/** The query that orders a body. */
export function formatOrder(order: Order): string {
  const { from, bytes, piece, pauseEvery, announced } = order;
  return `?from=${from}&bytes=${bytes}&piece=${piece}&pause=${pauseEvery}&announced=${announced ? 1 : 0}`;
}

/** Reads the order from a URL. */
export function parseOrder(url: string): Order {
  const query = new URL(url).searchParams;
  const number = (name: string): number => Number(query.get(name) ?? 0);
  return {
    from: number("from"),
    bytes: number("bytes"),
    piece: Math.max(1, number("piece")),
    pauseEvery: number("pause"),
    announced: number("announced") === 1,
  };
}

/** Makes the ordered body while it is read. `fails`: at its end, instead of ending. */
export function produce(order: Order & { fails?: boolean }): ReadableStream<Uint8Array> {
  const { from, bytes, piece, pauseEvery, fails } = order;
  let at = 0;
  let pieces = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (at === bytes) {
        if (fails === true) controller.error(new Error("broken off by the soak"));
        else controller.close();
        return;
      }
      if (pauseEvery > 0 && ++pieces % pauseEvery === 0) {
        await (pieces % (2 * pauseEvery) === 0 ? delay(2) : nextTurn());
      }
      const length = Math.min(piece, bytes - at);
      const chunk = patternOf(from + at, length);
      at += length;
      controller.enqueue(chunk);
    },
  });
}
