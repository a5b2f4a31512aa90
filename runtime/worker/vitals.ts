import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { Vitals } from "../channel/messages.ts";
import type { BackgroundWork } from "./background-work.ts";

/** Tells how this process is. A reading takes some 20 µs, most of it for the system's answer. */
export class VitalsMeter {
  #last = performance.eventLoopUtilization();
  readonly #background: Pick<BackgroundWork, "inFlight">;

  constructor(background: Pick<BackgroundWork, "inFlight">) {
    this.#background = background;
  }

  /** Reads the present values. The utilization is that since the previous reading. */
  read(): Vitals {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#last);
    this.#last = now;
    return {
      rssBytes: process.memoryUsage.rss(),
      heapUsedBytes: getHeapStatistics().used_heap_size,
      loopUtilization: utilization,
      backgroundWork: this.#background.inFlight,
    };
  }
}
