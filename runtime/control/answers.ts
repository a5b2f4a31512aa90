import * as z from "zod/mini";
import type { EffectiveConfig } from "../config/list-effective.ts";
import { CACHE_RESULTS, type CacheResult } from "../http/cache-result.ts";
import { LIMIT_NAMES, type LimitName } from "../http/limit-names.ts";
import { isSnapshot, type LiveSnapshot } from "../live/snapshot.ts";
import type {
  DrainReport,
  CronJobInfo,
  CronRunReport,
  GenerationInfo,
  Greeting,
  PurgeReport,
  RecycleReport,
  ReloadReport,
  RestartNeed,
  RouteInfo,
  Status,
} from "./operations.ts";

const change = z.object({
  name: z.string(),
  change: z.enum(["kept", "replaced", "added", "removed"]),
  reasons: z.array(z.string()),
  workers: z.number(),
});

/**
 * Schema of the answer to `/reload` and `/rollback`, with the members that commands display. This schema and those below drop
 * other members, which a newer server may send, and refuse an answer without one of these.
 */
export const reloadReportSchema: z.ZodMiniType<ReloadReport> = z.object({
  generation: z.string(),
  previous: z.nullable(z.string()),
  durationMs: z.number(),
  pools: z.array(change),
  settings: z.array(z.string()),
  warnings: z.array(z.string()),
  moved: z.nullable(
    z.object({ link: z.string(), from: z.string(), to: z.string(), pid: z.number() }),
  ),
});

/** The answer to `/purge`. */
export const purgeReportSchema: z.ZodMiniType<PurgeReport> = z.object({ purged: z.number() });

/** The answer to `/recycle`. */
export const recycleReportSchema: z.ZodMiniType<RecycleReport> = z.object({
  worker: z.number(),
  pool: z.string(),
});

/** The answer to `/drain`. */
export const drainReportSchema: z.ZodMiniType<DrainReport> = z.object({ draining: z.boolean() });

/** The answer to `/`. */
export const greetingSchema: z.ZodMiniType<Greeting> = z.object({
  pid: z.number(),
  version: z.string(),
  folder: z.string(),
  startedIn: z.string(),
  handlersDir: z.string(),
  addresses: z.array(z.string()),
});

/** The answer to `/generations`. */
export const generationsSchema: z.ZodMiniType<GenerationInfo[]> = z.array(
  z.object({
    id: z.string(),
    createdAt: z.string(),
    // Servers of earlier versions do not send it.
    mode: z._default(z.enum(["production", "development"]), "production"),
    routes: z.number(),
    code: z.string(),
    state: z.enum(["serving", "shared", "retiring", "stored"]),
    rollback: z.boolean(),
    requests: z.number(),
    errors: z.number(),
  }),
);

const settings = z.array(z.object({ name: z.string(), value: z.string(), from: z.string() }));

/** The answer to `/config`. */
export const effectiveConfigSchema: z.ZodMiniType<EffectiveConfig> = z.object({
  configFile: z.nullable(z.string()),
  envFiles: z.array(z.string()),
  variables: z.array(z.string()),
  settings,
  sites: z.array(z.object({ name: z.string(), hosts: z.array(z.string()), settings })),
  others: settings,
});

/** The answer to `/routes`. */
export const routesSchema: z.ZodMiniType<RouteInfo[]> = z.array(
  z.object({
    site: z.string(),
    use: z.enum(["route", "fallback"]),
    methods: z.array(z.string()),
    pattern: z.string(),
    file: z.string(),
    pool: z.string(),
    settings: z.array(z.object({ name: z.string(), value: z.string() })),
  }),
);

/** The answer to `/restarts`. */
export const restartsSchema: z.ZodMiniType<RestartNeed[]> = z.array(
  z.object({ name: z.string(), before: z.unknown(), after: z.unknown() }),
);

const worker = z.object({
  id: z.number(),
  pid: z.number(),
  state: z.enum(["starting", "ready", "silent", "draining", "exited"]),
});

const traffic = z.object({
  connections: z.object({ open: z.number(), accepted: z.number() }),
  requests: z.object({
    received: z.number(),
    open: z.number(),
    queued: z.number(),
    inFlight: z.number(),
  }),
  responses: z.object({
    "2xx": z.number(),
    "3xx": z.number(),
    "4xx": z.number(),
    "5xx": z.number(),
    clientLeft: z.number(),
  }),
  limits: z.pipe(z.record(z.string(), z.number()), z.transform(toKnownLimits)),
});

