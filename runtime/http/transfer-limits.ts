import type { TransferLimits } from "./client.ts";

export type { TransferLimits };

/** Settings by the names under which they are set. */
export type TransferSetting = "bodyTimeout" | "minBodyRate" | "sendTimeout";

export interface Transfer {
  /** A request body that the client is expected to send; `null`: it is complete, or we hold it back. */
  receiving: {
    sinceMs: number;
    lastChunkMs: number;
    receivedBytes: number;
    /** Its response is under way: two that talk to each other say little at a time, but they do not fall silent. */
    answering: boolean;
  } | null;
  /** A response that waits for the client; `null`: it waits for us. */
  sending: { progressMs: number } | null;
}

/** A slow start is no slow client. */
const RATE_GRACE_MS = 10_000;

/** Which limit a transfer breaks, if any. Pure. */
export function findBreach(
  { receiving, sending }: Transfer,
  limits: TransferLimits,
  nowMs: number,
): TransferSetting | null {
  const { bodyTimeoutMs, minBodyRateBytesPerSecond, sendTimeoutMs } = limits;
  if (receiving !== null) {
    const { sinceMs, lastChunkMs, receivedBytes, answering } = receiving;
    if (bodyTimeoutMs > 0 && nowMs - lastChunkMs > bodyTimeoutMs) return "bodyTimeout";
    const ageMs = nowMs - sinceMs;
    const due = (minBodyRateBytesPerSecond * (ageMs - RATE_GRACE_MS)) / 1000;
    if (!answering && ageMs > RATE_GRACE_MS && receivedBytes < due) return "minBodyRate";
  }
  if (sending !== null && sendTimeoutMs > 0 && nowMs - sending.progressMs > sendTimeoutMs) {
    return "sendTimeout";
  }
  return null;
}

/** Returns the value of a setting, in its unit. */
export function valueOf(setting: TransferSetting, limits: TransferLimits): number {
  switch (setting) {
    case "bodyTimeout":
      return limits.bodyTimeoutMs;
    case "minBodyRate":
      return limits.minBodyRateBytesPerSecond;
    case "sendTimeout":
      return limits.sendTimeoutMs;
  }
}
