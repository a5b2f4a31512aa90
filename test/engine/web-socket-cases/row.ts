import type { FrameParts } from "../../helpers/web-socket-frames/frames.ts";

/** What a client of a case sees, and the end that the responder is told. */
export interface Outcome {
  /**
   * Messages, pongs and the close frame of the server in their order, in short: `text hello`, `deflated text hello`,
   * `pong x`, `close 1000 bye`.
   */
  readonly frames: readonly string[];
  /** Close code for the responder. */
  readonly end: number;
}

/** A case of frames: the server echoes messages. */
export interface FrameRow {
  /** Section of RFC 6455, or of another RFC with its number. */
  readonly section: string;
  readonly name: string;
  /** Frames, or raw bytes. A case that the server does not end is ended with a close frame 1000. */
  readonly send: readonly (FrameParts | Buffer)[];
  /** Bytes of each write; absent: all in one. */
  readonly chop?: number;
  readonly outcome: Outcome;
  /** The outcome with uWebSockets.js where it differs, with the reason why that stays. */
  readonly uws?: Partial<Outcome> & {
    readonly why: string;
    /** What the library does depends on the bytes: the case does not run with it. */
    readonly isOpen?: true;
  };
}

/** A case of the handshake. */
export interface HandshakeRow {
  readonly section: string;
  readonly name: string;
  /** Lines of the head. */
  readonly head: readonly string[];
  /** 101: it is a WebSocket. 426: the request is an ordinary one, or asks for another version. */
  readonly status: number;
  /** Fields of the answer; `null`: it must not have this one. */
  readonly fields?: Readonly<Record<string, string | null>>;
  readonly uws?: {
    readonly status: number;
    readonly fields?: Readonly<Record<string, string | null>>;
    readonly why: string;
  };
}

/** Returns the outcome of a case that the server echoes, and the client ends. */
export function echoes(...frames: string[]): Outcome {
  return { frames: [...frames, "close 1000"], end: 1000 };
}

/** Returns the outcome of a case that breaks a rule. */
export function fails(end: number, ...frames: string[]): Outcome {
  return { frames: [...frames, `close ${end}`], end };
}
