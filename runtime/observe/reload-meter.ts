import { Histogram } from "./histogram.ts";

/** Reloads and rollbacks of a server. */
export class ReloadMeter {
  readonly durations: Record<"reload" | "rollback", Record<"done" | "refused", Histogram>> = {
    reload: { done: new Histogram(), refused: new Histogram() },
    rollback: { done: new Histogram(), refused: new Histogram() },
  };
  /** End of the last one that changed the server, in ms since 1970; `null`: there was none. */
  lastDoneMs: number | null = null;
  /** Whether the last one was refused. */
  isLastRefused = false;

  note(kind: "reload" | "rollback", outcome: "done" | "refused", ms: number): void {
    this.durations[kind][outcome].note(ms);
    this.isLastRefused = outcome === "refused";
    if (outcome === "done") this.lastDoneMs = Date.now();
  }
}
