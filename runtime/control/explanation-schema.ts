import * as z from "zod/mini";
import type { Explanation } from "./explanation.ts";

const texts = z.array(z.string());

/** The answer to `/explain`. As the schemas of `answers.ts`, it drops members that a newer server may send. */
export const explanationSchema: z.ZodMiniType<Explanation> = z.object({
  request: z.object({
    method: z.string(),
    url: z.string(),
    client: z.string(),
    peer: z.string(),
  }),
  site: z.nullable(z.object({ name: z.string(), hosts: texts })),
  certificate: z.nullable(z.object({ names: texts, file: z.string(), notAfter: z.string() })),
  steps: z.array(z.object({ name: z.string(), rules: texts, decides: z.boolean(), notes: texts })),
  verdict: z.union([
    z.object({
      kind: z.literal("reply"),
      status: z.number(),
      location: z.nullable(z.string()),
    }),
    z.object({ kind: z.literal("cached"), status: z.number() }),
    z.object({ kind: z.literal(["handler", "proxy", "open"]) }),
  ]),
  file: z.optional(z.object({ kind: z.literal("file"), file: z.string() })),
  route: z.optional(
    z.object({
      kind: z.literal("route"),
      pattern: z.string(),
      file: z.string(),
      use: z.enum(["route", "fallback"]),
      params: z.record(z.string(), z.string()),
      methods: texts,
      losers: z.array(z.object({ pattern: z.string(), file: z.string() })),
    }),
  ),
  pool: z.optional(
    z.object({
      kind: z.literal("pool"),
      pool: z.string(),
      ready: z.number(),
      workers: z.number(),
    }),
  ),
  cache: z.optional(
    z.object({
      kind: z.literal("cache"),
      result: z.enum(["hit", "stale", "validate", "miss", "bypass"]),
      url: z.string(),
      cookies: texts,
      isPersonal: z.boolean(),
      ageMs: z.nullable(z.number()),
      lifetimeMs: z.nullable(z.number()),
    }),
  ),
  proxy: z.optional(
    z.object({
      kind: z.literal("proxy"),
      group: z.string(),
      target: z.string(),
      servers: z.array(z.object({ name: z.string(), state: z.string() })),
    }),
  ),
  limits: z.array(z.object({ name: z.string(), value: z.string(), from: z.string() })),
  remarks: texts,
});
