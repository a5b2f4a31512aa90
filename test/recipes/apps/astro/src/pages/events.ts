export function GET(): Response {
  let id = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      controller.enqueue(new TextEncoder().encode(`data: ${++id}\n\n`));
      if (id === 3) controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}
