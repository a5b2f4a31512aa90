import type { Client } from "./client.ts";

/**
 * Calls back once when the exchange has ended: its response is complete, its client left, or the server broke it off.
 * The callback must not throw.
 */
export function whenFinished(client: Client, callback: () => void): void {
  client.finishing ??= [];
  client.finishing.push(callback);
}

/** Runs the callbacks of `whenFinished`. The engine calls this when the exchange has ended. */
export function runFinishing(client: Client): void {
  const callbacks = client.finishing;
  client.finishing = null;
  for (const callback of callbacks ?? []) callback();
}
