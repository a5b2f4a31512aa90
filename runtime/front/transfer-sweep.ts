import { ExchangeTable } from "../exchange-table.ts";
import type { UwsClientSide } from "./uws-client-side.ts";

/** How often each client that sends or takes a body is looked at. */
const SWEEP_MS = 1_000;

/**
 * They are looked at in so many groups, one after the other. A cut takes 0.1 ms: if thousands of slow clients come at
 * once, and so are cut at once, all others would wait for it (measured: 20 ms each second beside 2,000).
 */
const SWEEP_GROUPS = 20;

/** The library cuts what stands still for 8 to 12 s; half of that is often enough to say that it is ours to decide. */
const SWEEPS_PER_KEEP_ALIVE = 4;

/** Looks at each client of which bytes are on their way, for whether it is too slow. */
export class TransferSweep {
  readonly #groups = Array.from({ length: SWEEP_GROUPS }, () => new ExchangeTable<UwsClientSide>());
  readonly #timer: NodeJS.Timeout;
  #turns = 0;

  constructor() {
    this.#timer = setInterval(() => this.#checkNextGroup(), SWEEP_MS / SWEEP_GROUPS);
    this.#timer.unref();
  }

  add(client: UwsClientSide): void {
    this.#groups[client.id % SWEEP_GROUPS]?.add(client);
  }

  delete(client: UwsClientSide): void {
    this.#groups[client.id % SWEEP_GROUPS]?.delete(client.id);
  }

  /** Looks at nobody any more. Returns those of which bytes are still on their way. */
  stop(): UwsClientSide[] {
    clearInterval(this.#timer);
    return this.#groups.flatMap((group) => [...group.values()]);
  }

  #checkNextGroup(): void {
    const turn = this.#turns++;
    const group = this.#groups[turn % SWEEP_GROUPS];
    if (group === undefined || group.size === 0) return;
    const nowMs = performance.now();
    const keepAlive = Math.floor(turn / SWEEP_GROUPS) % SWEEPS_PER_KEEP_ALIVE === 0;
    for (const client of group.values()) client.check(nowMs, { keepAlive });
  }
}
