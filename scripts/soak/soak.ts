import type { Scope } from "./scope.ts";

/** What a soak is given. */
export interface SoakContext {
  /** Closes what the soak opens. */
  readonly scope: Scope;
  readonly seed: number;
  /** How long the load goes on, about. */
  readonly seconds: number;
  /** The form for every change: small sizes, and no judgement of times, which another program on the machine could move. */
  readonly brief: boolean;
  /** By how much the memory of all processes of the server together may grow; `null`: growth is only told. */
  readonly maxGrowthBytes: number | null;
  /** Whether sockets have the buffers that the soak has asked for. */
  readonly smallBuffers: boolean;
  /** Progress, apart from the table. */
  readonly say: (line: string) => void;
}

/** One figure of a soak. */
export interface Figure {
  readonly name: string;
  readonly value: string;
  /** What it was held against; absent: it is only told. */
  readonly bound?: string;
  /** Why the soak failed, if this figure is why. */
  readonly breach?: string;
}

/** A load that goes on until it has shown that an invariant holds, or that it does not. */
export interface Soak {
  readonly name: string;
  /** One line for `--help`. */
  readonly about: string;
  /** It takes all that the machine has: nothing else runs beside it, which would be refused or late. */
  readonly alone?: boolean;
  /** It wants all sockets to have buffers of this size, if the system lets us. */
  readonly buffersBytes?: number;
  /** @throws What an invariant that was broken on the way throws. */
  readonly run: (context: SoakContext) => Promise<readonly Figure[]>;
}

/**
 * For a server whose clients share the machine with other soaks: a machine that is too busy makes it refuse what would wait
 * for long, which is right, is what `overload` is about, and would be a judgement of times here.
 */
export function patience(brief: boolean): readonly string[] {
  return brief ? ["--queue-delay", "0s"] : [];
}

/** A figure that is only told. */
export function told(name: string, value: string | number): Figure {
  return { name, value: String(value) };
}

/** A figure that must not be above a bound. */
export function atMost(
  name: string,
  value: number,
  bound: number,
  format: (value: number) => string = String,
): Figure {
  const within = value <= bound;
  const figure = { name, value: format(value), bound: `<= ${format(bound)}` };
  return within
    ? figure
    : { ...figure, breach: `${name}: ${format(value)}, expected at most ${format(bound)}` };
}

/** A figure that must not be below a bound. */
export function atLeast(
  name: string,
  value: number,
  bound: number,
  format: (value: number) => string = String,
): Figure {
  const within = value >= bound;
  const figure = { name, value: format(value), bound: `>= ${format(bound)}` };
  return within
    ? figure
    : { ...figure, breach: `${name}: ${format(value)}, expected at least ${format(bound)}` };
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

export function kibibytes(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KiB`;
}

export function milliseconds(ms: number): string {
  return `${ms.toFixed(1)} ms`;
}
