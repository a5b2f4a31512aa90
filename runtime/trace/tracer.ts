import type { Config } from "../config/config.ts";
import type { Client } from "../http/client.ts";
import { findField } from "../http/find-field.ts";
import { beginTimings } from "../http/timings.ts";
import { monotonicMs } from "../lib/monotonic.ts";
import { packageVersion } from "../lib/package-version.ts";
import { toRequestId } from "../lib/request-id.ts";
import type { Logger } from "../log/log.ts";
import { type ExportCounts, Exporter } from "./exporter.ts";
import { parseResource, parseHeaders } from "./otel-variables.ts";
import { MOST_CHARACTERS, toAttribute, toIntervals, toOtlpSpans } from "./span.ts";
import { placeInTrace, TraceIds, withTraceFields } from "./trace-context.ts";

/** Longest time for the last batch of an exporter that a reload replaces. */
const REPLACED_GRACE_MS = 5_000;

export interface TracerOptions {
  log: Logger;
  requestIdPrefix: string;
  /** The variables of OpenTelemetry: `OTEL_SERVICE_NAME` and others. */
  env: Readonly<Record<string, string | undefined>>;
}

/** Traces the requests of a primary: places them in traces, and sends the sampled ones to a collector. */
export class Tracer {
  readonly counts: ExportCounts = { exported: 0, dropped: 0, rejectedSpans: 0 };
  readonly #options: TracerOptions;
  readonly #ids = new TraceIds();
  #exporter: Exporter | null = null;
  /** Exporters that a reload has replaced, until they have sent their last batch. */
  readonly #replaced = new Set<Exporter>();
  /** All settings and variables on which the exporter depends. */
  #target = "";
  #sample = 1;

  constructor(options: TracerOptions) {
    this.#options = options;
  }

  /** Uses the settings of a config from now on. */
  useSettings({ otlp, traceSample, variables }: Config): void {
    this.#sample = traceSample;
    const env = { ...variables, ...this.#options.env };
    const target =
      otlp === null ? "" : JSON.stringify([otlp, parseHeaders(env), parseResource(env)]);
    if (target === this.#target) return;
    if (this.#exporter !== null) void this.#replace(this.#exporter);
    this.#target = target;
    this.#exporter = otlp === null ? null : this.#createExporter(otlp, env);
  }

  /** Places a request in a trace: its handler and upstream servers see the trace in `traceparent`. */
  begin(client: Client): void {
    const { head } = client;
    const context = placeInTrace(head.fields, {
      // A trusted proxy named the client, and decides for it.
      trustsParent: head.peerAddress !== undefined,
      sample: this.#sample,
      ids: this.#ids,
    });
    head.fields = withTraceFields(head.fields, context);
    if (!context.isSampled) return;
    client.trace = context;
    beginTimings(client);
  }

  /** Sends a sampled request that has ended. */
  finish(client: Client, end: { route: string; status: number; bytes: number }): void {
    const { trace, head, receivedMs, cached, upstream, workerId, id, passedOn } = client;
    if (this.#exporter === null || trace === undefined || trace === null) return;
    const nowMs = performance.now();
    const unixOffsetMs = Date.now() - nowMs;
    const clocks = { unixOffsetMs, monotonicOffsetMs: monotonicMs() - nowMs };
    const [path = ""] = head.target.split("?", 1);
    const userAgent = findField(head.fields, "user-agent");
    this.#exporter.add({
      context: {
        ...trace,
        traceState: copyText(trace.traceState),
        traceId: copyText(trace.traceId),
        parentId: trace.parentId === null ? null : copyText(trace.parentId),
      },
      method: copyText(head.method),
      path: copyText(path),
      origin: copyText(head.origin),
      protocol: head.protocol ?? "HTTP/1.1",
      clientAddress: copyText(head.clientAddress),
      userAgent: userAgent === undefined ? undefined : copyText(userAgent),
      ...end,
      requestId: copyText(head.requestId ?? toRequestId(this.#options.requestIdPrefix, id)),
      workerId,
      cached: cached ?? null,
      upstream: upstream ?? null,
      passedOn: passedOn === true,
      startMs: receivedMs + unixOffsetMs,
      endMs: nowMs + unixOffsetMs,
      ...toIntervals(client, clocks),
    });
  }

  /** Sends all that waits, for at most this time. */
  async close(graceMs: number): Promise<void> {
    const exporters = [...this.#replaced, ...(this.#exporter === null ? [] : [this.#exporter])];
    await Promise.all(exporters.map((exporter) => exporter.close(graceMs)));
  }

  async #replace(exporter: Exporter): Promise<void> {
    this.#replaced.add(exporter);
    await exporter.close(REPLACED_GRACE_MS);
    this.#replaced.delete(exporter);
  }

  #createExporter(url: string, env: TracerOptions["env"]): Exporter {
    const resource = {
      attributes: Object.entries(parseResource(env)).map(([key, value]) => toAttribute(key, value)),
    };
    const scope = { name: "edgicorn", version: packageVersion() };
    const { log } = this.#options;
    return new Exporter(
      {
        url,
        headers: parseHeaders(env),
        log,
        encode: (batch) => {
          const spans = batch.flatMap((span) => toOtlpSpans(span, () => this.#ids.next(8)));
          return JSON.stringify({ resourceSpans: [{ resource, scopeSpans: [{ scope, spans }] }] });
        },
      },
      this.counts,
    );
  }
}

/**
 * Returns the beginning of a text of a client, as a text of its own. A part of a text keeps the whole text in memory: each request that
 * waits for the collector would keep its head, up to 16 KiB.
 */
function copyText(text: string): string {
  return Buffer.from(text.slice(0, MOST_CHARACTERS)).toString();
}
