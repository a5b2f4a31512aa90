import { performance } from "node:perf_hooks";
import { getHeapStatistics } from "node:v8";
import type { Vitals } from "../channel/messages.ts";

/** Tells how this process is. A reading takes some 20 µs, most of it for the system's answer. */
export class VitalsMeter {
  #last = performance.eventLoopUtilization();

  /** Reads the present values. The utilization is that since the previous reading. */
  read(): Vitals {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#last);
    this.#last = now;
    return {
      rssBytes: process.memoryUsage.rss(),
      heapUsedBytes: getHeapStatistics().used_heap_size,
      loopUtilization: utilization,
    };
  }
}
