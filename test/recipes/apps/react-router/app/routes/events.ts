export function loader({ request }: { request: Request }) {
  let id = 0;
  let timer: ReturnType<typeof setInterval>;
  request.signal.addEventListener("abort", () => clearInterval(timer));
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      timer = setInterval(() => {
        controller.enqueue(new TextEncoder().encode(`data: ${++id}\n\n`));
        if (id < 3) return;
        clearInterval(timer);
        controller.close();
      }, 10);
    },
    cancel: () => clearInterval(timer),
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}
