import { connect } from "node:net";
import type { HealthCheckSetting } from "../config/upstream-settings.ts";
import type { ExchangeEvents, UpstreamServer } from "../upstream/exchange.ts";
import type { UpstreamAddress } from "../upstream/server-options.ts";

/** Largest body of an answer to a check that is read, so that its connection can be kept. */
const MOST_BODY_BYTES = 64 * 1024;

/** Receives the result of a probe, once: `null`: it was good; else the reason, in plain English. */
export type OnProbed = (problem: string | null) => void;

/**
 * Requests the path of a health check.
 *
 * @param options.host The field `host`.
 * @returns Ends the probe without a result.
 */
export function probePath(
  server: UpstreamServer,
  { path, timeoutMs, statuses, host }: HealthCheckSetting & { host: string },
  onProbed: OnProbed,
): () => void {
  let isOver = false;
  let bodyBytes = 0;
  const finish = (problem: string | null): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    onProbed(problem);
  };
  const events: ExchangeEvents = {
    onInformational: () => {},
    onHead: ({ status }) => {
      const isGood = matchesStatus(status, statuses);
      finish(isGood ? null : `the health check got ${status}, expected ${statuses.join(", ")}`);
    },
    onChunk: ({ length }) => {
      bodyBytes += length;
      if (bodyBytes > MOST_BODY_BYTES) exchange.abort();
    },
    onEnd: () => {},
    onUpgraded: (_head, socket) => {
      socket.destroy();
      finish("the health check got 101");
    },
    onDrain: () => {},
    onFailed: ({ reason }) => finish(`the health check failed: ${reason}`),
  };
  const exchange = server.open(
    {
      method: "GET",
      target: path,
      fields: `host\n${host}\nuser-agent\nedgicorn health check\naccept\n*/*`,
      body: null,
      bodyBytes: null,
      upgrade: null,
      timeouts: { connectMs: timeoutMs, firstByteMs: timeoutMs, idleMs: timeoutMs },
    },
    events,
  );
  const timer = setTimeout(() => {
    exchange.abort();
    finish(`the health check got no answer within ${timeoutMs} ms`);
  }, timeoutMs);
  return () => {
    isOver = true;
    clearTimeout(timer);
    exchange.abort();
  };
}

/**
 * Opens a connection and closes it again. A process that is stopped passes this probe: the kernel accepts connections for
 * it.
 *
 * @returns Ends the probe without a result.
 */
export function probeConnection(
  address: UpstreamAddress,
  { timeoutMs }: { timeoutMs: number },
  onProbed: OnProbed,
): () => void {
  const socket =
    address.kind === "unix"
      ? connect({ path: address.path })
      : connect({ host: address.host, port: address.port });
  let isOver = false;
  const finish = (problem: string | null): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    socket.destroy();
    onProbed(problem);
  };
  const timer = setTimeout(() => finish(`no connection within ${timeoutMs} ms`), timeoutMs);
  socket.on("connect", () => finish(null));
  // An error after the end of the probe has no meaning, but needs a listener.
  socket.on("error", (error) => finish(describeError(error)));
  return () => {
    isOver = true;
    clearTimeout(timer);
    socket.destroy();
  };
}

/** Tells whether a status is one of these statuses and classes: `200`, `2xx`. */
export function matchesStatus(status: number, statuses: readonly string[]): boolean {
  const text = String(status);
  return statuses.some((each) => each === text || (each.endsWith("xx") && each[0] === text[0]));
}

function describeError(error: Error): string {
  // Attempts at several addresses fail together, and the message of all of them is empty.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  const { message } = first instanceof Error ? first : error;
  return `no connection: ${message}`;
}
