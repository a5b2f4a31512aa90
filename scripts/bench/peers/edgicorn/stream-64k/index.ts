const CHUNK = new Uint8Array(16 * 1024).fill(0x61);
const CHUNKS = 4;

export default {
  fetch(): Response {
    let left = CHUNKS;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.enqueue(CHUNK);
        left--;
        if (left === 0) controller.close();
      },
    });
    return new Response(body, { headers: { "content-type": "application/octet-stream" } });
  },
};
