/** The settings of the WebSockets of a route. */
export interface SocketSettings {
  /** Time for the function of one event; 0: no limit. */
  readonly requestTimeoutMs: number;
  /** Largest message of a client. */
  readonly webSocketMessageLimitBytes: number;
  /** Bytes that may wait for a slow client, and bytes of its messages that may wait for their handler. */
  readonly webSocketBufferBytes: number;
  /** Silence after which the server pings a client. */
  readonly webSocketPingMs: number;
  /** Time without a message of the client after which its WebSocket is closed; 0: none. */
  readonly webSocketIdleTimeoutMs: number;
}
