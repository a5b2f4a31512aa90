import type { Operations } from "../control/operations.ts";
import type { Logger } from "../log/log.ts";
import type { MetricsFacts } from "../metrics/facts.ts";
import type { Readiness } from "../observe/readiness.ts";
import { createActionPages } from "./action-pages.ts";
import type { AdminPage } from "./admin-page.ts";
import { createHealthPages } from "./health-pages.ts";
import { createLivePage } from "./live-page.ts";
import { createMetricsPage } from "./metrics-page.ts";
import { createStatusPage } from "./status-page.ts";

export interface PagesOptions {
  log: Logger;
  readiness: () => Readiness;
  /** Returns the facts for metrics; `null`: the server starts. */
  look: () => MetricsFacts | null;
  /** Returns the operations; `null`: the server starts. */
  operations: () => Operations | null;
}

/** Creates all pages of the admin listener. */
export function createPages({ log, readiness, look, operations }: PagesOptions): AdminPage[] {
  return [
    createStatusPage(),
    createLivePage(() => {
      const known = operations();
      return known === null ? null : (reader) => known.watch(reader);
    }),
    ...createHealthPages(readiness),
    createMetricsPage(look),
    ...createActionPages(operations, log),
  ];
}
