import * as z from "zod/mini";
import { HANDLER_SETTINGS } from "../config/handler-settings.ts";
import { QUEUE_NAME } from "../config/queue-config.ts";
import { CATCH_UPS, OVERLAPS } from "../lib/schedules.ts";
import { describeElement } from "./describe-element.ts";
import type { BootFailure, HandlerFailure, RouteLimits, WorkerReport } from "./messages.ts";

/** An absent limit means the same as nil: the server's own. */
function orServers<T extends z.core.$ZodType>(schema: T): z.ZodMiniDefault<z.ZodMiniNullable<T>> {
  return z._default(z.nullable(schema), null);
}

const flag = orServers(z.boolean());

const limitFields = HANDLER_SETTINGS.map(({ key, type }): [string, z.ZodMiniType] => [
  key,
  orServers(z.custom((value) => type.parse(value) !== null)),
]);

const rate = z.object({
  requests: z.int().check(z.minimum(1)),
  windowMs: z.int().check(z.minimum(1)),
});

const limitsSchema = z.object({
  ...Object.fromEntries(limitFields),
  reserved: flag,
  replay: flag,
  rateLimit: orServers(rate),
}) as unknown as z.ZodMiniType<RouteLimits>; // The table has an entry for each other key.

const schedule = z.object({
  cron: z.string(),
  timeZone: z.string(),
  overlap: z.enum(OVERLAPS),
  catchUp: z.enum(CATCH_UPS),
});

const scheduledHandler = z.object({
  handler: z.int().check(z.minimum(0)),
  schedules: z.array(schedule),
});

const whole = z.int().check(z.minimum(0));

const queueHandler = z.object({
  handler: whole,
  queue: z.object({
    name: z.string().check(z.regex(QUEUE_NAME)),
    batchSize: z.int().check(z.minimum(1)),
    batchTimeoutMs: whole,
    retries: whole,
    backoffMs: whole,
    deadLetter: z.nullable(z.string().check(z.regex(QUEUE_NAME))),
    concurrency: z.int().check(z.minimum(1)),
  }),
});

const reportSchema = z.object({
  pid: z.number(),
  routes: z.array(
    z.nullable(
      z.object({
        methods: z.nullable(z.array(z.string())),
        limits: limitsSchema,
        methodLimits: z.record(z.string(), limitsSchema),
        hasSockets: z._default(z.boolean(), false),
        scheduled: z.optional(z.array(scheduledHandler)),
        queues: z.optional(z.array(queueHandler)),
      }),
    ),
  ),
  warnings: z._default(z.array(z.string()), []),
  threads: z._default(z.nullable(z.int().check(z.minimum(1))), null),
}) satisfies z.ZodMiniType<WorkerReport>;

const failureSchema = z.object({
  code: z.string(),
  message: z.string(),
}) satisfies z.ZodMiniType<BootFailure>;

const handlerFailureSchema = z.object({
  requestId: z.string(),
  message: z.string(),
  handler: z.string(),
  place: z._default(z.nullable(z.string()), null),
}) satisfies z.ZodMiniType<HandlerFailure>;

/** A value of the type, or a description of the first fault and its place. */
export type Parsed<T> = { ok: true; value: T } | { ok: false; fault: string };

/** Checks the report of a worker that is ready. Fills in `null` for each limit that the worker left out. */
export function parseReport(value: unknown): Parsed<WorkerReport> {
  return parse(reportSchema, value, "report");
}

/** Checks a worker's reason for not serving. */
export function parseBootFailure(value: unknown): Parsed<BootFailure> {
  return parse(failureSchema, value, "failure");
}

/** Checks a worker's reason for the failure of a request. */
export function parseHandlerFailure(value: unknown): Parsed<HandlerFailure> {
  return parse(handlerFailureSchema, value, "failure");
}

function parse<T>(schema: z.ZodMiniType<T>, value: unknown, name: string): Parsed<T> {
  const result = schema.safeParse(value);
  if (result.success) return { ok: true, value: result.data };
  const path = result.error.issues[0]?.path ?? [];
  const place = path.map((key) => (typeof key === "number" ? `[${key}]` : `.${String(key)}`));
  const found = describeElement(path.reduce(elementOf, value));
  return { ok: false, fault: `${name}${place.join("")} is ${found}` };
}

function elementOf(value: unknown, key: PropertyKey): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}
