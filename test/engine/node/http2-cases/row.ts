/**
 * The outcome of a row. A number is the status of the answer on stream 1. `reset CODE`: the server resets stream 1.
 * `goaway CODE`: it ends the connection with this code. `closed`: it ends the connection, with or without GOAWAY.
 * `open`: it neither answers nor ends. After all but `goaway` and `closed` the connection must still serve.
 */
export type Outcome = number | `reset ${string}` | `goaway ${string}` | "closed" | "open";

/** One thing that a client may send, and the outcomes that RFC 9113 allows. */
export interface Row {
  /** Section of RFC 9113, unless another document is named. */
  section: string;
  name: string;
  /** Sent in one write after preface and SETTINGS, or after `Pause`. */
  send: readonly (Uint8Array | Pause)[];
  outcome: Outcome | readonly Outcome[];
  /** Matches the JSON text of the answer: the request as the handler got it. */
  shows?: RegExp;
  /** Matches nothing in that text. */
  hides?: RegExp;
  /** An outcome that RFC 9113 does not allow. The server has it because of nghttp2, which Node uses (docs/http.md). */
  deviation?: Outcome;
  /** The connection ends because a response cannot leave: the listener has a short `sendTimeout`. */
  isCut?: boolean;
  /** The client sends the bytes instead of a preface. */
  isRaw?: boolean;
}

/** The bytes behind it are sent once the server has read those before it, and has answered them if they ask for it. */
export type Pause = "read" | "answered";
