import type { Socket } from "node:net";
import type { LazyFrames } from "../../http/web-socket-frames.ts";
import type { ListenerOptions } from "../engine.ts";
import type { HeadFields } from "../head-fields.ts";
import type { ListenerCounts } from "../listener-counts.ts";
import type { ClientContext } from "./node-client.ts";

/** The parts of a listener that its connections share in all protocols. */
export interface NodeListenerContext extends ClientContext {
  readonly scheme: "http" | "https";
  /** Collects the fields of one head at a time. */
  readonly heads: HeadFields;
  readonly counts: ListenerCounts;
  /** True once every response must end its connection. */
  readonly closing: boolean;
  readonly headerLimitBytes: number;
  readonly keepAliveTimeoutMs: number;
  readonly headTimeoutMs: number;
  readonly headerCountLimit: number;
  /** Most streams of a connection of HTTP/2 at a time. */
  readonly maxConcurrentStreams: number;
  /** The field `Keep-Alive` as a line with its end; empty: it is not sent. */
  readonly keepAliveLine: string;
  readonly onRequest: ListenerOptions["onRequest"];
  /** Frames the messages of WebSockets. */
  readonly frames: LazyFrames;
  /** Returns the value of the field `Date`. */
  date(): string;
  /** Resets a connection, so that its client cannot take a part of a response for all of it. */
  reset(socket: Socket): void;
  /** A connection has closed. */
  onConnectionClosed(connection: OpenConnection): void;
}

/** A connection that the listener checks about once a second. */
export interface OpenConnection {
  /** Ends the connection if its time is over. */
  check(nowMs: number): void;
  /** Ends the connection once its requests are answered. Called when the listener stops accepting connections. */
  drain(): void;
}
