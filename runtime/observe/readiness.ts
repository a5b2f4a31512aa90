/** A pool of the serving generation, as health checks see it. */
export interface PoolReadiness {
  readonly name: string;
  /** Number of workers that take new requests. */
  readonly readyWorkers: number;
  /** The config calls the pool optional: the server is ready without it. */
  readonly isOptional: boolean;
}

/** The facts that decide whether the server should get traffic. */
export interface Readiness {
  readonly phase: "starting" | "serving" | "draining";
  /** At least one pool, file or proxy can answer. */
  readonly canServe: boolean;
  /** The pools of the serving generation. At least one route needs each of them. */
  readonly pools: readonly PoolReadiness[];
}

/** The readiness of a server that has not opened its ports. */
export const STARTING: Readiness = { phase: "starting", canServe: false, pools: [] };

/** Tells whether the server should get traffic: it serves, and each pool that is not optional has a ready worker. */
export function isReady({ phase, canServe, pools }: Readiness): boolean {
  return phase === "serving" && canServe && pools.every(isPoolReady);
}

/** Returns the checks one by one for a person, and their result on the last line. */
export function describeReadiness(readiness: Readiness): string {
  const { phase, canServe, pools } = readiness;
  const lines = [
    toLine(phase === "serving", `server: ${phase}`),
    ...pools.map((pool) => toLine(isPoolReady(pool), describePool(pool))),
  ];
  if (phase === "serving" && pools.length === 0 && !canServe) {
    lines.push(toLine(false, "handlers: none are loaded"));
  }
  return [...lines, isReady(readiness) ? "ready" : "not ready"].map((line) => `${line}\n`).join("");
}

function isPoolReady({ readyWorkers, isOptional }: PoolReadiness): boolean {
  return isOptional || readyWorkers > 0;
}

function describePool({ name, readyWorkers, isOptional }: PoolReadiness): string {
  const workers = readyWorkers === 1 ? "1 worker is ready" : `${readyWorkers} workers are ready`;
  return `pool ${name}: ${readyWorkers === 0 ? "no worker is ready" : workers}${isOptional ? " (optional)" : ""}`;
}

/** The marks are those of the health checks of Kubernetes. */
function toLine(isFine: boolean, text: string): string {
  return `${isFine ? "[+]" : "[-]"} ${text}`;
}
