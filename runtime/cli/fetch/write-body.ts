import { once } from "node:events";
import type { BodySource } from "../../http/client.ts";
import { isSource, type Reply } from "../../http/reply.ts";

const READ_BYTES = 64 * 1024;

/**
 * Writes the body of a reply as fast as the output takes it. Copies lent bytes before it returns.
 *
 * @returns `broken`: the rest of the body will never come. `left`: the signal has aborted, or the output is closed.
 */
export async function writeBody(
  body: Reply["body"],
  { output, signal }: { output: NodeJS.WritableStream; signal: AbortSignal },
): Promise<"complete" | "broken" | "left"> {
  if (!isSource(body)) {
    const bytes = body === null ? null : Buffer.from(body);
    if (bytes !== null && bytes.length > 0 && !output.write(bytes)) await drained(output, signal);
    return signal.aborted ? "left" : "complete";
  }
  // A change may come in the same turn as the reply, before this function waits for one.
  const changes = { isPending: false, wake: (): void => {} };
  const onChange = (): void => {
    changes.isPending = true;
    changes.wake();
  };
  body.onChange = onChange;
  signal.addEventListener("abort", onChange);
  try {
    for (;;) {
      changes.isPending = false;
      // oxlint-disable-next-line no-await-in-loop -- One chunk after the other, at the speed of the output.
      await writeAvailable(body, { output, signal });
      if (signal.aborted) return "left";
      if (body.state === "failed") return "broken";
      if (body.state === "ended") return "complete";
      // oxlint-disable-next-line no-await-in-loop -- See above.
      await new Promise<void>((resolve) => {
        if (changes.isPending) resolve();
        else changes.wake = resolve;
      });
    }
  } finally {
    signal.removeEventListener("abort", onChange);
    body.onChange = null;
    if (signal.aborted) body.cancel();
  }
}

async function writeAvailable(
  body: BodySource,
  { output, signal }: { output: NodeJS.WritableStream; signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    const bytes = body.read(READ_BYTES);
    if (bytes === null) return;
    // The bytes are valid until the next read, and a stream keeps them longer.
    // oxlint-disable-next-line no-await-in-loop -- Back-pressure.
    if (!output.write(Buffer.from(bytes))) await drained(output, signal);
  }
}

/** Waits until the output takes more. A closed output aborts the signal. */
async function drained(output: NodeJS.WritableStream, signal: AbortSignal): Promise<void> {
  await once(output, "drain", { signal }).catch(() => {});
}