/** Takes the counts of the limits of this version. A server of another version may have others. */
function toKnownLimits(counts: Readonly<Record<string, number>>): Record<LimitName, number> {
  const known = LIMIT_NAMES.map((name) => [name, counts[name] ?? 0]);
  return Object.fromEntries(known) as Record<LimitName, number>; // Has all names.
}

const upstreamServer = z.object({
  name: z.string(),
  state: z.enum(["up", "slow start", "out", "probing", "trial", "draining"]),
  outMs: z.nullable(z.number()),
  backup: z.boolean(),
  weight: z.number(),
  inFlight: z.number(),
  requests: z.number(),
  failures: z.number(),
  lastReason: z.nullable(z.string()),
});

const upstreamGroup = z.object({
  name: z.string(),
  servers: z.array(upstreamServer),
  queued: z.number(),
  unresolved: z.array(z.string()),
});

const cronJob = z.object({
  site: z.string(),
  route: z.string(),
  file: z.string(),
  pool: z.string(),
  cron: z.string(),
  timeZone: z.string(),
  next: z.nullable(z.string()),
  running: z.number(),
  waiting: z.number(),
  last: z.nullable(z.string()),
  result: z.nullable(z.string()),
  durationMs: z.nullable(z.number()),
  lastSuccess: z.nullable(z.string()),
  runs: z.record(z.string(), z.number()),
  skipped: z.number(),
  missed: z.number(),
});

const queue = z.object({
  queue: z.string(),
  store: z.string(),
  site: z.string(),
  route: z.string(),
  file: z.string(),
  pool: z.string(),
  waiting: z.number(),
  delayed: z.number(),
  inWork: z.number(),
  dead: z.number(),
  batches: z.number(),
  results: z.record(z.string(), z.number()),
  acknowledged: z.number(),
  retried: z.number(),
  buried: z.number(),
  dropped: z.number(),
  lost: z.number(),
});

/** The answer to `/cron`. */
export const cronSchema: z.ZodMiniType<CronJobInfo[]> = z.array(cronJob);

/** The answer to `/cron/run`. */
export const cronRunSchema: z.ZodMiniType<CronRunReport> = z.object({
  route: z.string(),
  cron: z.string(),
  result: z.string(),
  durationMs: z.number(),
});

const cache = z.object({
  entries: z.number(),
  memoryBytes: z.number(),
  memoryLimitBytes: z.number(),
  diskEntries: z.number(),
  diskBytes: z.number(),
  diskLimitBytes: z.number(),
  evictions: z.number(),
  rejections: z.number(),
  isScanning: z.boolean(),
  isDiskFailing: z.boolean(),
  results: z.pipe(z.record(z.string(), z.number()), z.transform(toKnownResults)),
});

/** Takes the counts of the results of this version. A server of another version may have others. */
function toKnownResults(counts: Readonly<Record<string, number>>): Record<CacheResult, number> {
  const known = CACHE_RESULTS.map((name) => [name, counts[name] ?? 0]);
  return Object.fromEntries(known) as Record<CacheResult, number>; // Has all names.
}

/** The answer to `/status`. */
export const statusSchema: z.ZodMiniType<Status> = z.object({
  pid: z.number(),
  version: z.string(),
  library: z.string(),
  mode: z.enum(["production", "development"]),
  startedAt: z.string(),
  generation: z.string(),
  routes: z.number(),
  sites: z.optional(
    z.array(z.object({ name: z.string(), hosts: z.array(z.string()), routes: z.number() })),
  ),
  rolledBackFrom: z.nullable(z.string()),
  listeners: z.array(z.object({ scheme: z.enum(["http", "https"]), port: z.number() })),
  pools: z.array(z.object({ name: z.string(), workers: z.array(worker) })),
  retiring: z.array(
    z.object({ name: z.string(), generation: z.string(), workers: z.array(worker) }),
  ),
  traffic,
  upstreams: z.optional(z.array(upstreamGroup)),
  cache: z.optional(cache),
  cron: z.optional(z.array(cronJob)),
  queues: z.optional(z.array(queue)),
  // Servers of earlier versions do not send it.
  certificates: z._default(
    z.array(z.object({ names: z.array(z.string()), notAfter: z.string(), isDue: z.boolean() })),
    [],
  ),
  lostLogLines: z.number(),
  // A server of another version may send another form.
  live: z.optional(z.pipe(z.unknown(), z.transform(toKnownSnapshot))),
});

function toKnownSnapshot(value: unknown): LiveSnapshot | undefined {
  return isSnapshot(value) ? value : undefined;
}
