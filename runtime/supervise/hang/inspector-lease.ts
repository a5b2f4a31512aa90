import { InspectorSession } from "./inspector-session.ts";
import { openUrl } from "./open-inspector.ts";

/** Longest wait for the inspector of a worker to open, or to close. */
const WAIT_MS = 5_000;

/** Size of the answers to the short expressions of this module. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** An open inspector of a worker, for another process on this machine. */
export interface InspectorLease {
  url: string;
  /** Closes the inspector. Never rejects. */
  end(): Promise<void>;
}

/**
 * Opens the inspector of a worker until the lease ends. A worker closes its inspector at each ping, unless its port is 0: so
 * the lease sets it to 0.
 *
 * Rejects when the worker does not open its inspector in time.
 */
export async function leaseInspector(pid: number): Promise<InspectorLease> {
  const signal = AbortSignal.timeout(WAIT_MS);
  const url = await openUrl(pid, signal);
  const session = await InspectorSession.connect(url, {
    signal,
    maxMessageBytes: MAX_ANSWER_BYTES,
  });
  try {
    await session.evaluate("process.debugPort = 0", signal);
  } finally {
    session.close();
  }
  return { url, end: () => shut(url) };
}

async function shut(url: string): Promise<void> {
  const signal = AbortSignal.timeout(WAIT_MS);
  try {
    const options = { signal, maxMessageBytes: MAX_ANSWER_BYTES };
    await (await InspectorSession.connect(url, options)).shut(signal);
  } catch {
    // The other process has closed the inspector already, or the worker has exited.
  }
}
