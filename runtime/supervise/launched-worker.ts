import type { Socket } from "node:net";
import type { Findings } from "./hang/examine.ts";
import type { ProcessExit } from "./loss-cause.ts";

/** A process that runs as a worker, whatever its language, and the primary's end of its channel. */
export interface LaunchedWorker {
  /** 0 when the process never started. */
  readonly pid: number;
  readonly socket: Socket;
  /** Calls back once, when the process is gone. */
  onExit(callback: (exit: ProcessExit) => void): void;
  /** Ends the process at once. The process cannot ignore this. */
  kill(): void;
  /** Finds out where the process is blocked. Never rejects; ends with the signal. The process can go on. */
  examine(options: { signal: AbortSignal }): Promise<Findings>;
  /** Returns the stack that the process wrote when it crashed; empty: it wrote none. */
  crashStack(): Findings["stack"];
}
