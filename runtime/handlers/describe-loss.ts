import type { WorkerId } from "../channel/messages.ts";
import type { LossCause } from "../supervise/loss-cause.ts";

/** A worker that was lost. */
export interface LostWorker {
  readonly workerId: WorkerId;
  readonly pool: string;
  readonly cause: LossCause;
  /** The file in which it was blocked; `null`: not known. */
  readonly handler: string | null;
  /** Requests that failed with it, and requests that another worker got. */
  readonly failed: number;
  readonly replayed: number;
}

const VERBS: Readonly<Record<LossCause, string>> = {
  crashed: "crashed",
  hung: "hung and was killed",
  killed: "was killed by another process",
  breach: "broke the protocol and was killed",
  retired: "ended in order",
};

/** Describes the loss of a worker in one line: `worker 3 of pool default crashed, 1 request lost`. */
export function describeLoss(lost: LostWorker): string {
  const { workerId, pool, cause, handler, failed, replayed } = lost;
  const place = handler === null ? "" : ` (blocked in ${handler})`;
  const requests = failed === 0 ? "" : `, ${failed} ${failed === 1 ? "request" : "requests"} lost`;
  const again = replayed === 0 ? "" : `, ${replayed} sent to another worker`;
  return `worker ${workerId} of pool ${pool} ${VERBS[cause]}${place}${requests}${again}`;
}
