import type { Client, ExchangeId } from "../../../runtime/http/client.ts";
import type { Listener, ListenerOptions } from "../../../runtime/engine/engine.ts";
import { NodeListener } from "../../../runtime/engine/node/node-listener.ts";
import { RequestsPerAddress } from "../../../runtime/http/requests-per-address.ts";
import { TurnClock } from "../../../runtime/lib/turn-clock.ts";
import { Counters } from "../../../runtime/observe/counters.ts";
import type { Owner } from "../../helpers/temporary-folder.ts";

/** The end of a request, as the listener reported it. */
export interface Finished {
  client: Client;
  status: number;
  bodyBytes: number;
}

/** A listener with the events that it reported. */
export interface OpenListener<L extends Listener = NodeListener> {
  listener: L;
  port: number;
  counters: Counters;
  /** All ends of requests so far. */
  finished: Finished[];
  /** Settings because of which the listener cut off a client or refused a request. */
  limited: string[];
  /** Resolves when so many requests have ended. */
  untilFinished: (count: number) => Promise<void>;
}

/** Returns a promise and the function that resolves it. */
export function createSignal(): { fired: Promise<void>; fire: () => void } {
  let resolve: (() => void) | null = null;
  const fired = new Promise<void>((resolved) => (resolve = resolved));
  return { fired, fire: () => resolve?.() };
}

type OwnOptions = Partial<ListenerOptions> & Pick<ListenerOptions, "onRequest">;

/** Opens a plain listener of the Node engine with HTTP/2, and closes it after the test. Errors of its own fail the test. */
export function openListener(t: Owner, own: OwnOptions): Promise<OpenListener> {
  return openListenerOf(t, own, (options) => NodeListener.open(options));
}

/** Opens a plain listener of any engine, as `openListener` does. */
export async function openListenerOf<L extends Listener>(
  t: Owner,
  own: OwnOptions,
  open: (options: ListenerOptions) => Promise<L>,
): Promise<OpenListener<L>> {
  const counters = new Counters();
  const finished: Finished[] = [];
  const limited: string[] = [];
  const errors: unknown[] = [];
  let wake: (() => void) | null = null;
  let id = 0;
  const listener = await open({
    host: "127.0.0.1",
    port: 0,
    certificates: null,
    tls: { tlsCiphers: "", tlsMinVersion: "1.2" },
    http2: { maxConcurrentStreams: 128 },
    maxConnections: 10_000,
    counters,
    perAddress: new RequestsPerAddress(),
    clock: new TurnClock(),
    // Ids are made in tests only here.
    nextId: () => ++id as ExchangeId,
    limits: {
      bodyTimeoutMs: 60_000,
      minBodyRateBytesPerSecond: 0,
      sendTimeoutMs: 60_000,
      headerLimitBytes: 16 * 1024,
      headerCountLimit: 98,
      urlLimitBytes: 8 * 1024,
    },
    timeouts: { headTimeoutMs: 60_000, keepAliveTimeoutMs: 75_000 },
    onFinished: (client, status, bodyBytes) => {
      finished.push({ client, status, bodyBytes });
      wake?.();
    },
    onCut: (_client, setting) => void limited.push(setting),
    onLimited: (_client, setting) => void limited.push(setting),
    onConnectionRefused: () => void limited.push("maxConnections"),
    onHeadRefused() {},
    onError: (error) => void errors.push(error),
    ...own,
  });
  t.after(async () => {
    listener.close();
    await listener.disconnected();
    if (errors.length > 0) throw new AggregateError(errors, "the listener reported errors");
  });
  const untilFinished = async (count: number): Promise<void> => {
    while (finished.length < count) await new Promise<void>((resolve) => (wake = resolve));
  };
  return { listener, port: listener.port, counters, finished, limited, untilFinished };
}

/** Answers with the request as JSON, once its body is complete. */
export function echo(client: Client): void {
  const chunks: Buffer[] = [];
  client.receiveBody({
    chunk: (bytes) => void chunks.push(Buffer.from(bytes)),
    end: () => {
      const body = Buffer.concat(chunks);
      const url = new URL(client.head.target, "http://localhost");
      const text = JSON.stringify({
        method: client.head.method,
        path: url.pathname,
        query: url.search,
        fields: toObject(client.head.fields),
        bytes: body.length,
        body: body.subarray(0, 100).toString("latin1"),
      });
      const fields = "content-type\napplication/json";
      client.reply({ status: 200, statusText: "", fields, body: text, lengthBytes: null });
    },
  });
}

function toObject(block: string): Record<string, string> {
  const parts = block.split("\n");
  const fields: Record<string, string> = {};
  for (let at = 0; at < parts.length; at += 2) {
    const name = parts[at] ?? "";
    const value = parts[at + 1] ?? "";
    const known = fields[name];
    fields[name] = known === undefined ? value : `${known}, ${value}`;
  }
  return fields;
}
