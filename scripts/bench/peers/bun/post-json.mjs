Bun.serve({
  hostname: "127.0.0.1",
  port: Number(process.env.PORT),
  development: false,
  async fetch(request) {
    return Response.json(await request.json());
  },
});
