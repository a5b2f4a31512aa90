import { randomBytes } from "node:crypto";

/**
 * Names a generation: `20260131-235959123456-9f86d081`, date and time of day in UTC to the microsecond, then chance.
 *
 * Ids sort by time of creation as text, and differ even if several processes make one in the same microsecond.
 */
export function createGenerationId(): string {
  // `Date` stops at milliseconds; two builds in one of them must still sort.
  const microseconds = Math.round((performance.timeOrigin + performance.now()) * 1000);
  const [date = "", time = ""] = new Date(microseconds / 1000).toISOString().split("T");
  const rest = String(microseconds % 1000).padStart(3, "0");
  return `${onlyDigits(date)}-${onlyDigits(time)}${rest}-${randomBytes(4).toString("hex")}`;
}

/** Whether a name is one that `createGenerationId` gives. */
export function isGenerationId(name: string): boolean {
  return /^\d{8}-\d{12}-[0-9a-f]{8}$/.test(name);
}

function onlyDigits(text: string): string {
  return text.replace(/\D/g, "");
}
