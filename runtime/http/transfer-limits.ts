import type { TransferLimits } from "./client.ts";

export type { TransferLimits };

/** Settings by the names under which they are set. */
export type TransferSetting = "bodyTimeout" | "minBodyRate" | "sendTimeout";

export interface Transfer {
  /** The request body, while the client is expected to send it; `null`: it is complete, or the server has paused it. */
  receiving: {
    sinceMs: number;
    lastChunkMs: number;
    receivedBytes: number;
    /**
     * The response has begun. In a conversation the client may send little at a time, so `minBodyRate` does not apply.
     */
    answering: boolean;
  } | null;
  /** The response, while it waits for the client; `null`: it waits for the server. */
  sending: { progressMs: number } | null;
}

/** Grace period of the rate, because connections start slowly. */
const RATE_GRACE_MS = 10_000;

/** Returns the setting whose limit a transfer breaks; `null`: none. Pure. */
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
