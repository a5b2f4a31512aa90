/** Where a worker that measures handlers puts the measurement: the last field of a response. The primary takes it out. */
const MARK = "x-edgicorn-handler-time\n";

/** The time that a handler took for its response, without the body of a stream. */
export interface HandlerTime {
  /** Its start by the monotonic clock of the system (`lib/monotonic.ts`). */
  startMs: number;
  durationMs: number;
}

/** Returns a field block with a measurement at its end. */
export function addHandlerTime(fields: string, { startMs, durationMs }: HandlerTime): string {
  const separator = fields === "" ? "" : "\n";
  return `${fields}${separator}${MARK}${startMs.toFixed(3)} ${durationMs.toFixed(3)}`;
}

/** Returns a field block without the measurement at its end, and the measurement; `null`: the block has none. */
export function takeHandlerTime(fields: string): { fields: string; time: HandlerTime | null } {
  const at = fields.lastIndexOf(MARK);
  // A handler may have a field of this name. It never is the last one of a worker that measures.
  if (at === -1 || (at > 0 && fields[at - 1] !== "\n")) return { fields, time: null };
  const [, start, duration] = VALUE.exec(fields.slice(at + MARK.length)) ?? [];
  if (start === undefined || duration === undefined) return { fields, time: null };
  const time = { startMs: Number(start), durationMs: Number(duration) };
  return { fields: fields.slice(0, Math.max(0, at - 1)), time };
}

/** Two numbers as `addHandlerTime` writes them. */
const VALUE = /^(\d+\.\d{3}) (\d+\.\d{3})$/;
