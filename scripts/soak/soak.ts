import type { Scope } from "./scope.ts";

/** The parameters of a soak. */
export interface SoakContext {
  /** Closes the resources that the soak opens. */
  readonly scope: Scope;
  readonly seed: number;
  /** Approximate duration of the load. */
  readonly seconds: number;
  /** The short form, for every change: small sizes, and no judgement of times, which other programs could influence. */
  readonly brief: boolean;
  /** Most growth of the memory of all the server's processes together; `null`: growth is only shown. */
  readonly maxGrowthBytes: number | null;
  /** Whether sockets have the buffers that the soak asks for. */
  readonly smallBuffers: boolean;
  /** Prints progress, apart from the table. */
  readonly say: (line: string) => void;
}

/** One figure of a soak. */
export interface Figure {
  readonly name: string;
  readonly value: string;
  /** The bound; absent: the figure is only shown. */
  readonly bound?: string;
  /** Why the soak failed, if it failed because of this figure. */
  readonly breach?: string;
}

/** A load that runs until it has shown whether an invariant holds. */
export interface Soak {
  readonly name: string;
  /** One line for `--help`. */
  readonly about: string;
  /** It uses the whole machine: no other soak may run beside it. */
  readonly alone?: boolean;
  /** It needs sockets with buffers of this size, if the system allows it. */
  readonly buffersBytes?: number;
  /** @throws The error of a broken invariant. */
  readonly run: (context: SoakContext) => Promise<readonly Figure[]>;
}

/** The limits of the queue that a server has by default. `startServer` sets limits that a busy machine does not reach. */
export const DEFAULT_QUEUE = ["--queue-delay", "500ms", "--queue-timeout", "10s"] as const;

/**
 * Limits of the queue for a server whose clients share the machine with other soaks. A busy machine makes it refuse
 * requests that would wait for long. This is right, and `overload` tests it, but here it would judge times.
 */
export function queueFlags(brief: boolean): readonly string[] {
  return brief ? [] : DEFAULT_QUEUE;
}

/** A figure that is only shown. */
export function shown(name: string, value: string | number): Figure {
  return { name, value: String(value) };
}

/** A figure for faults: none may be found. */
export function none(name: string, found: readonly string[]): Figure {
  const figure = { name, value: String(found.length), bound: "0" };
  const [first] = found;
  return first === undefined
    ? figure
    : { ...figure, breach: `${name}: ${found.length}, the first: ${first}` };
}

type Format = (value: number) => string;

/** A figure with an upper bound. */
export function atMost(
  name: string,
  value: number,
  bound: number,
  format: Format = String,
): Figure {
  const figure = { name, value: format(value), bound: `<= ${format(bound)}` };
  const breach = `${name}: ${format(value)}, expected at most ${format(bound)}`;
  return value <= bound ? figure : { ...figure, breach };
}

/** A figure with a lower bound. */
export function atLeast(
  name: string,
  value: number,
  bound: number,
  format: Format = String,
): Figure {
  const figure = { name, value: format(value), bound: `>= ${format(bound)}` };
  const breach = `${name}: ${format(value)}, expected at least ${format(bound)}`;
  return value >= bound ? figure : { ...figure, breach };
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

export function ratio(value: number): string {
  return value.toFixed(2);
}
