export default {
  fetch(request: Request): Response {
    return new Response(request.body, { headers: { "content-type": "application/octet-stream" } });
  },
};
