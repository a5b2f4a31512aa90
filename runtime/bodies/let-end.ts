import type { BodySource } from "../http/client.ts";

/** Timeout for a source to end after the last byte of an announced length. */
const END_GRACE_MS = 1_000;

/** Stops a source after all announced bytes. A source that continued would wait for a reader forever. */
export function letEnd(body: BodySource): void {
  if (body.state !== "open") {
    // Tells the source that its last bytes, which it may have lent, are no longer needed.
    body.cancel();
    return;
  }
  const timer = setTimeout(() => body.cancel(), END_GRACE_MS);
  timer.unref();
  body.onChange = () => {
    if (body.state === "open" && body.read(1) === null) return;
    clearTimeout(timer);
    body.cancel();
  };
}
