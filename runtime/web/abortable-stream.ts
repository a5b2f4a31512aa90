/** A stream that passes another one on, until `abort()` ends it with an error. */
export interface AbortableStream {
  readonly readable: ReadableStream<Uint8Array>;
  /** Fails the reader with `reason` and cancels the source. Does nothing once the stream was read to its end. */
  abort(reason: unknown): void;
}

/**
 * Puts a stream that can be aborted in front of `source`, which it locks.
 *
 * From outside, a locked stream can be neither cancelled nor failed, and the reader of a request's body holds the lock.
 * Nothing is read ahead: the stream reads a chunk from `source` when its own reader asks for one.
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
      // The source may have failed for the same reason. The reader has got this one.
      reader.cancel(reason).catch(() => undefined);
    },
  };
}
