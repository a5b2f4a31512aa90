import type { BlockPool } from "../bodies/block-pool.ts";
import { HeldBody } from "../bodies/held-body.ts";
import type { Spool } from "../bodies/spool.ts";
import type { Client } from "../http/client.ts";
import { whenFinished } from "../http/when-finished.ts";
import type { Logger } from "../log/log.ts";
import type { WaitingRequests } from "./waiting-requests.ts";

/** The parts of the server that hold a request while a decision about it is made. */
export interface WaitingContext {
  readonly log: Logger;
  readonly spool: Spool | null;
  readonly blocks: BlockPool;
  /** Counts the request as long as it waits: a reload keeps the workers that it may need. */
  readonly waiting: WaitingRequests;
}

/**
 * Holds a request until a decision is made, then carries it out. Must be called in the turn of the event loop in which
 * the head arrived. The client is paused when it sends much of its body meanwhile.
 *
 * @param decide Returns the continuation, which answers or lets another responder answer. Its signal aborts when the
 *   client leaves: nothing is carried out then. An error is logged and answered with 500.
 */
export function waitFor(
  client: Client,
  { log, spool, blocks, waiting }: WaitingContext,
  decide: (signal: AbortSignal) => Promise<() => void>,
): void {
  const leaving = new AbortController();
  client.onAbort(() => leaving.abort());
  if (client.head.bodyBytes !== 0) {
    const held = new HeldBody({ spool, blocks });
    client.holdBody(held);
    whenFinished(client, () => held.close());
  }
  waiting.begin();
  void run();

  async function run(): Promise<void> {
    try {
      const carryOut = await decide(leaving.signal);
      if (leaving.signal.aborted || client.settled) return;
      // From now on the next responder handles a client that leaves.
      client.onAbort(() => {});
      carryOut();
    } catch (error) {
      if (leaving.signal.aborted) return;
      log.error({ err: error }, "request failed in the primary");
      client.refuse(500);
    } finally {
      waiting.end();
    }
  }
}
