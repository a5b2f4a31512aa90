import type { Readiness } from "../observe/readiness.ts";
import { formatCount, formatShare } from "./format-figures.ts";
import type { LiveSnapshot, Problem } from "./snapshot.ts";

/** Share of failing answers that is bad; a smaller one is a warning. */
const BAD_SHARE = 0.01;

/** Age of the oldest queued request that is worth a warning. */
const QUEUE_AGE_MS = 1_000;

/** Delay of the event loop of the primary that clients notice. */
const LOOP_DELAY_MS = 100;

/** How long the loss of a worker is a warning. */
const LOSS_MS = 5 * 60_000;

/** Facts that are not in a snapshot. */
export interface OtherFacts {
  /** In ms since 1970. */
  readonly timeMs: number;
  readonly readiness: Readiness;
  readonly isLastReloadRefused: boolean;
}

/** Returns the problems of a server, the worst first. Pure. */
export function findProblems(
  snapshot: Omit<LiveSnapshot, "problems">,
  facts: OtherFacts,
): Problem[] {
  const all = [
    ...ofReadiness(facts.readiness),
    ...ofAnswers(snapshot),
    ...ofWorkers(snapshot),
    ...ofQueue(snapshot),
    ...ofUpstreams(snapshot),
    ...ofCertificates(snapshot, facts.timeMs),
    ...ofServer(snapshot, facts),
  ];
  return [...all.filter(({ level }) => level === "bad"), ...all.filter(isWarning)];
}

function isWarning({ level }: Problem): boolean {
  return level === "warn";
}

function ofReadiness({ phase, canServe, pools }: Readiness): Problem[] {
  const down = pools.filter(({ readyWorkers }) => readyWorkers === 0);
  return [
    ...(phase === "draining" ? [warn("draining: /readyz says not ready")] : []),
    ...(phase === "starting" ? [warn("the server starts")] : []),
    ...(phase === "serving" && !canServe && pools.length === 0
      ? [bad("no handlers are loaded")]
      : []),
    ...down.map(({ name, isOptional }) =>
      isOptional
        ? warn(`pool ${name} (optional) has no ready worker`)
        : bad(`pool ${name} has no ready worker`),
    ),
  ];
}

function ofAnswers({ traffic: { failing } }: Pick<LiveSnapshot, "traffic">): Problem[] {
  if (failing === null || failing.perSecond === 0) return [];
  const text = `${formatShare(failing.share)} of all answers fail (${toRate(failing.perSecond)} with status 5xx)`;
  return [failing.share >= BAD_SHARE ? bad(text) : warn(text)];
}

function ofWorkers({ workers, events }: Omit<LiveSnapshot, "problems">): Problem[] {
  const silent = workers.filter(({ state }) => state === "silent");
  const losses = events.filter(
    ({ kind, isGood, agoMs }) => kind === "worker" && !isGood && agoMs < LOSS_MS,
  );
  const [last] = losses;
  const more = losses.length > 1 ? ` (${losses.length} losses in 5 min)` : "";
  return [
    ...silent.map(({ id, oldest }) =>
      bad(
        `worker ${id} is blocked${oldest === null ? "" : `, perhaps by ${oldest.method} ${oldest.route} (${toSeconds(oldest.ageMs)})`}`,
      ),
    ),
    ...(last === undefined ? [] : [warn(`${last.text}, ${toSeconds(last.agoMs)} ago${more}`)]),
  ];
}

function ofQueue({ pools, limits }: Omit<LiveSnapshot, "problems">): Problem[] {
  return [
    ...pools
      .filter(({ queueAgeMs }) => queueAgeMs >= QUEUE_AGE_MS)
      .map(({ name, queued, queueAgeMs }) =>
        warn(`${queued} requests wait for pool ${name}, the oldest for ${toSeconds(queueAgeMs)}`),
      ),
    ...limits
      .filter(({ perSecond }) => perSecond !== null && perSecond > 0)
      .map(({ name, perSecond }) => warn(`${name} refuses or cuts off ${toRate(perSecond ?? 0)}`)),
  ];
}

function ofUpstreams({ upstreams }: Pick<LiveSnapshot, "upstreams">): Problem[] {
  return upstreams.flatMap(({ name, servers, unresolved }) => {
    const down = servers.filter(({ state }) => state === "out" || state === "probing");
    const names = down.map((server) => server.name).join(", ");
    const isAll = down.length > 0 && down.length === servers.length;
    return [
      ...(isAll ? [bad(`all servers of ${name} are out: ${names}`)] : []),
      ...(down.length > 0 && !isAll ? [warn(`servers of ${name} are out: ${names}`)] : []),
      ...(unresolved.length > 0
        ? [warn(`names of ${name} have no address: ${unresolved.join(", ")}`)]
        : []),
    ];
  });
}

function ofCertificates(
  { certificates }: Pick<LiveSnapshot, "certificates">,
  timeMs: number,
): Problem[] {
  return certificates
    .filter(({ isDue }) => isDue)
    .map(({ names, notAfter }) => {
      const leftMs = Date.parse(notAfter) - timeMs;
      const name = names[0] ?? "the default site";
      return leftMs <= 0
        ? bad(`the certificate for ${name} has expired`)
        : warn(`the certificate for ${name} expires in ${Math.ceil(leftMs / 86_400_000)} days`);
    });
}

function ofServer(
  { server, primary, cache }: Omit<LiveSnapshot, "problems">,
  { isLastReloadRefused }: OtherFacts,
): Problem[] {
  const { rolledBackFrom, lostLogLines } = server;
  const { p99Ms } = primary.loopDelay;
  return [
    ...(isLastReloadRefused
      ? [warn("the last reload was refused: older code or settings serve")]
      : []),
    ...(rolledBackFrom === null
      ? []
      : [warn(`rolled back from ${rolledBackFrom}: the next reload builds the handlers anew`)]),
    ...(p99Ms >= LOOP_DELAY_MS
      ? [warn(`the event loop of the primary is late: ${Math.round(p99Ms)} ms`)]
      : []),
    ...(cache?.isDiskFailing === true ? [warn("the disk of the response cache fails")] : []),
    ...(lostLogLines > 0 ? [warn(`${lostLogLines} log lines were lost`)] : []),
  ];
}

function bad(text: string): Problem {
  return { level: "bad", text };
}

function warn(text: string): Problem {
  return { level: "warn", text };
}

function toRate(perSecond: number): string {
  return `${formatCount(perSecond)} per second`;
}

function toSeconds(ms: number): string {
  return ms < 120_000 ? `${Number((ms / 1_000).toFixed(1))} s` : `${Math.round(ms / 60_000)} min`;
}
