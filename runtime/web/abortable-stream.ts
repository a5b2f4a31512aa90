/** A stream that gives what another gives, until `abort()` ends it with an error. */
export interface AbortableStream {
  readonly readable: ReadableStream<Uint8Array>;
  /** Fails the reader with `reason` and cancels the source. Does nothing once the stream was read to its end. */
  abort(reason: unknown): void;
}

/**
 * Puts a stream that can be aborted in front of `source`, which it locks.
 *
 * From outside, a locked stream can be neither cancelled nor failed; whoever reads a request's body holds the lock.
 * Nothing is read ahead: a chunk is asked of `source` when the reader asks for it.
 */
export function createAbortableStream(source: ReadableStream<Uint8Array>): AbortableStream {
  const reader = source.getReader();
  let open = true;
  let output: ReadableStreamDefaultController<Uint8Array> | undefined;
  const readable = new ReadableStream<Uint8Array>(
    {
      start(controller): void {
        output = controller;
      },
      async pull(controller): Promise<void> {
        const { done, value } = await reader.read();
        if (!open) return;
        if (done) {
          open = false;
          controller.close();
        } else {
          controller.enqueue(value);
        }
      },
      async cancel(reason): Promise<void> {
        open = false;
        await reader.cancel(reason);
      },
    },
    { highWaterMark: 0 },
  );
  return {
    readable,
    abort(reason): void {
      if (!open) return;
      open = false;
      output?.error(reason);
      // The source may have failed for the same reason; the reader has been told ours.
      reader.cancel(reason).catch(() => undefined);
    },
  };
}
