import type { MetricsFacts } from "../metrics/facts.ts";
import { FAMILIES } from "../metrics/families.ts";
import { CONTENT_TYPES, pickFormat, writeMetrics } from "../metrics/write-metrics.ts";
import { type AdminPage, toText } from "./admin-page.ts";

/**
 * Creates the page of metrics, for Prometheus.
 *
 * @param look Returns the facts now; `null`: the server starts.
 */
export function createMetricsPage(look: () => MetricsFacts | null): AdminPage {
  return {
    path: "/metrics",
    methods: ["GET"],
    access: "operator",
    about: "metrics for Prometheus, as text or OpenMetrics",
    answer({ fields }) {
      const format = pickFormat(fields.accept);
      const facts = look();
      if (facts === null) return toText(503, "the server starts\n");
      const body = writeMetrics(FAMILIES, facts, format);
      return { status: 200, contentType: CONTENT_TYPES[format], body };
    },
  };
}
