const INTERVAL_MS = 100;
const encoder = new TextEncoder();

export default {
  fetch(): Response {
    let timer: NodeJS.Timeout | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        // The monotonic clock is the same for all processes of a machine.
        const emit = (): void =>
          controller.enqueue(encoder.encode(`data: ${process.hrtime.bigint()}\n\n`));
        timer = setInterval(emit, INTERVAL_MS);
      },
      cancel() {
        clearInterval(timer);
      },
    });
    return new Response(body, {
      headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
    });
  },
};
