import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import { text } from "node:stream/consumers";
import * as z from "zod/mini";

const hex = (digits: number): z.ZodMiniString =>
  z.string().check(z.regex(new RegExp(`^(?!0+$)[\\da-f]{${digits}}$`)));
const nanos = z.string().check(z.regex(/^\d{19}$/));
const attributes = z.array(
  z.strictObject({
    key: z.string(),
    value: z.union([
      z.strictObject({ stringValue: z.string() }),
      // 64 bits: a text in the JSON form of Protocol Buffers.
      z.strictObject({ intValue: z.string().check(z.regex(/^-?\d+$/)) }),
    ]),
  }),
);

/**
 * `ExportTraceServiceRequest` in the JSON form of OTLP
 * (https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto). Strict: a collector
 * ignores names that it does not know.
 */
const exportSchema = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes }),
      scopeSpans: z.array(
        z.strictObject({
          scope: z.strictObject({ name: z.string(), version: z.string() }),
          spans: z.array(
            z.strictObject({
              traceId: hex(32),
              spanId: hex(16),
              traceState: z.optional(z.string()),
              parentSpanId: z.optional(hex(16)),
              name: z.string(),
              kind: z.union([z.literal(1), z.literal(2)]),
              startTimeUnixNano: nanos,
              endTimeUnixNano: nanos,
              attributes,
              status: z.strictObject({ code: z.optional(z.literal(2)) }),
            }),
          ),
        }),
      ),
    }),
  ),
});

export type OtlpExport = z.infer<typeof exportSchema>;
export type OtlpSpan = OtlpExport["resourceSpans"][number]["scopeSpans"][number]["spans"][number];

/** A message that the collector got. */
export interface Received {
  headers: IncomingHttpHeaders;
  body: OtlpExport;
}

export interface Collector {
  url: string;
  received: Received[];
  /** All spans that it got. */
  readonly spans: OtlpSpan[];
  /** Statuses of its next answers; 200 when there are none. */
  answers: number[];
  /** Bodies of its next answers; `{}` when there are none. */
  texts: string[];
  /** Resolves with the next message. */
  next: () => Promise<void>;
}

/** Opens a collector of OpenTelemetry that refuses messages of another form than OTLP's. */
export async function openCollector(t: { after: (close: () => void) => void }): Promise<Collector> {
  const received: Received[] = [];
  const answers: number[] = [];
  const texts: string[] = [];
  const server = createServer((request, response) => {
    void (async () => {
      const body = await text(request);
      assert.deepEqual(
        [request.method, request.url, request.headers["content-type"]],
        ["POST", "/v1/traces", "application/json"],
      );
      received.push({ headers: request.headers, body: exportSchema.parse(JSON.parse(body)) });
      response.writeHead(answers.shift() ?? 200, { "retry-after": "0" });
      response.end(texts.shift() ?? "{}");
      server.emit("received");
    })();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return {
    url: `http://127.0.0.1:${address.port}`,
    received,
    answers,
    texts,
    get spans() {
      return received.flatMap(({ body }) =>
        body.resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans)),
      );
    },
    next: async () => {
      await once(server, "received");
    },
  };
}

/** Returns the attributes of a span as plain values. */
export function attributesOf({
  attributes: list,
}: Pick<OtlpSpan, "attributes">): Record<string, string | number> {
  return Object.fromEntries(
    list.map(({ key, value }) => [
      key,
      "intValue" in value ? Number(value.intValue) : value.stringValue,
    ]),
  );
}
